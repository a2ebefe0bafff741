// inputs_check.c - what can be said of a list only when all of it is there: whose id is taken,
// and which entries do not fit.
#include <stdlib.h>

#include "client/fields.h"
#include "client/inputs_private.h"
#include "common/json.h"
#include "common/text.h"

struct table { // open addressing; a place holds the number of a slot, plus 1
    uint32_t *places;
    size_t mask;
};

static struct span slot_id(const struct inputs *in, const struct slot *s)
{
    return (struct span){in->bytes.ptr + s->at, s->id_len};
}

static size_t hash(struct span s) // FNV-1a
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
    return (size_t)(h ^ h >> 32);
}

static bool table_new(struct table *t, size_t n)
{
    size_t size = 64;
    while (size < n * 2)
        size *= 2;
    t->mask = size - 1;
    t->places = calloc(size, sizeof *t->places);
    return t->places != NULL;
}

// The slot that has the id already; NULL: none had, and this one has it now.
static const struct slot *table_add(struct table *t, const struct inputs *in, size_t i)
{
    struct span id = slot_id(in, &in->slots[i]);
    size_t at = hash(id) & t->mask;
    for (; t->places[at]; at = (at + 1) & t->mask) {
        const struct slot *s = &in->slots[t->places[at] - 1];
        if (span_equal(slot_id(in, s), id))
            return s;
    }
    t->places[at] = (uint32_t)i + 1;
    return NULL;
}

// The entry as a line of JSON, for the file of rejects: its own text is gone by now.
static void entry_text(const struct inputs *in, const struct slot *s, struct buf *out)
{
    struct job j;
    struct span map = {in->bytes.ptr + s->at + s->id_len, s->map_len};
    if (job_decode(&j, map, NULL) != OK)
        return;
    struct json_object *o = fields_entry(&j);
    if (o && j.samples > 1)
        json_put_int(o, "count", j.samples);
    if (o)
        json_write(out, o);
    json_object_put(o);
}

static enum err put_duplicate(struct inputs *in, size_t i, const struct slot *first,
                              struct buf *complaints)
{
    struct slot s = in->slots[i];
    struct buf why = {.max = 4096}, raw = {.max = INPUTS_MAX_RECORD};
    buf_add_str(&why, "\"id\" \"");
    text_show(&why, slot_id(in, &s), 100);
    buf_addf(&why,
             first->own_id ? "\" is that of %s:%u already"
                           : "\" is what %s:%u gets, having none of its own",
             in->names[first->place.file], first->place.line);
    entry_text(in, &s, &raw);
    enum err e = inputs_add_bad(in, s.place, buf_span(&why), buf_span(&raw), complaints);
    buf_free(&why);
    buf_free(&raw);
    return e;
}

// All samples of one entry share its id; they stand together.
static bool first_sample(const struct inputs *in, size_t i)
{
    return i == 0 || in->slots[i - 1].input != in->slots[i].input;
}

// First the ids that nobody chose, for the one who chose can choose again.
static enum err find_duplicates(struct inputs *in, struct table *t, bool *drop,
                                struct buf *complaints)
{
    enum err e = OK;
    for (size_t i = 0; i < in->n_slots; i++)
        if (!in->slots[i].own_id && first_sample(in, i))
            (void)table_add(t, in, i);
    for (size_t i = 0; e == OK && i < in->n_slots; i++) {
        if (!in->slots[i].own_id)
            continue;
        if (!first_sample(in, i)) {
            drop[i] = drop[i - 1];
            continue;
        }
        const struct slot *first = table_add(t, in, i);
        drop[i] = first != NULL;
        if (first)
            e = put_duplicate(in, i, first, complaints);
    }
    return e;
}

static void drop_slots(struct inputs *in, const bool *drop)
{
    size_t kept = 0;
    for (size_t i = 0; i < in->n_slots; i++)
        if (!drop[i])
            in->slots[kept++] = in->slots[i];
    in->n_slots = kept;
}

static enum err check_entry(struct inputs *in, size_t i, inputs_fits *fits, void *ctx,
                            bool *drop, struct buf *complaints)
{
    struct slot s = in->slots[i];
    struct buf why = {.max = 4096}, raw = {.max = INPUTS_MAX_RECORD};
    enum err e = OK;
    *drop = !fits(ctx, (struct span){in->bytes.ptr + s.at + s.id_len, s.map_len}, &why);
    if (*drop) {
        entry_text(in, &s, &raw);
        e = inputs_add_bad(in, s.place, buf_span(&why), buf_span(&raw), complaints);
    }
    buf_free(&why);
    buf_free(&raw);
    return e;
}

enum err inputs_check(struct inputs *in, inputs_fits *fits, void *ctx, struct buf *complaints)
{
    bool *drop = calloc(in->n_slots + 1, sizeof *drop);
    enum err e = drop ? OK : ERR_NOMEM;
    for (size_t i = 0; e == OK && i < in->n_slots; i++)
        if (first_sample(in, i))
            e = check_entry(in, i, fits, ctx, &drop[i], complaints);
        else
            drop[i] = drop[i - 1];
    if (e == OK)
        drop_slots(in, drop);
    free(drop);
    return e;
}

enum err inputs_finish(struct inputs *in, struct buf *complaints)
{
    struct table t = {0};
    bool *drop = calloc(in->n_slots + 1, sizeof *drop);
    enum err e = drop && table_new(&t, in->n_slots) ? OK : ERR_NOMEM;
    if (e == OK)
        e = find_duplicates(in, &t, drop, complaints);
    if (e == OK) {
        drop_slots(in, drop);
        if (in->n_bads > INPUTS_MAX_SHOWN)
            buf_addf(complaints, "and %zu more bad entries\n", in->n_bads - INPUTS_MAX_SHOWN);
    }
    free(drop);
    free(t.places);
    return e;
}
