// cmd_steer.c - genfarm cancel, retry, pause and resume.
#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "client/cmd.h"

#define CHUNK 400 // jobs looked at or opened in one call

struct steer {
    struct cmd *cmd;
    struct session *session;
    struct span batch;
    struct collect_batch status;
    uint32_t *indexes; // of the ids that were named
    size_t n;
};

// --- Finding jobs
// --------------------------------------------------------------------------------

struct look { // at a chunk of the batch's inputs, or states
    bool done;
    enum err err;
    struct steer *steer;
    const uint32_t *indexes;
    bool *found; // by word
    struct buf *routes;
    uint8_t *states;
};

static void match(struct look *l, uint32_t index, struct span id, const struct job *job)
{
    struct cmd *c = l->steer->cmd;
    struct buf shown = {.max = 2 * JOB_MAX_ID};
    if (id.len)
        buf_add(&shown, id);
    else
        job_show_id(&shown, job, index);
    for (size_t w = 1; w < c->words.n; w++)
        if (span_is(buf_span(&shown), c->words.at[w])) {
            l->found[w] = true;
            l->steer->indexes[l->steer->n++] = index;
            break;
        }
    buf_free(&shown);
}

static void on_inputs(void *ctx, enum err e, const struct span *inputs, size_t n)
{
    struct look *l = ctx;
    l->done = true;
    l->err = e;
    for (size_t i = 0; e == OK && i < n; i++) {
        struct span id, map;
        struct job job = {0};
        if (inputs[i].len == 0 || job_input_read(inputs[i], &id, &map) != OK ||
            job_decode(&job, map, NULL) != OK)
            continue;
        if (l->found)
            match(l, l->indexes[i], id, &job);
        if (l->routes)
            queue_route(&l->routes[i], &job);
    }
}

static enum err wait(struct steer *t, enum err started, const bool *done, const enum err *err)
{
    while (started == OK && !*done)
        ev_run(session_loop(t->session), EVRUN_ONCE);
    return started == OK ? *err : started;
}

static enum err find_named(struct steer *t)
{
    struct cmd *c = t->cmd;
    uint32_t indexes[CHUNK];
    bool *found = calloc(c->words.n, sizeof *found);
    t->indexes = calloc(c->words.n, sizeof *t->indexes);
    enum err e = found && t->indexes ? OK : ERR_NOMEM;
    for (uint32_t next = 0; e == OK && next < t->status.in && t->n < c->words.n - 1;) {
        size_t n = 0;
        while (n < CHUNK && next < t->status.in)
            indexes[n++] = next++;
        struct look l = {.steer = t, .indexes = indexes, .found = found};
        e = wait(t,
                 queue_inputs(session_queue(t->session), t->batch, n, indexes, on_inputs, &l),
                 &l.done, &l.err);
    }
    for (size_t w = 1; e == OK && w < c->words.n; w++)
        if (!found[w]) {
            buf_addf(&c->why, "batch %.*s has no job %.100s; nothing was changed",
                     (int)t->batch.len, t->batch.ptr, c->words.at[w]);
            e = ERR_MISSING;
        }
    free(found);
    return e;
}

// --- Cancel
// --------------------------------------------------------------------------------------

static enum err cancel(struct steer *t)
{
    int64_t sum = 0;
    bool more = true;
    enum err e = t->cmd->words.n > 1 ? find_named(t) : OK;
    while (e == OK && more) {
        struct session_value v = {0};
        e = session_value(t->session,
                          queue_cancel(session_queue(t->session), t->batch, t->n, t->indexes,
                                       session_on_value, &v),
                          &v);
        more = v.value < 0;
        sum += more ? ~v.value : v.value;
    }
    if (e == OK)
        cmd_say(0, "%lld jobs cancelled; calls in flight may still be billed", (long long)sum);
    return e;
}

// --- Retry
// ---------------------------------------------------------------------------------------

static void on_states(void *ctx, enum err e, const uint8_t *states, size_t n)
{
    struct look *l = ctx;
    l->done = true;
    l->err = e;
    if (e == OK)
        memcpy(l->states, states, n);
}

// The ended jobs of a chunk: with `all`, those that did not complete.
static enum err ended(struct steer *t, uint32_t first, uint32_t *indexes, size_t *n)
{
    uint8_t states[CHUNK];
    size_t asked = (size_t)t->status.in - first < CHUNK ? (size_t)t->status.in - first : CHUNK;
    struct look l = {.steer = t, .states = states};
    enum err e =
        wait(t, queue_states(session_queue(t->session), t->batch, first, asked, on_states, &l),
             &l.done, &l.err);
    *n = 0;
    for (size_t i = 0; e == OK && i < asked; i++) {
        bool named = t->n == 0;
        for (size_t k = 0; k < t->n; k++)
            named = named || t->indexes[k] == first + i;
        if (named && states[i] >= 2) // failed or cancelled
            indexes[(*n)++] = first + (uint32_t)i;
    }
    return e;
}

