#include "client/input_reader.h"

#include <string.h>

#include "client/fields.h"
#include "client/inputs.h"
#include "common/json.h"
#include "common/mp.h"
#include "common/text.h"

void draft_open(struct draft *d)
{
    *d = (struct draft){.extra = {.max = JOB_MAX_BYTES}, .why = {.max = 1024}};
}

void draft_free(struct draft *d)
{
    json_object_put(d->json);
    buf_free(&d->extra);
    buf_free(&d->why);
}

bool draft_ok(const struct draft *d)
{
    return d->why.len == 0 && d->err == OK;
}

void draft_fail(struct draft *d, const char *fmt, ...)
{
    va_list ap;
    if (!draft_ok(d))
        return;
    va_start(ap, fmt);
    buf_vaddf(&d->why, fmt, ap);
    va_end(ap);
    if (d->why.err == ERR_NOMEM)
        d->err = ERR_NOMEM;
    else if (!d->why.len) // the words themselves were too long
        buf_add_str(&d->why, "malformed");
}

static void check_raw(struct draft *d, const struct buf *raw)
{
    size_t bad;
    const char *nul = raw->len ? memchr(raw->ptr, 0, raw->len) : NULL;
    if (raw->err == ERR_NOMEM)
        d->err = ERR_NOMEM;
    else if (raw->err == ERR_TOOBIG)
        draft_fail(d, "longer than %u KiB", JOB_MAX_BYTES / 1024);
    else if (nul)
        draft_fail(d, "a NUL byte at byte %zu", (size_t)(nul - raw->ptr));
    else if (!text_utf8(buf_span(raw), &bad))
        draft_fail(d, "not UTF-8 at byte %zu", bad);
}

void draft_begin(struct draft *d, const struct reader *r, uint32_t line, const struct buf *raw)
{
    json_object_put(d->json);
    d->json = NULL;
    d->job = *inputs_defaults(r->in);
    d->reader = r;
    d->line = line;
    d->raw = buf_span(raw);
    buf_clear(&d->extra);
    d->n_extra = 0;
    buf_clear(&d->why);
    d->err = OK;
    check_raw(d, raw);
}

static struct span shown(struct span name, struct buf *room)
{
    text_show(room, name, 60);
    return buf_span(room);
}

bool draft_knows(struct span name)
{
    struct job scratch = {.samples = 1};
    return job_set(&scratch, name, SPAN(""), NULL) != ERR_MISSING;
}

static bool is_reference(struct span name)
{
    return span_is_case(name, "reference") || span_is_case(name, "references");
}

static void set_known(struct draft *d, struct span name, struct span value)
{
    struct buf why = {.max = 512};
    if (value.len && job_set(&d->job, name, value, &why) != OK)
        draft_fail(d, "%s", why.len ? buf_str(&why) : "malformed");
    buf_free(&why);
}

static void pack_name(struct draft *d, struct span name)
{
    msgpack_packer pk;
    mp_packer(&pk, &d->extra);
    mp_pack_span(&pk, name);
    d->n_extra++;
}

void draft_set(struct draft *d, struct span name, struct span value)
{
    struct buf room = {.max = 256};
    msgpack_packer pk;
    if (!draft_ok(d))
        return;
    if (value.len && memchr(value.ptr, 0, value.len)) {
        struct span s = shown(name, &room);
        draft_fail(d, "\"%.*s\" holds a NUL character", (int)s.len, s.ptr);
    } else if (draft_knows(name)) {
        set_known(d, name, value);
    } else {
        draft_hint(d, name);
        pack_name(d, name);
        mp_packer(&pk, &d->extra);
        mp_pack_span(&pk, value);
    }
    buf_free(&room);
}

// Numbers and truth values are taken as they are written, but for the prompt, where they are
// surely a slip.
static void set_known_json(struct draft *d, struct span name, struct json_object *v)
{
    bool text = json_object_is_type(v, json_type_string);
    bool plain = json_object_is_type(v, json_type_int) ||
                 json_object_is_type(v, json_type_double) ||
                 json_object_is_type(v, json_type_boolean);
    if (text)
        draft_set(
            d, name,
            (struct span){json_object_get_string(v), (size_t)json_object_get_string_len(v)});
    else if (plain && !span_is_case(name, "prompt"))
        draft_set(d, name, span_of(json_object_to_json_string(v)));
    else if (is_reference(name))
        set_known(d, name, SPAN("a list"));
    else
        draft_fail(d, "\"%.*s\" is not a text", (int)name.len, name.ptr);
}

void draft_set_json(struct draft *d, struct span name, struct json_object *value)
{
    if (!draft_ok(d))
        return;
    if (!draft_knows(name)) {
        draft_hint(d, name);
        pack_name(d, name);
        fields_pack(&d->extra, value);
    } else if (value) { // null is as if it were absent
        set_known_json(d, name, value);
    }
}

static void set_members(struct draft *d, struct json_object *o)
{
    json_object_object_foreach(o, name, value)
    {
        draft_set_json(d, span_of(name), value);
    }
}

void input_json_entry(struct draft *d)
{
    struct buf why = {.max = 256};
    if (!draft_ok(d))
        return;
    enum err e = json_read(d->raw, &d->json, &why);
    if (e == ERR_NOMEM)
        d->err = e;
    else if (e != OK)
        draft_fail(d, "malformed JSON: %s", buf_str(&why));
    else if (json_object_is_type(d->json, json_type_object))
        set_members(d, d->json);
    else if (json_object_is_type(d->json, json_type_string))
        draft_set_json(d, SPAN("prompt"), d->json);
    else
        draft_fail(d, "neither an object nor a text");
    buf_free(&why);
}
