// output.c - the folder, its journals and what is known of each job.
#include "client/output_private.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "broker/queue.h"
#include "client/output_files.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/json.h"

void output_batch_id(char out[static OUTPUT_BATCH_ID_SIZE])
{
    unsigned char random[2];
    char time[CLOCK_COMPACT_SIZE], hex[5];
    random_bytes(random, sizeof random);
    clock_compact(clock_wall_ms(), time);
    digest_hex(random, sizeof random, hex);
    snprintf(out, OUTPUT_BATCH_ID_SIZE, "%.15s-%.4s", time, hex);
}

char *output_path(const struct output *o, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", o->folder, name) < 0 ? NULL : path;
}

const char *output_folder(const struct output *o)
{
    return o->folder;
}

// --- Jobs ------------------------------------------------------------------------------------

enum err output_set_total(struct output *o, uint32_t total)
{
    if (total > QUEUE_MAX_INDEX)
        return ERR_RANGE;
    if (total > o->cap) {
        size_t cap = o->cap * 2 > total ? o->cap * 2 : total;
        struct output_job *jobs = reallocarray(o->jobs, cap, sizeof *jobs);
        if (!jobs)
            return ERR_NOMEM;
        memset(jobs + o->cap, 0, (cap - o->cap) * sizeof *jobs);
        o->jobs = jobs;
        o->cap = cap;
    }
    if (total > o->counts.total) {
        o->by_state[OUTPUT_OPEN] += total - o->counts.total;
        o->counts.total = total;
    }
    return OK;
}

static enum err reach(struct output *o, uint32_t index)
{
    return index >= QUEUE_MAX_INDEX  ? ERR_RANGE
           : index < o->counts.total ? OK
                                     : output_set_total(o, index + 1);
}

struct result { // of a terminal event, whether it came live or from the journal
    uint32_t index;
    uint16_t run;
    enum output_state state;
    int64_t cost_micro, images, bytes;
    uint64_t event_number;
};

static void note(struct output *o, const struct result *r, uint64_t at)
{
    struct output_job *job = &o->jobs[r->index];
    o->by_state[job->state]--;
    o->by_state[r->state]++;
    job->state = (uint8_t)r->state;
    job->run = r->run;
    job->result = at;
    o->counts.cost_micro += r->cost_micro;
    o->counts.images += r->images;
    o->counts.bytes += r->bytes;
}

static void note_number(struct output *o, uint64_t number)
{
    if (number > o->counts.last_event)
        o->counts.last_event = number;
}

static bool is_news(const struct output *o, const struct result *r)
{
    const struct output_job *job = &o->jobs[r->index];
    return job->state == OUTPUT_OPEN || r->run > job->run;
}

enum output_state output_state(const struct output *o, uint32_t index)
{
    return index < o->counts.total ? (enum output_state)o->jobs[index].state : OUTPUT_OPEN;
}

uint16_t output_run(const struct output *o, uint32_t index)
{
    return index < o->counts.total ? o->jobs[index].run : 0;
}

struct output_counts output_counts(const struct output *o)
{
    struct output_counts c = o->counts;
    c.completed = o->by_state[OUTPUT_COMPLETED];
    c.failed = o->by_state[OUTPUT_FAILED];
    c.cancelled = o->by_state[OUTPUT_CANCELLED];
    return c;
}

enum err output_explain(struct buf *why, enum err e, const char *place, const char *what)
{
    if (why)
        buf_addf(why, "%s: %s", place, what);
    return e;
}

// --- Events ----------------------------------------------------------------------------------

static enum output_state state_of(enum event_type t)
{
    return t == EVENT_COMPLETED ? OUTPUT_COMPLETED
           : t == EVENT_FAILED  ? OUTPUT_FAILED
                                : OUTPUT_CANCELLED;
}

static enum err write_event(struct output *o, const struct event *e, uint64_t number,
                            uint64_t *at)
{
    char id[32];
    struct buf line = {.max = JOURNAL_MAX_RECORD};
    snprintf(id, sizeof id, "%llu-0", (unsigned long long)number);
    struct json_object *object = event_json(e, buf_span(&o->batch), span_of(id));
    if (!object)
        return ERR_NOMEM;
    json_write(&line, object);
    json_object_put(object);
    enum err err = line.err;
    if (err == OK)
        err = journal_add(&o->results, e->index, buf_span(&line), at);
    buf_free(&line);
    return err;
}

enum err output_check_there(const struct output *o, struct buf *why)
{
    return o->journals_removed || !journal_is_gone(&o->results)
               ? OK
               : output_explain(why, ERR_MISSING, o->folder, "was removed meanwhile");
}

