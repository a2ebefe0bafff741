// cmd_doctor_queue.c - what this user may do, who works, and what has been waiting.
#include <string.h>

#include "client/cmd_doctor.h"
#include "common/redis.h"

#define TIMEOUT 5.0 // seconds

// --- Workers, which are asked for by a script -----------------------------------------------

struct workers {
    bool done;
    enum err err;
    size_t n, redis, versions;
    char version[32];
};

static void on_workers(void *ctx, enum err e, const struct queue_worker *w, size_t n)
{
    struct workers *s = ctx;
    s->done = true;
    s->err = e;
    s->n = e == OK ? n : 0;
    for (size_t i = 0; i < s->n; i++) {
        s->redis += span_is(w[i].sink, "redis");
        if (i == 0)
            snprintf(s->version, sizeof s->version, "%.*s", (int)w[i].version.len,
                     w[i].version.ptr);
        s->versions += !span_is(w[i].version, s->version);
    }
}

static bool check_scripts(struct doctor *d, struct workers *w)
{
    enum err e = session_finish(
        d->session, queue_workers(session_queue(d->session), on_workers, w), &w->done, &w->err);
    if (e == OK)
        doctor_say(d, DOCTOR_OK, "scripts", "may be run by this user");
    else if (e == ERR_DENIED)
        doctor_say(d, DOCTOR_FAIL, "scripts",
                   "this user may not run them (EVALSHA, EVAL, and reading the keys of queue "
                   "%s); see deploy/redis-users.acl",
                   d->cmd->queue);
    else
        doctor_say(d, DOCTOR_FAIL, "scripts", "%s", err_text(e));
    return e == OK;
}

static void check_workers(struct doctor *d, const struct workers *w)
{
    doctor_say(d, w->n ? DOCTOR_OK : DOCTOR_WARN, "workers", "%zu on queue %s%s", w->n,
               d->cmd->queue, w->n ? "" : ": nothing will move until one is started");
    if (w->versions > 0)
        doctor_say(d, DOCTOR_WARN, "workers", "are of several versions; %s is one", w->version);
    if (w->redis > 0)
        doctor_say(
            d, DOCTOR_WARN, "sink",
            "%zu workers store images in Redis, so that these pass through its append-only "
            "file; a shared folder (--sink dir:PATH) spares that",
            w->redis);
}

// --- Numbers, by single commands ------------------------------------------------------------

struct number {
    bool done;
    enum err err;
    long long value;
};

static void on_number(void *ctx, enum err e, const redisReply *r)
{
    struct number *n = ctx;
    n->done = true;
    n->err = e;
    n->value = e == OK && r->type == REDIS_REPLY_INTEGER ? r->integer : 0;
}

// COMMAND KEY [WORD]: its answer as a number.
static enum err ask(struct doctor *d, const char *command, const char *key, const char *word,
                    long long *out)
{
    struct number n = {0};
    struct buf name = {.max = 1024};
    queue_key(session_queue(d->session), &name, key, SPAN(""));
    struct span argv[] = {span_of(command), buf_span(&name), span_of(word)};
    enum err e = session_finish(
        d->session,
        redis_call(session_redis(d->session), TIMEOUT, on_number, &n, word ? 3 : 2, argv),
        &n.done, &n.err);
    buf_free(&name);
    *out = n.value;
    return e;
}

// A removal of nothing: what refuses it refuses everything that changes the queue.
static void check_writing(struct doctor *d, bool may_look)
{
    long long none;
    enum err e = ask(d, "HDEL", "cfg", "no-such-field", &none);
    if (e == OK)
        doctor_say(d, DOCTOR_OK, "rights", "this user may change queue %s", d->cmd->queue);
    else if (e == ERR_DENIED)
        doctor_say(
            d, DOCTOR_WARN, "rights",
            may_look
                ? "this user may look at queue %s and not change it: no submitting, no working"
                : "this user may neither look at queue %s nor steer it; a producer's may only "
                  "push to its inbox, which was not tried",
            d->cmd->queue);
    else
        doctor_say(d, DOCTOR_FAIL, "rights", "the server takes no writes: %s", err_text(e));
}

static void check_waiting(struct doctor *d, const struct workers *w)
{
    long long dead = 0, inbox = 0, paused = 0;
    if (ask(d, "LLEN", "dead", NULL, &dead) == OK && dead > 0)
        doctor_say(d, DOCTOR_WARN, "dead letters", "%lld; see genfarm dead", dead);
    if (ask(d, "LLEN", "inbox", NULL, &inbox) == OK && inbox > 0 && w->n == 0)
        doctor_say(d, DOCTOR_WARN, "inbox", "%lld things wait in it for a worker", inbox);
    if (ask(d, "HEXISTS", "cfg", "paused", &paused) == OK && paused)
        doctor_say(d, DOCTOR_WARN, "queue", "is paused; genfarm resume lets it go on");
}

// --- Models in use --------------------------------------------------------------------------

struct ready {
    struct doctor *doctor;
    bool done;
    enum err err;
};

static void on_ready(void *ctx, enum err e, const struct queue_claims *c)
{
    struct ready *r = ctx;
    r->done = true;
    r->err = e;
    for (size_t i = 0; e == OK && i < c->n_ready; i++) {
        struct span name = c->ready[i].lane_model;
        const char *slash = name.len ? memchr(name.ptr, '/', name.len) : NULL;
        if (slash)
            doctor_add_model(
                r->doctor, (struct span){slash + 1, name.len - (size_t)(slash + 1 - name.ptr)});
    }
}

void doctor_queue(struct doctor *d)
{
    struct workers w = {0};
    struct ready r = {.doctor = d};
    bool may = check_scripts(d, &w);
    check_writing(d, may);
    if (may)
        check_workers(d, &w);
    check_waiting(d, &w);
    enum err e =
        session_finish(d->session, queue_ready_counts(session_queue(d->session), on_ready, &r),
                       &r.done, &r.err);
    if (e != OK)
        doctor_say(d, e == ERR_DENIED ? DOCTOR_WARN : DOCTOR_FAIL, "queue", "%s", err_text(e));
}
