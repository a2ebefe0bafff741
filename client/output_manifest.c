// output_manifest.c - what is written at a batch's end: manifest.jsonl, failed.jsonl and
// metadata.json, line by line from the journals, so that memory does not grow with the batch.
#include "client/output_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/fields.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"

#define MAX_LINE (4u << 20) // a job's texts and its result, escaped

static const char *state_name(enum output_state s)
{
    static const char *const names[] = {"open", "completed", "failed", "cancelled"};
    return names[s];
}

static struct json_object *read_result(const struct output *o, uint32_t index)
{
    struct buf record = {.max = JOURNAL_MAX_RECORD + 1};
    struct json_object *event = NULL;
    if (journal_read(&o->results, o->jobs[index].result, &record) != OK ||
        json_read(buf_span(&record), &event, NULL) != OK)
        event = NULL;
    buf_free(&record);
    return event;
}

// What the manifest tells in its own way, or does not repeat on every line.
static bool own_member(const char *name)
{
    static const char *const own[] = {"event", "batch", "event_id", "ts", "id", "index"};
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
static void put_id(struct json_object *line, const struct job *j, uint32_t index,
                   struct json_object *event)
{
    struct span id;
    struct buf shown = {.max = JOB_MAX_ID + 1};
    if (!j->id.len && event && json_get_str(event, "id", &id))
        buf_add(&shown, id);
    else
        job_show_id(&shown, j, index);
    json_put_str(line, "id", buf_span(&shown));
    buf_free(&shown);
}

struct json_object *output_manifest_line(const struct output *o, uint32_t index)
{
    struct job j = {.samples = 1};
    struct buf room = {.max = JOB_MAX_BYTES + 1};
    struct json_object *line = json_object_new_object();
    enum output_state state = output_state(o, index);
    struct json_object *event = state == OUTPUT_OPEN ? NULL : read_result(o, index);
    bool input = output_job_input(o, index, &j, &room);
    json_put_int(line, "index", index);
    put_id(line, &j, index, event);
    json_put_cstr(line, "status", state_name(state));
    if (line && input)
        put_input(line, &j);
    if (line && event)
        put_result(line, event);
    json_object_put(event);
    buf_free(&room);
    return line;
}

static enum err add_line(const struct output *o, uint32_t index, struct buf *out)
{
    struct json_object *line = output_manifest_line(o, index);
    if (!line)
        return ERR_NOMEM;
    json_write(out, line);
    json_object_put(line);
    return out->err;
}

bool output_next_ordered(struct output *o, struct buf *line)
{
    if (output_state(o, o->next) == OUTPUT_OPEN || add_line(o, o->next, line) != OK)
        return false;
    o->next++;
    return true;
}

// --- Files -----------------------------------------------------------------------------------

typedef enum err write_body(const struct output *o, FILE *f, const void *ctx);

// One file of the folder, whole or not at all.
static enum err write_path(const struct output *o, const char *path, write_body *body,
                           const void *ctx)
{
    struct file_atomic *file;
    enum err e = file_atomic_open(path, &file);
    if (e != OK)
        return e;
    e = body(o, file_atomic_stream(file), ctx);
    if (e == OK)
        return file_atomic_commit(file);
    file_atomic_abort(file);
    return e;
}

static enum err write_file(const struct output *o, const char *name, write_body *body,
                           const void *ctx, struct buf *why)
{
    char *path = output_path(o, name);
    errno = 0;
    enum err e = path ? write_path(o, path, body, ctx) : ERR_NOMEM;
    if (e != OK && path)
        file_explain(why, e, errno, path, "cannot be written");
    free(path);
    return e;
}

static void print_line(FILE *f, struct buf *line) // commit tells whether it went well
{
    fwrite(buf_str(line), 1, line->len, f);
    putc('\n', f);
    buf_clear(line);
}

static enum err manifest_body(const struct output *o, FILE *f, const void *ctx)
{
    struct buf line = {.max = MAX_LINE};
    enum err e = OK;
    (void)ctx;
    for (uint32_t i = 0; e == OK && i < o->counts.total; i++) {
        e = add_line(o, i, &line);
        if (e == OK)
            print_line(f, &line);
    }
    buf_free(&line);
    return e;
}

// One line an input: its failed samples are asked for again by their number.
static enum err print_failed(FILE *f, const struct job *j, int64_t samples)
{
    struct buf line = {.max = MAX_LINE};
    struct json_object *entry = fields_entry(j);
    if (!entry)
        return ERR_NOMEM;
    if (samples > 1 || j->samples > 1)
        json_put_int(entry, "count", samples);
    json_write(&line, entry);
    json_object_put(entry);
    enum err e = line.err;
    if (e == OK)
        print_line(f, &line);
    buf_free(&line);
    return e;
}

// How many of the jobs from `first` on are samples of the same input, and how many failed.
static uint32_t samples_of(const struct output *o, uint32_t first, const struct job *j,
                           int64_t *failed)
{
    uint32_t i = first;
    struct job other;
    struct buf room = {.max = JOB_MAX_BYTES + 1};
    *failed = 0;
    do {
        *failed += output_state(o, i) == OUTPUT_FAILED;
        i++;
    } while (j->samples > 1 && i < o->counts.total && output_job_input(o, i, &other, &room) &&
             other.input == j->input && other.sample > 1);
    buf_free(&room);
    return i - first;
}

static enum err failed_body(const struct output *o, FILE *f, const void *ctx)
{
    struct buf room = {.max = JOB_MAX_BYTES + 1};
    struct job j;
    enum err e = OK;
    uint32_t step;
    (void)ctx;
    for (uint32_t i = 0; e == OK && i < o->counts.total; i += step) {
        int64_t failed;
        step = 1;
        if (!output_job_input(o, i, &j, &room))
            continue;
        step = samples_of(o, i, &j, &failed);
        if (failed)
            e = print_failed(f, &j, failed);
    }
    buf_free(&room);
    return e;
}

static enum err write_failed(const struct output *o, struct buf *why)
{
    if (o->by_state[OUTPUT_FAILED])
        return write_file(o, "failed.jsonl", failed_body, NULL, why);
    char *path = output_path(o, "failed.jsonl");
    enum err e = !path ? ERR_NOMEM : unlink(path) == 0 || errno == ENOENT ? OK : ERR_IO;
    if (e == ERR_IO)
        file_explain(why, e, errno, path, "cannot be removed");
    free(path);
    return e;
}

// --- metadata.json ---------------------------------------------------------------------------

static void put_time(struct json_object *o, const char *name, int64_t ms)
{
    char text[CLOCK_RFC3339_SIZE];
    if (!ms)
        return;
    clock_rfc3339(ms, text);
    json_put_cstr(o, name, text);
}

static const char *batch_state(const struct output *o, const struct output_summary *s)
{
    if (s->interrupted || o->by_state[OUTPUT_OPEN])
        return "interrupted";
    return o->by_state[OUTPUT_COMPLETED] == o->counts.total ? "completed" : "ended";
}

static void put_counts(struct json_object *o, const struct output *out)
{
    struct json_object *counts = json_object_new_object();
    json_put_int(counts, "total", out->counts.total);
    json_put_int(counts, "completed", out->by_state[OUTPUT_COMPLETED]);
    json_put_int(counts, "failed", out->by_state[OUTPUT_FAILED]);
    json_put_int(counts, "cancelled", out->by_state[OUTPUT_CANCELLED]);
    json_put_int(counts, "open", out->by_state[OUTPUT_OPEN]);
    json_put_int(counts, "images", out->counts.images);
    json_put_int(counts, "bytes", out->counts.bytes);
    json_put(o, "counts", counts);
}

static struct json_object *metadata(const struct output *out, const char *state)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "batch", buf_span(&out->batch));
    json_put_cstr(o, "state", state);
    json_put_cstr(o, "genfarm", GENFARM_VERSION);
    return o;
}