static enum err reopen(struct steer *t, uint16_t run, const uint32_t *indexes, size_t n,
                       int64_t *sum)
{
    struct buf routes[CHUNK];
    struct queue_reopen jobs[CHUNK];
    struct session_value v = {0};
    for (size_t i = 0; i < n; i++)
        routes[i] = (struct buf){.max = 512};
    struct look l = {.steer = t, .indexes = indexes, .routes = routes};
    enum err e =
        wait(t, queue_inputs(session_queue(t->session), t->batch, n, indexes, on_inputs, &l),
             &l.done, &l.err);
    for (size_t i = 0; i < n; i++)
        jobs[i] = (struct queue_reopen){indexes[i], buf_str(&routes[i])};
    if (e == OK)
        e = session_value(t->session,
                          queue_retry(session_queue(t->session), t->batch, run, n, jobs,
                                      session_on_value, &v),
                          &v);
    *sum += e == OK ? v.value : 0;
    for (size_t i = 0; i < n; i++)
        buf_free(&routes[i]);
    return e;
}

static void on_run(void *ctx, enum err e, const struct queue_batch *b)
{
    *(struct session_value *)ctx = (struct session_value){true, e, e == OK ? b->run : 0};
}

static enum err retry(struct steer *t)
{
    uint32_t indexes[CHUNK];
    int64_t sum = 0;
    size_t n = 0;
    struct session_value v = {0};
    enum err e = t->cmd->words.n > 1 ? find_named(t) : OK;
    if (e == OK)
        e = session_value(t->session,
                          queue_status(session_queue(t->session), t->batch, on_run, &v), &v);
    for (uint32_t first = 0; e == OK && first < t->status.in; first += CHUNK) {
        e = ended(t, first, indexes, &n);
        if (e == OK && n > 0)
            e = reopen(t, (uint16_t)(v.value + 1), indexes, n, &sum);
    }
    if (e == OK)
        cmd_say(0,
                sum ? "%lld jobs opened again" : "%lld jobs: none had failed or was cancelled",
                (long long)sum);
    return e;
}

// --- Pause
// ---------------------------------------------------------------------------------------

static enum err pause_on(struct steer *t, bool on)
{
    struct session_value v = {0};
    enum err e = session_value(
        t->session, queue_pause(session_queue(t->session), t->batch, on, session_on_value, &v),
        &v);
    if (e == OK)
        cmd_say(0, "%s %.*s %s", t->batch.len ? "batch" : "queue",
                (int)(t->batch.len ? t->batch.len : strlen(t->cmd->queue)),
                t->batch.len ? t->batch.ptr : t->cmd->queue,
                on ? "is paused: calls in flight go on, nothing new is started" : "goes on");
    return e;
}

static enum err pause_it(struct steer *t)
{
    return pause_on(t, true);
}

static enum err go_on(struct steer *t)
{
    return pause_on(t, false);
}

static int steer(struct cmd *c, enum err (*act)(struct steer *t))
{
    struct steer t = {.cmd = c};
    if (c->words.n > 0)
        t.batch = span_of(c->words.at[0]);
    if (c->words.n > 0 && !job_name_ok(t.batch))
        return cmd_say(EXIT_USAGE, "%.100s: no batch has such a name", c->words.at[0]);
    enum err e = cmd_connect(c, c->redis, c->queue, &t.session);
    if (e == OK && t.batch.len)
        e = collect_status(t.session, t.batch, &t.status);
    if (e == ERR_MISSING && c->why.len == 0)
        buf_addf(&c->why, "there is no batch %s in this queue (or it has expired)",
                 c->words.at[0]);
    if (e == OK)
        e = act(&t);
    collect_batch_free(&t.status);
    free(t.indexes);
    session_close(t.session);
    return e == OK ? EXIT_DONE : cmd_fail(c, e);
}

int cmd_cancel(struct cmd *c)
{
    return steer(c, cancel);
}

int cmd_retry(struct cmd *c)
{
    return steer(c, retry);
}

int cmd_pause(struct cmd *c)
{
    return steer(c, pause_it);
}

int cmd_resume(struct cmd *c)
{
    return steer(c, go_on);
}