static enum err keep_event(struct output *o, const struct event *e, uint64_t number,
                           uint64_t *at, struct buf *why)
{
    enum err err = output_check_there(o, why);
    if (err != OK)
        return err;
    errno = 0;
    err = write_event(o, e, number, at);
    return err == OK ? OK : file_explain(why, err, errno, o->folder, "cannot keep a result");
}

enum err output_event(struct output *o, const struct event *e, uint64_t event_number,
                      struct buf *why)
{
    struct result r = {.index = e->index,
                       .run = e->run,
                       .state = state_of(e->type),
                       .cost_micro = e->cost_micro,
                       .images = e->n_images};
    uint64_t at = 0;
    if (!event_terminal(e->type)) {
        note_number(o, event_number);
        return OK;
    }
    enum err err = reach(o, e->index);
    if (err == OK && is_news(o, &r)) {
        for (unsigned i = 0; i < e->n_images && i < EVENT_MAX_IMAGES; i++)
            r.bytes += (int64_t)e->images[i].bytes;
        err = keep_event(o, e, event_number, &at, why);
        if (err == OK)
            note(o, &r, at);
    }
    if (err == OK)
        note_number(o, event_number);
    return err;
}

// --- Inputs ----------------------------------------------------------------------------------

bool output_has_input(const struct output *o, uint32_t index)
{
    return index < o->counts.total && o->jobs[index].has_input;
}

enum err output_input(struct output *o, uint32_t index, struct span map)
{
    uint64_t at;
    enum err e = reach(o, index);
    if (e != OK || o->jobs[index].has_input)
        return e;
    e = journal_add(&o->inputs, index, map, &at);
    if (e == OK) {
        o->jobs[index].input = at;
        o->jobs[index].has_input = true;
    }
    return e;
}

bool output_job_input(const struct output *o, uint32_t index, struct job *job, struct buf *room)
{
    return output_has_input(o, index) &&
           journal_read(&o->inputs, o->jobs[index].input, room) == OK &&
           job_decode(job, buf_span(room), NULL) == OK;
}

// --- Opening ---------------------------------------------------------------------------------

static enum err seen_input(void *ctx, uint32_t index, uint64_t at, struct span record)
{
    struct output *o = ctx;
    (void)record;
    enum err e = reach(o, index);
    if (e == OK) {
        o->jobs[index].input = at;
        o->jobs[index].has_input = true;
    }
    return e;
}

static bool parse_state(struct span name, enum output_state *out)
{
    static const enum event_type types[] = {EVENT_COMPLETED, EVENT_FAILED, EVENT_CANCELLED};
    for (size_t i = 0; i < 3; i++)
        if (span_is(name, event_name(types[i]))) {
            *out = state_of(types[i]);
            return true;
        }
    return false;
}

static void sum_images(struct json_object *event, struct result *r)
{
    struct json_object *images;
    int64_t bytes;
    if (!json_get(event, "images", json_type_array, &images))
        return;
    r->images = (int64_t)json_object_array_length(images);
    for (int64_t i = 0; i < r->images; i++)
        if (json_get_int(json_object_array_get_idx(images, (size_t)i), "bytes", &bytes))
            r->bytes += bytes;
}

static bool parse_result(struct json_object *event, struct result *r)
{
    struct span name, id;
    int64_t run;
    struct json_object *cost;
    if (!json_get_str(event, "event", &name) || !parse_state(name, &r->state) ||
        !json_get_int(event, "run", &run) || run < 0 || run > UINT16_MAX ||
        !json_get_str(event, "event_id", &id))
        return false;
    r->run = (uint16_t)run;
    r->event_number = strtoull(id.ptr, NULL, 10);
    if (json_object_object_get_ex(event, "cost_usd", &cost))
        r->cost_micro = llround(json_object_get_double(cost) * 1e6);
    sum_images(event, r);
    return true;
}

static enum err seen_result(void *ctx, uint32_t index, uint64_t at, struct span record)
{
    struct output *o = ctx;
    struct json_object *event;
    struct result r = {.index = index};
    if (json_read(record, &event, NULL) != OK)
        return ERR_FORMAT; // torn: this and what follows is asked for again
    enum err e = parse_result(event, &r) ? reach(o, index) : ERR_FORMAT;
    bool lost = e == OK && output_files_missing(o->folder, event, NULL) > 0;
    json_object_put(event);
    o->images_lost = o->images_lost || lost;
    if (e == OK && !lost && is_news(o, &r))
        note(o, &r, at);
    if (e == OK)
        note_number(o, r.event_number);
    return e;
}

