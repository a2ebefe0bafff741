// output.c - the folder, its journals and what is known of each job.
#include "client/output_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/output_check.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"

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
    return output_jobs_grow(&o->jobs, total);
}

struct output_counts output_counts(const struct output *o)
{
    return output_jobs_counts(&o->jobs);
}

static const struct output_job *job_at(const struct output *o, uint32_t index)
{
    static const struct output_job open = {.state = OUTPUT_OPEN};
    return index < o->jobs.counts.total ? &o->jobs.at[index] : &open;
}

enum output_state output_state(const struct output *o, uint32_t index)
{
    return (enum output_state)job_at(o, index)->state;
}

uint16_t output_run(const struct output *o, uint32_t index)
{
    return job_at(o, index)->run;
}

bool output_has_input(const struct output *o, uint32_t index)
{
    return job_at(o, index)->has_input;
}

enum err output_job_input(const struct output *o, uint32_t index, struct job *job,
                          struct buf *room)
{
    const struct output_job *j = job_at(o, index);
    enum err e = j->has_input ? journal_read(&o->inputs, j->input, room) : ERR_MISSING;
    return e == OK ? job_decode(job, buf_span(room), NULL) : e;
}

enum err output_job_event(const struct output *o, uint32_t index, struct json_object **event)
{
    const struct output_job *j = job_at(o, index);
    struct buf record = {.max = JOURNAL_MAX_RECORD + 1};
    enum err e =
        j->state == OUTPUT_OPEN ? ERR_MISSING : journal_read(&o->results, j->result, &record);
    *event = NULL;
    if (e == OK)
        e = json_read(buf_span(&record), event, NULL);
    buf_free(&record);
    return e;
}

bool output_unread(enum err e)
{
    return e == ERR_NOMEM || e == ERR_IO;
}

// --- Events ----------------------------------------------------------------------------------

// The folder may have gone away, and what is written to the journals is lost.
static enum err check_there(const struct output *o, struct buf *why)
{
    if (o->journals_removed || !journal_is_gone(&o->results))
        return OK;
    if (why)
        buf_addf(why, "%s: was removed meanwhile", o->folder);
    return ERR_MISSING;
}

static enum err keep_event(struct output *o, const struct event *e, const struct trail *where,
                           uint64_t *at, struct buf *why)
{
    enum err err = check_there(o, why);
    if (err != OK)
        return err;
    errno = 0;
    err = output_journals_add(o, e, where, at);
    return err == OK ? OK : file_explain(why, err, errno, o->folder, "cannot keep a result");
}

static enum err keep_result(struct output *o, const struct event *e, const struct trail *where,
                            struct buf *why)
{
    struct output_result r = output_result_of(e, where);
    uint64_t at = 0;
    enum err err = output_jobs_reach(&o->jobs, r.index);
    if (err != OK || !output_jobs_is_news(&o->jobs, &r))
        return err;
    err = keep_event(o, e, where, &at, why);
    if (err == OK)
        output_jobs_note(&o->jobs, &r, at);
    return err;
}

enum err output_event(struct output *o, const struct event *e, const struct trail *at,
                      struct buf *why)
{
    return event_terminal(e->type) ? keep_result(o, e, at, why) : OK;
}

struct trail output_last(const struct output *o)
{
    return o->last;
}

bool output_images_lost(const struct output *o)
{
    return o->images_lost;
}

enum err output_input(struct output *o, uint32_t index, struct span map)
{
    uint64_t at;
    enum err e = output_jobs_reach(&o->jobs, index);
    if (e != OK || output_has_input(o, index))
        return e;
    e = journal_add(&o->inputs, index, map, &at);
    if (e == OK)
        output_jobs_note_input(&o->jobs, index, at);
    return e;
}

// --- Opening ---------------------------------------------------------------------------------

static enum err make_folder(const struct output *o, struct buf *why)
{
    char *images = output_path(o, "images");
    enum err e = images ? file_mkdirs(images) : ERR_NOMEM;
    if (e != OK && images)
        file_explain(why, e, errno, images, NULL);
    free(images);
    return e;
}

static enum err open_all(struct output *o, const struct output_options *with, struct buf *why)
{
    enum err e = output_check(o->folder, with->batch, with->nonce, with->resume, why);
    if (e == OK)
        e = make_folder(o, why);
    if (e == OK)
        e = output_set_total(o, with->total);
    if (e == OK) // before the journals: by this the folder is known
        e = output_write(o, "metadata.json", output_started_body, NULL, why);
    return e == OK ? output_journals_open(o, why) : e;
}

enum err output_open(const struct output_options *with, struct output **out, struct buf *why)
{
    struct output *o = calloc(1, sizeof *o);
    if (!o)
        return ERR_NOMEM;
    o->results.fd = o->inputs.fd = -1;
    o->opened_ms = clock_wall_ms();
    o->batch.max = o->nonce.max = JOB_MAX_NAME + 1;
    buf_add(&o->batch, with->batch);
    buf_add(&o->nonce, with->nonce);
    o->folder = strdup(with->folder);
    enum err e = !o->folder ? ERR_NOMEM : o->batch.err ? o->batch.err : o->nonce.err;
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
    buf_free(&o->nonce);
    output_jobs_free(&o->jobs);
    free(o->folder);
    free(o);
}

// --- The end ---------------------------------------------------------------------------------

enum err output_finish(struct output *o, const struct output_summary *s, struct buf *why)
{
    enum err e = check_there(o, why);
    if (e == OK)
        e = output_write(o, "manifest.jsonl", output_manifest_body, NULL, why);
    if (e == OK)
        e = o->jobs.by_state[OUTPUT_FAILED]
                ? output_write(o, "failed.jsonl", output_failed_body, NULL, why)
                : output_remove(o, "failed.jsonl", why);
    if (e == OK)
        e = output_write(o, "metadata.json", output_metadata_body, s, why);
    if (e == OK && strcmp(output_batch_state(o, s), "completed") == 0)
        output_journals_remove(o);
    return e;
}
