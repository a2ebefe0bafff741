// session.c - see session.h.
#include "client/session.h"
#include "common/timer.h"

#include <ev.h>
#include <stdlib.h>

#define CALL_TIMEOUT 30.0 // seconds
#define CONNECT      5.0

struct session {
    struct ev_loop *loop;
    struct redis_url url;
    struct redis *redis, *wait_redis;
    struct queue *queue, *waiter;
    ev_timer timer;
    bool interrupted, up, failed, late;
    enum err why;
};

static void on_state(void *ctx, bool up, enum err why)
{
    struct session *s = ctx;
    s->up = up;
    s->failed = !up;
    s->why = why;
    ev_break(s->loop, EVBREAK_ONE);
}

static void on_timer(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)revents;
    ((struct session *)t->data)->late = true;
    ev_break(loop, EVBREAK_ONE);
}

static void alarm_in(struct session *s, double seconds)
{
    s->late = false;
    timer_restart(s->loop, &s->timer, seconds);
}

static bool make(struct session *s, const struct session_options *o)
{
    struct redis_options r = {.url = &s->url,
                              .name = "genfarm",
                              .ca_file = o->ca_file,
                              .on_state = on_state,
                              .ctx = s,
                              .connect_timeout = o->connect};
    s->loop = ev_loop_new(EVFLAG_AUTO);
    if (!s->loop)
        return false;
    ev_init(&s->timer, on_timer);
    s->timer.data = s;
    s->redis = redis_new(s->loop, &r);
    r.name = "genfarm-wait";
    r.on_state = NULL;
    s->wait_redis = redis_new(s->loop, &r);
    if (!s->redis || !s->wait_redis)
        return false;
    s->queue = queue_new(s->redis, o->queue, CALL_TIMEOUT);
    s->waiter = queue_new(s->wait_redis, o->queue, CALL_TIMEOUT);
    return s->queue && s->waiter;
}

// What a person may do about it.
static const char *advice(enum err e)
{
    switch (e) {
    case ERR_AUTH: return "check the user and password in --redis or GENFARM_REDIS_URL";
    case ERR_NET:
    case ERR_TIMEOUT: return "is the server running, and --redis or GENFARM_REDIS_URL right?";
    default: return "see the server's log";
    }
}

// A replica is one that may become the primary where others see to that.
static bool cannot_yet(const struct session *s)
{
    bool gone = s->why == ERR_NET || s->why == ERR_TIMEOUT || s->why == ERR_ORDER;
    return s->failed && (s->why == ERR_BUSY || (gone && redis_named(s->redis)));
}

// What no waiting mends.
static bool refuses(const struct session *s)
{
    enum err e = redis_last_error(s->redis);
    return e == ERR_AUTH || e == ERR_DENIED || e == ERR_SERVER;
}

// For both connections, so that it is said once.
static void wait_until_able(struct session *s, const struct session_options *o)
{
    if (o->told)
        o->told(o->ctx, s->why, redis_why(s->redis));
    if (o->patience > 0)
        alarm_in(s, o->patience);
    while (!(s->up && redis_ready(s->wait_redis)) && !s->late && !refuses(s))
        ev_run(s->loop, EVRUN_ONCE);
    ev_timer_stop(s->loop, &s->timer);
    s->why = s->up ? OK : redis_last_error(s->redis);
    if (s->up && o->told)
        o->told(o->ctx, OK, "");
}

static enum err connect_first(struct session *s, const struct session_options *o,
                              struct buf *why)
{
    alarm_in(s, o->connect > 0 ? o->connect : CONNECT);
    while (!s->up && !s->failed && !s->late)
        ev_run(s->loop, EVRUN_ONCE);
    ev_timer_stop(s->loop, &s->timer);
    if (o->patience != 0 && cannot_yet(s))
        wait_until_able(s, o);
    if (s->up)
        return OK;
    enum err e = s->failed ? s->why : ERR_TIMEOUT;
    const char *told = s->failed ? redis_why(s->redis) : ""; // begins with the address
    buf_add_str(why, "cannot use the Redis server at ");
    if (*told)
        buf_add_str(why, told);
    else
        redis_url_show(why, &s->url);
    buf_addf(why, "%s%s; %s", *told ? "" : ": ", *told ? "" : err_text(e), advice(e));
    return e == ERR_ORDER ? ERR_BUSY : e;
}

enum err session_open(const struct session_options *o, struct session **out, struct buf *why)
{
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_NOMEM;
    enum err e = redis_url_parse(o->redis, &s->url, why);
    if (e == OK && !make(s, o))
        e = ERR_NOMEM;
    if (e == OK)
        e = connect_first(s, o, why);
    if (e != OK) {
        session_close(s);
        return e;
    }
    *out = s;
    return OK;
}

void session_abandon(struct session *s)
{
    struct redis *redis = s->redis, *wait_redis = s->wait_redis;
    s->redis = s->wait_redis = NULL;
    redis_free(redis);
    redis_free(wait_redis);
}

void session_close(struct session *s)
{
    if (!s)
        return;
    session_abandon(s);
    queue_free(s->queue);
    queue_free(s->waiter);
    redis_url_free(&s->url);
    if (s->loop) {
        ev_timer_stop(s->loop, &s->timer);
        ev_loop_destroy(s->loop);
    }
    free(s);
}

struct ev_loop *session_loop(const struct session *s)
{
    return s->loop;
}

struct queue *session_queue(const struct session *s)
{
    return s->queue;
}

struct queue *session_waiter(const struct session *s)
{
    return s->waiter;
}

struct redis *session_redis(const struct session *s)
{
    return s->redis;
}

struct redis *session_wait_redis(const struct session *s)
{
    return s->wait_redis;
}

enum err session_wait(struct session *s, const bool *done)
{
    while (!*done && !s->interrupted)
        ev_run(s->loop, EVRUN_ONCE);
    return *done ? OK : ERR_CANCELLED;
}

enum err session_wait_for(struct session *s, const bool *done, double seconds)
{
    alarm_in(s, seconds);
    while (!*done && !s->interrupted && !s->late)
        ev_run(s->loop, EVRUN_ONCE);
    ev_timer_stop(s->loop, &s->timer);
    return *done ? OK : s->interrupted ? ERR_CANCELLED : ERR_TIMEOUT;
}

enum err session_finish(struct session *s, enum err started, const bool *done,
                        const enum err *err)
{
    while (started == OK && !*done)
        ev_run(s->loop, EVRUN_ONCE);
    return started == OK ? *err : started;
}

void session_interrupt(struct session *s)
{
    s->interrupted = true;
    ev_break(s->loop, EVBREAK_ONE);
}

bool session_interrupted(const struct session *s)
{
    return s->interrupted;
}

void session_go_on(struct session *s)
{
    s->interrupted = false;
}

void session_on_value(void *ctx, enum err e, int64_t value)
{
    *(struct session_value *)ctx = (struct session_value){true, e, value};
}

enum err session_value(struct session *s, enum err started, struct session_value *v)
{
    return session_finish(s, started, &v->done, &v->err);
}
