// output_journals.c - what a folder knows of its jobs: the journals of inputs and results.
#include "client/output_private.h"

#include <errno.h>
#include <stdlib.h>

#include "client/output_files.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/json.h"

static void note_last(struct output *o, const struct trail *event)
{
    if (event->number > o->last.number)
        o->last = *event;
}

// --- Adding ----------------------------------------------------------------------------------

enum err output_journals_add(struct output *o, const struct event *e, const struct trail *where,
                             uint64_t *at)
{
    char id[32], hex[DIGEST_HEX];
    struct buf line = {.max = JOURNAL_MAX_RECORD};
    snprintf(id, sizeof id, "%llu-0", (unsigned long long)where->number);
    struct json_object *object = event_json(e, buf_span(&o->batch), span_of(id));
    if (!object)
        return ERR_NOMEM;
    if (where->known) {
        digest_hex(where->digest, DIGEST_SIZE, hex);
        json_put_cstr(object, "digest", hex);
    }
    json_write(&line, object);
    json_object_put(object);
    enum err err = line.err;
    if (err == OK)
        err = journal_add(&o->results, e->index, buf_span(&line), at);
    if (err == OK)
        note_last(o, where);
    buf_free(&line);
    return err;
}

// --- Opening ---------------------------------------------------------------------------------

static enum err seen_input(void *ctx, uint32_t index, uint64_t at, struct span record)
{
    struct output *o = ctx;
    (void)record;
    enum err e = output_jobs_reach(&o->jobs, index);
    if (e == OK)
        output_jobs_note_input(&o->jobs, index, at);
    return e;
}

static enum err seen_result(void *ctx, uint32_t index, uint64_t at, struct span record)
{
    struct output *o = ctx;
    struct json_object *event;
    struct output_result r;
    if (json_read(record, &event, NULL) != OK)
        return ERR_FORMAT; // torn: this and what follows is asked for again
    enum err e =
        output_result_read(event, index, &r) ? output_jobs_reach(&o->jobs, index) : ERR_FORMAT;
    bool lost = e == OK && output_files_missing(o->folder, event, NULL) > 0;
    json_object_put(event);
    o->images_lost = o->images_lost || lost;
    if (e == OK && !lost && output_jobs_is_news(&o->jobs, &r))
        output_jobs_note(&o->jobs, &r, at);
    if (e == OK)
        note_last(o, &r.event);
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

enum err output_journals_open(struct output *o, struct buf *why)
{
    enum err e = open_journal(o, &o->inputs, ".inputs", seen_input, why);
    return e == OK ? open_journal(o, &o->results, ".results", seen_result, why) : e;
}

// --- Ending ----------------------------------------------------------------------------------

// The results last: while they are there, whoever opens the folder learns that it is to begin
// again.
enum err output_begin_again(struct output *o, struct buf *why)
{
    errno = 0;
    enum err e = journal_clear(&o->inputs);
    if (e == OK)
        e = journal_clear(&o->results);
    if (e != OK)
        return file_explain(why, e, errno, o->folder, "cannot begin again");
    output_jobs_forget(&o->jobs);
    o->last = (struct trail){0};
    o->images_lost = false;
    o->next = 0;
    return OK;
}

void output_journals_remove(struct output *o)
{
    o->journals_removed = true;
    (void)!output_remove(o, ".results", NULL);
    (void)!output_remove(o, ".inputs", NULL);
}