static struct json_object *whole_metadata(const struct output *out,
                                          const struct output_summary *s)
{
    struct json_object *o = metadata(out, batch_state(out, s));
    put_time(o, "submitted", s->submitted_ms);
    put_time(o, "ended", s->ended_ms);
    if (s->submitted_ms && s->ended_ms >= s->submitted_ms)
        json_put_fixed(o, "seconds", (double)(s->ended_ms - s->submitted_ms) / 1000, 3);
    if (s->model.len)
        json_put_str(o, "model", s->model);
    if (s->options)
        json_put(o, "options", json_object_get(s->options));
    put_counts(o, out);
    json_put_usd(o, "cost_usd", out->counts.cost_micro);
    json_put_int(o, "possible_double_bill", s->possible_double_bill);
    return o;
}

static void print_paths(const struct output *o, uint32_t index, FILE *f, bool *first)
{
    struct json_object *images, *event = read_result(o, index);
    struct buf text = {.max = MAX_LINE};
    size_t n = event && json_get(event, "images", json_type_array, &images)
                   ? json_object_array_length(images)
                   : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *path = json_at(json_object_array_get_idx(images, i), "path");
        buf_clear(&text);
        json_write(&text, path);
        fprintf(f, "%s\n%s", *first ? "" : ",", buf_str(&text));
        *first = false;
    }
    json_object_put(event);
    buf_free(&text);
}

