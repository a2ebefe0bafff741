// output_manifest.c - manifest.jsonl: a line an input prompt, what became of it. Line by line
// from the journals, so that memory does not grow with the batch.
#include "client/output_private.h"

#include <string.h>

#include "client/fields.h"
#include "common/json.h"

static const char *state_name(enum output_state s)
{
    static const char *const names[] = {"open", "completed", "failed", "cancelled"};
    return names[s];
}

// What the manifest tells in its own way, or does not repeat on every line.
static bool own_member(const char *name)
{
    static const char *const own[] = {"event", "batch", "event_id", "ts",
                                      "id",    "index", "digest"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(name, own[i]) == 0)
            return true;
    return false;
}

static void put_result(struct json_object *line, struct json_object *event)
{
    struct json_object *ts;
    json_object_object_foreach(event, name, value)
    {
        if (!own_member(name))
            json_object_object_add(line, name, json_object_get(value));
    }
    if (json_object_object_get_ex(event, "ts", &ts))
        json_object_object_add(line, "ended", json_object_get(ts));
}

static void put_input(struct json_object *line, const struct job *j)
{
    struct json_object *extra;
    fields_put_texts(line, j);
    if (j->samples > 1)
        json_put_int(line, "sample", j->sample);
    if (j->extra.len && fields_unpack(j->extra, &extra) == OK)
        json_put(line, "extra", extra);
}

// The id as the input has it; else as the event told it; else the default.
static enum err put_id(struct json_object *line, const struct job *j, uint32_t index,
                       struct json_object *event)
{
    struct span id;
    struct buf shown = {.max = JOB_MAX_ID + 1};
    if (!j->id.len && event && json_get_str(event, "id", &id))
        buf_add(&shown, id);
    else
        job_show_id(&shown, j, index);
    json_put_str(line, "id", buf_span(&shown));
    enum err e = shown.err;
    buf_free(&shown);
    return e;
}

static enum err make_line(const struct output *o, uint32_t index, struct json_object *line)
{
    struct job j = {.samples = 1};
    struct buf room = {.max = JOB_MAX_BYTES + 1};
    struct json_object *event;
    enum err told = output_job_event(o, index, &event);
    enum err kept = output_job_input(o, index, &j, &room);
    json_put_int(line, "index", index);
    enum err e = put_id(line, &j, index, event);
    json_put_cstr(line, "status", state_name(output_state(o, index)));
    if (kept == OK)
        put_input(line, &j);
    if (told == OK)
        put_result(line, event);
    json_object_put(event);
    buf_free(&room);
    return output_unread(told) ? told : output_unread(kept) ? kept : e;
}

// *line: NULL on failure.
static enum err manifest_line(const struct output *o, uint32_t index, struct json_object **line)
{
    *line = json_object_new_object();
    enum err e = *line ? make_line(o, index, *line) : ERR_NOMEM;
    if (e == OK)
        return OK;
    json_object_put(*line);
    *line = NULL;
    return e;
}

struct json_object *output_manifest_line(const struct output *o, uint32_t index)
{
    struct json_object *line;
    return manifest_line(o, index, &line) == OK ? line : NULL;
}

bool output_next_ordered(struct output *o, struct buf *line)
{
    struct json_object *object = NULL;
    if (output_state(o, o->next) != OUTPUT_OPEN)
        object = output_manifest_line(o, o->next);
    if (object)
        json_write(line, object);
    json_object_put(object);
    if (!object || line->err)
        return false;
    o->next++;
    return true;
}

enum err output_manifest_body(const struct output *o, FILE *f, const void *ctx)
{
    enum err e = OK;
    (void)ctx;
    for (uint32_t i = 0; e == OK && i < o->jobs.counts.total; i++) {
        struct json_object *line;
        e = manifest_line(o, i, &line);
        if (e == OK)
            e = output_print(f, line);
        json_object_put(line);
    }
    return e;
}
