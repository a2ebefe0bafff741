// cmd_steer.c - genfarm cancel, retry, pause and resume.
#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "client/cmd.h"
#include "client/collect_batch.h"
#include "client/endings.h"
#include "client/reopen.h"
#include "client/waits.h"

#define CHUNK REOPEN_MOST // jobs looked at or opened in one call

struct steer {
    struct cmd *cmd;
    struct session *session;
    struct span batch;
    struct collect_batch status;
    uint32_t *indexes; // of the ids that were named
    size_t n;
    struct endings_set wanted; // with --code: which
    uint8_t *codes;            // and how each job ended
};

// --- Finding jobs ---------------------------------------------------------------------------

struct look { // at a chunk of the batch's inputs, or states
    bool done;
    enum err err;
    struct steer *steer;
    const uint32_t *indexes;
    bool *found; // by word
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
        if (!l->found[w] && span_is(buf_span(&shown), c->words.at[w])) {
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
        match(l, l->indexes[i], id, &job);
    }
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
        e = session_finish(
            t->session,
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

// As it was when this command looked.
static bool has_ended(const struct steer *t)
{
    return t->batch.len && t->status.sealed && t->status.open == 0;
}

// --- Cancel ---------------------------------------------------------------------------------

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
    if (e != OK)
        return e;
    if (sum > 0)
        cmd_say(0, "%lld jobs cancelled; calls in flight may still be billed", (long long)sum);
    else
        cmd_say(0, "0 jobs cancelled: %s",
                has_ended(t) ? "the batch has ended" : "none of those was open");
    return e;
}

// --- Retry ----------------------------------------------------------------------------------

static void on_states(void *ctx, enum err e, const uint8_t *states, size_t n)
{
    struct look *l = ctx;
    l->done = true;
    l->err = e;
    if (e == OK)
        memcpy(l->states, states, n);
}

static bool wanted(const struct steer *t, uint32_t index)
{
    if (t->codes && !t->wanted.has[t->codes[index]])
        return false;
    for (size_t k = 0; k < t->n; k++)
        if (t->indexes[k] == index)
            return true;
    return t->n == 0;
}

// The jobs of a chunk that are to be opened again, of those that did not complete.
static enum err ended(struct steer *t, uint32_t first, uint32_t *indexes, size_t *n)
{
    uint8_t states[CHUNK];
    size_t asked = (size_t)t->status.in - first < CHUNK ? (size_t)t->status.in - first : CHUNK;
    struct look l = {.steer = t, .states = states};
    enum err e = session_finish(
        t->session,
        queue_states(session_queue(t->session), t->batch, first, asked, on_states, &l), &l.done,
        &l.err);
    *n = 0;
    for (size_t i = 0; e == OK && i < asked; i++)
        if (states[i] >= 2 && wanted(t, first + (uint32_t)i)) // failed or cancelled
            indexes[(*n)++] = first + (uint32_t)i;
    return e;
}

static enum err read_codes(struct steer *t)
{
    size_t n = (size_t)t->status.in;
    if (!t->cmd->code)
        return OK;
    if (!(t->codes = malloc(n + 1)))
        return ERR_NOMEM;
    return endings_read(t->session, t->batch, n, t->codes);
}

// It goes first: else the batch would stop again at once.
static enum err raise_budget(struct steer *t)
{
    if (t->cmd->budget <= 0 || !t->batch.len)
        return OK;
    int64_t spent = t->status.cost_micro + t->status.spent_micro;
    if (t->cmd->budget <= spent) {
        buf_addf(&t->cmd->why, "batch %.*s has spent ", (int)t->batch.len, t->batch.ptr);
        cmd_show_usd(&t->cmd->why, spent);
        buf_add_str(&t->cmd->why, " already, and ");
        cmd_show_usd(&t->cmd->why, t->cmd->budget);
        buf_add_str(&t->cmd->why, " would allow no more calls; nothing was changed");
        return ERR_LIMIT;
    }
    return cmd_set_budget(t->session, t->batch, t->cmd->budget, t->status.in);
}

// Nothing had failed: what waits for money goes on with more of it.
static enum err none_opened(struct steer *t)
{
    struct buf why = {.max = 2048}, usd = {.max = 64};
    const char *batch = t->batch.ptr;
    int n = (int)t->batch.len;
    bool asked = t->cmd->budget > 0, over = has_ended(t);
    enum err e = asked && !over ? raise_budget(t) : OK;
    cmd_show_usd(&usd, t->cmd->budget);
    if (e == OK && asked && over)
        cmd_say(0, "the budget is what it was; genfarm resume %.*s --budget changes it", n,
                batch);
    else if (e == OK && asked)
        cmd_say(0, "the budget of batch %.*s is %s now, and its open jobs go on with it", n,
                batch, buf_str(&usd));
    else if (e == OK && waits_for(&t->status, &why))
        cmd_say(0, "batch %.*s waits: %s", n, batch, buf_str(&why));
    buf_free(&why);
    buf_free(&usd);
    return e;
}

static enum err retry(struct steer *t)
{
    uint32_t indexes[CHUNK];
    size_t n = 0;
    bool raised = false;
    struct reopen r = {0};
    enum err e = t->cmd->words.n > 1 ? find_named(t) : OK;
    if (e == OK)
        e = read_codes(t);
    if (e == OK)
        e = reopen_begin(&r, t->session, t->batch);
    for (uint32_t first = 0; e == OK && first < t->status.in; first += CHUNK) {
        e = ended(t, first, indexes, &n);
        if (e == OK && n > 0 && !raised)
            e = raise_budget(t);
        raised = raised || n > 0;
        if (e == OK && n > 0)
            e = reopen_some(&r, indexes, n);
    }
    if (e == OK)
        cmd_say(0,
                r.opened ? "%lld jobs opened again"
                         : "%lld jobs: none of those had failed or was cancelled",
                (long long)r.opened);
    return e == OK && !raised ? none_opened(t) : e;
}

// --- Pause ----------------------------------------------------------------------------------

static enum err pause_on(struct steer *t, bool on)
{
    struct session_value v = {0};
    enum err e = session_value(
        t->session, queue_pause(session_queue(t->session), t->batch, on, session_on_value, &v),
        &v);
    if (e == OK && has_ended(t))
        cmd_say(0, "batch %.*s has ended: %s", (int)t->batch.len, t->batch.ptr,
                on ? "nothing of it was held back, but what retry opens would be"
                   : "nothing of it is left to go on; retry opens what failed");
    else if (e == OK)
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
    enum err e = raise_budget(t);
    return e == OK ? pause_on(t, false) : e;
}

static int steer(struct cmd *c, enum err (*act)(struct steer *t))
{
    struct steer t = {.cmd = c};
    if (c->words.n > 0)
        t.batch = span_of(c->words.at[0]);
    if (c->words.n > 0 && !job_name_ok(t.batch))
        return cmd_say(EXIT_USAGE, "%.100s: no batch has such a name", c->words.at[0]);
    if (c->code && endings_set_parse(span_of(c->code), &t.wanted, &c->why) != OK)
        return cmd_say(EXIT_USAGE, "--code: %s", buf_str(&c->why));
    enum err e = cmd_connect(c, c->redis, c->queue, &t.session);
    if (e == OK && t.batch.len)
        e = collect_status(t.session, t.batch, &t.status);
    if (t.batch.len && c->why.len == 0)
        collect_explain(e, t.batch, &c->why);
    if (e == OK)
        e = act(&t);
    collect_batch_free(&t.status);
    free(t.indexes);
    free(t.codes);
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