// The images' paths come last and one by one: there may be a hundred thousand.
static enum err metadata_body(const struct output *o, FILE *f, const void *ctx)
{
    struct buf text = {.max = MAX_LINE};
    struct json_object *head = whole_metadata(o, ctx);
    bool first = true;
    if (head)
        json_write(&text, head);
    json_object_put(head);
    if (!text.len || text.err) {
        buf_free(&text);
        return text.err ? text.err : ERR_NOMEM;
    }
    fwrite(text.ptr, 1, text.len - 1, f); // all but the closing bracket
    fputs(",\"images\":[", f);
    for (uint32_t i = 0; i < o->counts.total; i++)
        if (output_state(o, i) == OUTPUT_COMPLETED)
            print_paths(o, i, f, &first);
    fputs("]}\n", f);
    buf_free(&text);
    return OK;
}

static enum err started_body(const struct output *o, FILE *f, const void *ctx)
{
    struct buf text = {.max = MAX_LINE};
    struct json_object *m = metadata(o, "running");
    (void)ctx;
    put_time(m, "submitted", o->opened_ms);
    if (m)
        json_write(&text, m);
    json_object_put(m);
    enum err e = text.len ? text.err : ERR_NOMEM;
    if (e == OK)
        print_line(f, &text);
    buf_free(&text);
    return e;
}

enum err output_write_started(const struct output *o, struct buf *why)
{
    return write_file(o, "metadata.json", started_body, NULL, why);
}

// --- The end ---------------------------------------------------------------------------------

static void remove_journals(struct output *o)
{
    o->journals_removed = true;
    static const char *const names[] = {".results", ".inputs"};
    for (size_t i = 0; i < 2; i++) {
        char *path = output_path(o, names[i]);
        if (path)
            unlink(path); // the open descriptors go on reading
        free(path);
    }
}

enum err output_finish(struct output *o, const struct output_summary *s, struct buf *why)
{
    enum err e = output_check_there(o, why);
    if (e == OK)
        e = write_file(o, "manifest.jsonl", manifest_body, NULL, why);
    if (e == OK)
        e = write_failed(o, why);
    if (e == OK)
        e = write_file(o, "metadata.json", metadata_body, s, why);
    if (e == OK && strcmp(batch_state(o, s), "completed") == 0)
        remove_journals(o);
    return e;
}
