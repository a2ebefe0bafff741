// inputs.c - the list of jobs and of bad entries. All bytes live in two buffers, found by
// offsets, for the buffers move as they grow.
#include "client/inputs.h"

#include <stdlib.h>
#include <string.h>

#include "client/fields.h"
#include "common/file.h"
#include "common/json.h"
#include "common/text.h"

#define REJECTS_MAX_BYTES (256u << 20) // of raw text kept; beyond it only the place and reason

struct place {
    uint32_t file, line; // number of the file among in->names
};

struct slot {  // one job
    size_t at; // in in->bytes: the id, then the map
    uint32_t id_len, map_len;
    struct place place;
    uint32_t input;
    bool own_id; // given, not the default
};

struct bad {
    size_t at; // in in->rejects: the reason, then the raw text
    uint32_t why_len, raw_len;
    struct place place;
};

struct inputs {
    struct job defaults;
    uint32_t entries; // good and bad
    struct buf bytes, rejects;
    struct slot *slots;
    size_t n_slots, cap_slots;
    struct bad *bads;
    size_t n_bads, cap_bads;
    char **names;
    size_t n_names, cap_names;
};

struct inputs *inputs_new(const struct job *defaults, uint32_t count)
{
    struct inputs *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    in->defaults = *defaults;
    in->defaults.sample = 1;
    in->defaults.samples = (uint16_t)(count < 1                 ? 1
                                      : count > JOB_MAX_SAMPLES ? JOB_MAX_SAMPLES
                                                                : count);
    in->bytes.max = INPUTS_MAX_BYTES;
    in->rejects.max = REJECTS_MAX_BYTES + JOB_MAX_BYTES;
    return in;
}

void inputs_free(struct inputs *in)
{
    if (!in)
        return;
    for (size_t i = 0; i < in->n_names; i++)
        free(in->names[i]);
    free(in->names);
    free(in->slots);
    free(in->bads);
    buf_free(&in->bytes);
    buf_free(&in->rejects);
    free(in);
}

const struct job *inputs_defaults(const struct inputs *in)
{
    return &in->defaults;
}

// Room for one more element at the end of an array.
static bool grow(void **array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 64;
    void *p = reallocarray(*array, more, size);
    if (!p)
        return false;
    *array = p;
    *cap = more;
    return true;
}

const char *inputs_name(struct inputs *in, const char *path)
{
    void *names = in->names;
    if (!grow(&names, in->n_names, &in->cap_names, sizeof *in->names))
        return NULL;
    in->names = names;
    char *copy = strdup(path);
    if (copy)
        in->names[in->n_names++] = copy;
    return copy;
}

// The file being read is the last one that was named.
static struct place place_of(const struct inputs *in, uint32_t line)
{
    return (struct place){(uint32_t)in->n_names - 1, line};
}

static enum err put_job(struct inputs *in, const struct job *job, bool own_id, uint32_t line)
{
    struct slot s = {in->bytes.len,      (uint32_t)job->id.len, 0,
                     place_of(in, line), in->entries,           own_id};
    void *slots = in->slots;
    if (in->n_slots >= INPUTS_MAX_JOBS)
        return ERR_TOOBIG;
    if (!grow(&slots, in->n_slots, &in->cap_slots, sizeof *in->slots))
        return ERR_NOMEM;
    in->slots = slots;
    buf_add(&in->bytes, job->id);
    job_encode(&in->bytes, job);
    if (in->bytes.err)
        return in->bytes.err;
    size_t len = in->bytes.len - s.at - s.id_len;
    if (len > JOB_MAX_BYTES)
        return ERR_RANGE;
    s.map_len = (uint32_t)len;
    in->slots[in->n_slots++] = s;
    return OK;
}

enum err inputs_put(struct inputs *in, const struct job *job, uint32_t line)
{
    char id[16];
    struct job j = *job;
    size_t slots = in->n_slots, bytes = in->bytes.len;
    enum err e = OK;
    snprintf(id, sizeof id, "%08u", in->entries);
    if (!job->id.len)
        j.id = span_of(id);
    j.input = in->entries;
    for (uint16_t k = 1; e == OK && k <= j.samples; k++) {
        j.sample = k;
        e = put_job(in, &j, job->id.len > 0, line);
    }
    if (e == OK) {
        in->entries++;
    } else { // none of its samples without the others
        in->n_slots = slots;
        in->bytes.len = bytes;
    }
    return e;
}

