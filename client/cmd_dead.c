// cmd_dead.c - genfarm dead: the dead letters, and the ways back.
//
// What is done to letters is done in this order: they are read to the end, jobs are opened
// again or the file is on the disk, and only then letters are taken out. Broken off anywhere,
// the same command finishes it.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/cmd.h"
#include "client/endings.h"
#include "client/fields.h"
#include "client/letter_words.h"
#include "client/reopen.h"
#include "common/file.h"
#include "common/json.h"

struct dead_job { // to be opened again
    char batch[JOB_MAX_NAME + 1];
    uint32_t index;
};
struct dead {
    struct cmd *cmd;
    struct session *session;
    struct endings_set codes;
    bool *found; // by word
    struct file_atomic *file;
    struct letters_list out; // to be taken out when the effect is there
    struct dead_job *jobs;
    size_t n_jobs, cap_jobs;
    size_t shown, poison, expired, malformed;
};

// --- Which ----------------------------------------------------------------------------------

static bool named(struct dead *d, const struct dead_letter *l)
{
    const struct opt_strs *w = &d->cmd->words;
    bool any = false;
    for (size_t i = 0; i < w->n; i++) {
        size_t n = strlen(w->at[i]);
        if (n >= LETTER_SHORT && n <= l->sha.len && memcmp(w->at[i], l->sha.ptr, n) == 0)
            any = d->found[i] = true;
    }
    return any || w->n == 0;
}

static bool selected(struct dead *d, const struct dead_letter *l)
{
    const struct cmd *c = d->cmd;
    return (!c->only_batch || span_is(l->batch, c->only_batch)) &&
           (!c->code || d->codes.has[l->code]) && named(d, l);
}

// --- Gathering ------------------------------------------------------------------------------

static enum err note_job(struct dead *d, const struct dead_letter *l)
{
    if (d->n_jobs == d->cap_jobs) {
        size_t cap = d->cap_jobs ? 2 * d->cap_jobs : 64;
        struct dead_job *more = reallocarray(d->jobs, cap, sizeof *more);
        if (!more)
            return ERR_NOMEM;
        d->jobs = more;
        d->cap_jobs = cap;
    }
    struct dead_job *job = &d->jobs[d->n_jobs++];
    snprintf(job->batch, sizeof job->batch, "%.*s", (int)l->batch.len, l->batch.ptr);
    job->index = (uint32_t)l->index;
    return OK;
}

// The input as an entry of a file; what is not even a map stands there in base64, to be seen
// to.
static struct json_object *entry_of(const struct letter *l)
{
    struct json_object *o = NULL;
    struct job job;
    if (l->map.len && job_decode(&job, buf_span(&l->map), NULL) == OK)
        return fields_entry(&job);
    if (l->fate != LETTER_GONE && fields_unpack(l->said.pushed, &o) == OK &&
        json_object_is_type(o, json_type_object)) {
        json_object_object_del(o, "batch"); // a submission names its own
        return o;
    }
    json_object_put(o);
    return letter_json(l);
}

static enum err export_letter(struct dead *d, const struct letter *l)
{
    struct buf line = {.max = 16u << 20};
    struct json_object *o = entry_of(l);
    if (o)
        json_write(&line, o);
    json_object_put(o);
    enum err e = line.err ? line.err : line.len ? OK : ERR_NOMEM;
    if (e == OK) {
        buf_add_byte(&line, '\n');
        fwrite(line.ptr, 1, line.len, file_atomic_stream(d->file)); // commit tells of failures
    }
    buf_free(&line);
    return e;
}

static enum err gather(struct dead *d, const struct letter *l)
{
    const struct cmd *c = d->cmd;
    enum err e = OK;
    if (d->file)
        e = export_letter(d, l);
    if (c->retry && l->said.index < 0) {
        d->malformed++;
        return e;
    }
    if (c->retry && l->fate == LETTER_GONE) {
        d->expired++;
        return e;
    }
    if (e == OK && c->retry && l->fate == LETTER_FAILED)
        e = note_job(d, &l->said);
    return e == OK && (c->retry || c->drop) ? letters_list_add(&d->out, &l->said) : e;
}

static enum err look_at(struct dead *d, const struct letter *l)
{
    const struct cmd *c = d->cmd;
    d->shown++;
    d->poison += l->said.index >= 0;
    if (c->retry || c->drop || c->export)
        return gather(d, l);
    if (c->json)
        cmd_print(letter_json(l));
    else
        letter_print(l);
    return OK;
}

static enum err read_all(struct dead *d)
{
    struct letters page = {0};
    bool whole = d->cmd->json || d->cmd->export;
    enum err e = OK;
    do {
        e = letters_read(d->session, page.next, whole, &page);
        for (size_t i = 0; e == OK && i < page.n; i++)
            if (selected(d, &page.at[i].said))
                e = look_at(d, &page.at[i]);
        if (e == OK && session_interrupted(d->session))
            e = ERR_CANCELLED;
    } while (e == OK && page.n > 0);
    letters_free(&page);
    return e;
}

static enum err check_found(struct dead *d)
{
    const struct opt_strs *w = &d->cmd->words;
    for (size_t i = 0; i < w->n; i++)
        if (!d->found[i]) {
            buf_addf(&d->cmd->why,
                     "there is no dead letter %.60s (12 digits or more, as genfarm dead shows "
                     "them); nothing was changed",
                     w->at[i]);
            return ERR_MISSING;
        }
    return OK;
}