// What is always there, or put there by workers that share the folder before a client comes.
static bool is_expected(const char *name)
{
    static const char *const names[] = {".", "..", "images", ".records"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool has_files(const char *folder)
{
    DIR *d = opendir(folder);
    const struct dirent *entry;
    bool any = false;
    while (d && !any && (entry = readdir(d)))
        any = !is_expected(entry->d_name);
    if (d)
        closedir(d);
    return any;
}

static enum err check_metadata(const struct output *o, struct json_object *meta,
                               struct buf *why)
{
    struct span batch, state;
    if (!json_get_str(meta, "batch", &batch) || !json_get_str(meta, "state", &state))
        return output_explain(why, ERR_ORDER, o->folder, "its metadata.json is not a batch's");
    if (!span_equal(batch, buf_span(&o->batch)))
        return output_explain(why, ERR_ORDER, o->folder, "belongs to another batch");
    struct output_files n; // what was lost of a complete one may be fetched again
    return span_is(state, "completed") && output_files_look(o->folder, &n) == OK &&
                   n.missing == 0
               ? output_explain(why, ERR_EXISTS, o->folder, "is complete")
               : OK;
}

// A folder to go on with must be of this batch, and not be complete.
static enum err check_batch(const struct output *o, struct buf *why)
{
    struct buf text = {.max = 1u << 30};
    struct json_object *meta = NULL;
    char *path = output_path(o, "metadata.json");
    enum err e = path ? file_read(path, &text) : ERR_NOMEM;
    if (e == ERR_MISSING)
        e = has_files(o->folder) ? output_explain(why, ERR_ORDER, o->folder, "not a batch's")
                                 : OK;
    else if (e == OK && json_read(buf_span(&text), &meta, NULL) != OK)
        e = output_explain(why, ERR_ORDER, o->folder, "its metadata.json is malformed");
    else if (e == OK)
        e = check_metadata(o, meta, why);
    json_object_put(meta);
    buf_free(&text);
    free(path);
    return e;
}

static enum err check_folder(const struct output *o, bool resume, struct buf *why)
{
    bool there = file_exists(o->folder);
    if (resume)
        return there ? check_batch(o, why)
                     : output_explain(why, ERR_MISSING, o->folder, "there is no such folder");
    return there && has_files(o->folder)
               ? output_explain(why, ERR_EXISTS, o->folder, "is there already and is not empty")
               : OK;
}

static enum err make_folder(const struct output *o, struct buf *why)
{
    char *images = output_path(o, "images");
    enum err e = images ? file_mkdirs(images) : ERR_NOMEM;
    if (e != OK && images)
        file_explain(why, e, errno, images, NULL);
    free(images);
    return e;
}

static enum err open_journal(struct output *o, struct journal *j, const char *name,
                             journal_seen *seen, struct buf *why)
{
    char *path = output_path(o, name);
    errno = 0;
    enum err e = path ? journal_open(j, path, seen, o) : ERR_NOMEM;
    if (e != OK && path)
        file_explain(why, e, errno, path, NULL);
    free(path);
    return e;
}

static enum err open_all(struct output *o, const struct output_options *with, struct buf *why)
{
    enum err e = check_folder(o, with->resume, why);
    if (e == OK)
        e = make_folder(o, why);
    if (e == OK)
        e = output_set_total(o, with->total);
    if (e == OK) // before the journals: by this the folder is known
        e = output_write_started(o, why);
    if (e == OK)
        e = open_journal(o, &o->inputs, ".inputs", seen_input, why);
    if (e == OK)
        e = open_journal(o, &o->results, ".results", seen_result, why);
    if (o->images_lost)
        o->counts.last_event = 0;
    return e;
}

enum err output_open(const struct output_options *with, struct output **out, struct buf *why)
{
    struct output *o = calloc(1, sizeof *o);
    if (!o)
        return ERR_NOMEM;
    o->results.fd = o->inputs.fd = -1;
    o->opened_ms = clock_wall_ms();
    o->batch.max = JOB_MAX_NAME + 1;
    buf_add(&o->batch, with->batch);
    o->folder = strdup(with->folder);
    enum err e = o->folder ? o->batch.err : ERR_NOMEM;
    if (e == OK)
        e = open_all(o, with, why);
    if (e == OK)
        *out = o;
    else
        output_free(o);
    return e;
}

void output_free(struct output *o)
{
    if (!o)
        return;
    journal_close(&o->results);
    journal_close(&o->inputs);
    buf_free(&o->batch);
    free(o->jobs);
    free(o->folder);
    free(o);
}