static void complain(const struct inputs *in, struct place p, struct span why,
                     struct buf *complaints)
{
    if (in->n_bads > INPUTS_MAX_SHOWN)
        return;
    buf_addf(complaints, "%s:%u: ", in->names[p.file], p.line);
    buf_add(complaints, why);
    buf_add_str(complaints, "\n");
}

static enum err put_bad(struct inputs *in, struct place p, struct span why, struct span raw,
                        struct buf *complaints)
{
    void *bads = in->bads;
    if (!grow(&bads, in->n_bads, &in->cap_bads, sizeof *in->bads))
        return ERR_NOMEM;
    in->bads = bads;
    if (in->rejects.len + why.len + raw.len > REJECTS_MAX_BYTES)
        raw.len = why.len = 0; // the complaint was shown, or counted
    struct bad b = {in->rejects.len, (uint32_t)why.len, (uint32_t)raw.len, p};
    buf_add(&in->rejects, why);
    buf_add(&in->rejects, raw);
    if (in->rejects.err)
        return in->rejects.err;
    in->bads[in->n_bads++] = b;
    complain(in, p, why, complaints);
    return OK;
}

enum err inputs_put_bad(struct inputs *in, uint32_t line, struct span why, struct span raw,
                        struct buf *complaints)
{
    in->entries++;
    return put_bad(in, place_of(in, line), why, raw, complaints);
}

size_t inputs_count(const struct inputs *in)
{
    return in->n_slots;
}

struct input_entry inputs_at(const struct inputs *in, size_t i)
{
    const struct slot *s = &in->slots[i];
    const char *at = in->bytes.ptr + s->at;
    return (struct input_entry){{at, s->id_len},
                                {at + s->id_len, s->map_len},
                                in->names[s->place.file],
                                s->place.line,
                                s->input};
}

size_t inputs_bad(const struct inputs *in)
{
    return in->n_bads;
}

struct input_reject inputs_rejected(const struct inputs *in, size_t i)
{
    const struct bad *b = &in->bads[i];
    const char *at = buf_str(&in->rejects) + b->at;
    return (struct input_reject){in->names[b->place.file],
                                 b->place.line,
                                 {at, b->why_len},
                                 {at + b->why_len, b->raw_len}};
}

// --- Ids -------------------------------------------------------------------------------------

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
    enum err e = put_bad(in, s.place, buf_span(&why), buf_span(&raw), complaints);
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
        e = put_bad(in, s.place, buf_span(&why), buf_span(&raw), complaints);
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

// --- The file of rejects ---------------------------------------------------------------------

static void write_reject(FILE *f, const struct input_reject *r, struct buf *line)
{
    struct json_object *o = json_object_new_object();
    struct buf text = {.max = INPUTS_MAX_RECORD * 5};
    json_put_cstr(o, "file", r->file);
    json_put_int(o, "line", r->line);
    json_put_str(o, "error", r->why);
    if (!text_utf8(r->raw, NULL))
        text_show(&text, r->raw, text.max); // bytes that JSON cannot hold, as \xNN
    json_put_str(o, "raw", text.len ? buf_span(&text) : r->raw);
    buf_clear(line);
    json_write(line, o);
    fwrite(buf_str(line), 1, line->len, f);
    putc('\n', f);
    json_object_put(o);
    buf_free(&text);
}

enum err inputs_write_rejects(const struct inputs *in, const char *path)
{
    struct file_atomic *file;
    struct buf line = {.max = INPUTS_MAX_RECORD * 8};
    enum err e = file_atomic_open(path, &file);
    if (e != OK)
        return e;
    for (size_t i = 0; i < in->n_bads; i++) {
        struct input_reject r = inputs_rejected(in, i);
        write_reject(file_atomic_stream(file), &r, &line);
    }
    e = line.err;
    buf_free(&line);
    if (e == OK)
        return file_atomic_commit(file);
    file_atomic_abort(file);
    return e;
}