// --- Acting ---------------------------------------------------------------------------------

static int by_batch(const void *a, const void *b)
{
    const struct dead_job *x = a, *y = b;
    int order = strcmp(x->batch, y->batch);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

// The jobs of one batch, in rising order, each once; returns how many letters that were.
static size_t open_batch(struct dead *d, const struct dead_job *jobs, size_t left,
                         int64_t *opened, enum err *e)
{
    uint32_t indexes[REOPEN_MOST];
    struct reopen r;
    size_t at = 0;
    *e = reopen_begin(&r, d->session, span_of(jobs->batch));
    while (*e == OK && at < left && strcmp(jobs[at].batch, jobs->batch) == 0) {
        size_t n = 0;
        for (; at < left && n < REOPEN_MOST && strcmp(jobs[at].batch, jobs->batch) == 0; at++)
            if (n == 0 || indexes[n - 1] != jobs[at].index)
                indexes[n++] = jobs[at].index;
        *e = reopen_some(&r, indexes, n);
    }
    *opened += r.opened;
    if (*e == ERR_ORDER)
        buf_addf(&d->cmd->why,
                 "batch %s is being cancelled, or opened again by somebody else; try again",
                 jobs->batch);
    return at;
}

static enum err open_jobs(struct dead *d, int64_t *opened)
{
    enum err e = OK;
    if (d->n_jobs > 0)
        qsort(d->jobs, d->n_jobs, sizeof *d->jobs, by_batch);
    for (size_t at = 0; e == OK && at < d->n_jobs;)
        at += open_batch(d, d->jobs + at, d->n_jobs - at, opened, &e);
    return e;
}

static enum err open_file(struct dead *d)
{
    if (!d->cmd->export)
        return OK;
    enum err e = file_atomic_open(d->cmd->export, &d->file);
    if (e != OK)
        buf_addf(&d->cmd->why, "%s: %s", d->cmd->export, strerror(errno));
    return e;
}

static enum err close_file(struct dead *d, enum err e)
{
    if (!d->file)
        return e;
    if (e != OK) {
        file_atomic_abort(d->file);
        return e;
    }
    e = file_atomic_commit(d->file);
    if (e != OK)
        buf_addf(&d->cmd->why, "%s: %s; nothing was taken out", d->cmd->export,
                 strerror(errno));
    else
        cmd_say(0, "%zu inputs are in %s", d->shown, d->cmd->export);
    return e;
}

static enum err act(struct dead *d)
{
    int64_t opened = 0;
    size_t gone = 0;
    enum err e = d->cmd->retry ? open_jobs(d, &opened) : OK;
    if (e == OK)
        e = letters_drop(d->session, &d->out, &gone);
    if (e != OK)
        return e;
    if (d->cmd->retry)
        cmd_say(0, "%lld jobs opened again", (long long)opened);
    if (d->malformed)
        cmd_say(0,
                "%zu were never jobs: --export FILE writes them down, to be corrected and "
                "submitted",
                d->malformed);
    if (d->expired)
        cmd_say(0, "of %zu jobs the batch has expired; --drop takes them out", d->expired);
    if (d->cmd->drop || d->cmd->retry)
        cmd_say(0, "%zu dead letters taken out", gone);
    return OK;
}

static enum err dead(struct dead *d)
{
    const struct cmd *c = d->cmd;
    enum err e = open_file(d);
    if (e == OK)
        e = read_all(d);
    if (e == OK)
        e = check_found(d);
    e = close_file(d, e);
    if (e != OK)
        return e;
    if (c->retry || c->drop)
        return act(d);
    if (!c->json && !c->export)
        cmd_say(0, "%zu dead letters: %zu jobs, %zu malformed", d->shown, d->poison,
                d->shown - d->poison);
    return OK;
}

static int check_words(struct dead *d)
{
    struct cmd *c = d->cmd;
    if (c->retry + c->drop + (c->export && !c->drop) > 1)
        return cmd_say(EXIT_USAGE,
                       "dead: only one of --retry, --drop and --export, or --export "
                       "with --drop");
    if (c->code && endings_set_parse(span_of(c->code), &d->codes, &c->why) != OK)
        return cmd_say(EXIT_USAGE, "--code: %s", buf_str(&c->why));
    if (c->only_batch && !job_name_ok(span_of(c->only_batch)))
        return cmd_say(EXIT_USAGE, "%.100s: no batch has such a name", c->only_batch);
    if (c->drop && !c->all && !c->export && !c->code && !c->only_batch && c->words.n == 0)
        return cmd_say(EXIT_USAGE, "dead --drop: say which: letters, --batch, --code or --all");
    return 0;
}

int cmd_dead(struct cmd *c)
{
    struct dead d = {.cmd = c};
    int status = check_words(&d);
    if (status != 0)
        return status;
    enum err e = (d.found = calloc(c->words.n + 1, sizeof *d.found)) ? OK : ERR_NOMEM;
    if (e == OK)
        e = cmd_connect(c, c->redis, c->queue, &d.session);
    if (e == OK) {
        cmd_catch_signals(d.session);
        e = dead(&d);
    }
    session_close(d.session);
    letters_list_free(&d.out);
    free(d.jobs);
    free(d.found);
    return e == OK ? EXIT_DONE : cmd_fail(c, e);
}
