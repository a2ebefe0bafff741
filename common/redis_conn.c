// redis_conn.c - see redis_conn.h.
#include "common/redis_conn.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backoff.h"
#include "common/life.h"
#include "common/redis_greeting.h"
#include "common/redis_hosts.h"
#include "common/redis_pending.h"
#include "common/redis_stream.h"
#include "common/redis_wire.h"
#include "common/text.h"
#include "common/timer.h"

#define CONNECT_TIMEOUT 5.0
#define BACKOFF_BASE    0.1
#define BACKOFF_CAP     5.0

struct redis_conn {
    struct ev_loop *loop;
    struct redis_conn_options options;
    struct redis_host at; // owned; no name: not found yet
    enum { CLOSED, FINDING, CONNECTING, GREETING, READY } state;
    struct redis_stream_hooks hooks;
    struct redis_stream stream; // open from CONNECTING on
    struct redis_pending pending;
    ev_timer timer; // CLOSED: when to try again; otherwise: the next deadline
    unsigned version, failures;
    enum err error;
    struct buf why;
    char refusal[200];
    bool told_down;
    struct life life;
};

static void rearm(void *ctx)
{
    struct redis_conn *c = ctx;
    const struct redis_request *q = redis_pending_first(&c->pending);
    if (q)
        timer_restart(c->loop, &c->timer, q->deadline - ev_now(c->loop));
    else
        ev_timer_stop(c->loop, &c->timer);
}

static void destroy(void *of)
{
    struct redis_conn *c = of;
    redis_stream_close(&c->stream);
    ev_timer_stop(c->loop, &c->timer);
    redis_pending_free(&c->pending);
    buf_free(&c->why);
    free(c->at.name);
    free(c);
}

// --- Losing the connection ------------------------------------------------------------------

static void lost(struct redis_conn *c)
{
    enum err first = c->error == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_NET;
    redis_pending_tell_all(&c->pending, first, ERR_NET);
    if (c->life.over || c->told_down)
        return;
    c->told_down = true;
    if (c->options.on_state)
        c->options.on_state(c->options.ctx, false, c->error);
}

// What it is that failed: the server, or all that could have named it.
static void show_place(struct redis_conn *c)
{
    if (c->state == FINDING || !c->at.name)
        redis_url_show(&c->why, c->options.url);
    else
        redis_url_show_at(&c->why, c->options.url, &c->at);
}

static void drop(struct redis_conn *c, enum err e, const char *what, double until_next)
{
    if (what) {
        buf_clear(&c->why);
        show_place(c);
        buf_addf(&c->why, ": %s", what);
    }
    c->error = e;
    redis_stream_close(&c->stream);
    ev_timer_stop(c->loop, &c->timer);
    c->state = CLOSED;
    lost(c);
    if (!c->life.over && c->state == CLOSED && !c->options.once)
        timer_restart(c->loop, &c->timer, until_next);
}

void redis_conn_fail(struct redis_conn *c, enum err e, const char *what)
{
    life_enter(&c->life);
    drop(c, e, what, backoff_delay(++c->failures, BACKOFF_BASE, BACKOFF_CAP, 0.02));
    life_leave(&c->life);
}

static void on_broken(void *ctx, enum err e, const char *what)
{
    redis_conn_fail(ctx, e, what);
}

// --- Requests -------------------------------------------------------------------------------

// Ends a command that was added to the stream, which held `before` bytes until then.
static enum err said(struct redis_conn *c, size_t before, double timeout, redis_done *done,
                     void *ctx)
{
    struct buf *out = &c->stream.out;
    bool first = !redis_pending_first(&c->pending);
    enum err e = out->err;
    if (e == OK)
        e = redis_pending_add(&c->pending, ev_now(c->loop) + timeout, done, ctx);
    if (e != OK) {
        out->err = OK;
        out->len = before;
        return e;
    }
    if (first)
        timer_restart(c->loop, &c->timer, timeout);
    redis_stream_said(&c->stream);
    return OK;
}

static enum err say(struct redis_conn *c, double timeout, redis_done *done, void *ctx,
                    size_t argc, const struct span *argv)
{
    size_t before = c->stream.out.len;
    redis_wire_command(&c->stream.out, argc, argv);
    return said(c, before, timeout, done, ctx);
}

enum err redis_conn_call(struct redis_conn *c, double timeout, redis_done *done, void *ctx,
                         size_t argc, const struct span *argv)
{
    return redis_conn_ready(c) ? say(c, timeout, done, ctx, argc, argv) : ERR_NET;
}

enum err redis_conn_send(struct redis_conn *c, double timeout, redis_done *done, void *ctx,
                         struct span command)
{
    size_t before = c->stream.out.len;
    if (!redis_conn_ready(c))
        return ERR_NET;
    buf_add(&c->stream.out, command);
    return said(c, before, timeout, done, ctx);
}

// One line of it, for people.
static void keep_refusal(struct redis_conn *c, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR)
        return;
    struct buf shown = {.max = 4 * sizeof c->refusal};
    text_show(&shown, (struct span){reply->str, reply->len}, sizeof c->refusal - 10);
    snprintf(c->refusal, sizeof c->refusal, "%s", buf_str(&shown));
    buf_free(&shown);
}

static void on_reply(void *ctx, const redisReply *reply)
{
    struct redis_conn *c = ctx;
    keep_refusal(c, reply);
    bool demoted = c->options.peer == REDIS_PEER_PRIMARY && redis_wire_demoted(reply);
    if (redis_pending_first(&c->pending))
        redis_pending_tell(&c->pending, redis_wire_judge(reply), reply);
    else if (c->options.pushed)
        c->options.pushed(c->options.ctx, redis_wire_judge(reply), reply);
    else
        redis_conn_fail(c, ERR_FORMAT, "an answer that nobody asked for");
    if (demoted && redis_conn_ready(c))
        redis_conn_fail(c, ERR_BUSY, "the server is no primary any more");
}

// --- Connecting -----------------------------------------------------------------------------

static void on_connected(void *ctx)
{
    struct redis_conn *c = ctx;
    c->state = GREETING;
    redis_greet(c);
}

static void begin(struct redis_conn *c)
{
    enum err e = redis_stream_open(&c->stream, c->options.url, &c->at, c->options.ca_file);
    if (e != OK) {
        redis_conn_fail(c, e, e == ERR_NOMEM ? "out of memory" : NULL);
        return;
    }
    c->state = CONNECTING;
    timer_restart(c->loop, &c->timer, c->options.connect_timeout);
}

static void find(struct redis_conn *c)
{
    if (!c->options.find) {
        begin(c);
        return;
    }
    c->state = FINDING;
    c->options.find(c->options.ctx);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)revents;
    struct redis_conn *c = w->data;
    const struct redis_request *q = redis_pending_first(&c->pending);
    life_enter(&c->life);
    if (c->state == CLOSED)
        find(c);
    else if (c->state == CONNECTING)
        redis_conn_fail(c, ERR_TIMEOUT, "no connection in time");
    else if (q && q->deadline <= ev_now(loop) + 0.0005)
        redis_conn_fail(c, ERR_TIMEOUT, "no answer in time");
    else
        rearm(c);
    life_leave(&c->life);
}

static bool set_place(struct redis_conn *c, const struct redis_host *at)
{
    char *name = strdup(at->name);
    if (!name)
        return false;
    free(c->at.name);
    c->at = (struct redis_host){name, at->port};
    return true;
}

static bool is_there(const struct redis_conn *c, const struct redis_host *at)
{
    return c->at.name && redis_host_same(&c->at, span_of(at->name), at->port);
}

void redis_conn_aim(struct redis_conn *c, const struct redis_host *at)
{
    if (c->life.over || (is_there(c, at) && c->state >= CONNECTING))
        return;
    life_enter(&c->life);
    if (c->state >= CONNECTING)
        drop(c, ERR_NET, "another server is the primary now", 0);
    if (!c->life.over && c->state <= FINDING) {
        c->state = CLOSED;
        if (is_there(c, at) || set_place(c, at))
            begin(c);
        else
            redis_conn_fail(c, ERR_NOMEM, "out of memory");
    }
    life_leave(&c->life);
}

void redis_conn_unfound(struct redis_conn *c, enum err e, const char *why)
{
    if (c->state == FINDING && !c->life.over)
        redis_conn_fail(c, e, why);
}

// --- Beginning and end ----------------------------------------------------------------------

static void init(struct redis_conn *c)
{
    c->life = (struct life){.destroy = destroy, .of = c};
    c->hooks = (struct redis_stream_hooks){on_connected, on_reply, rearm, on_broken, c};
    c->why.max = 1000;
    c->error = ERR_NET;
    redis_stream_init(&c->stream, c->loop, &c->hooks, &c->life, &c->why);
    redis_pending_init(&c->pending);
    ev_init(&c->timer, on_timer);
    c->timer.data = c;
}

struct redis_conn *redis_conn_new(struct ev_loop *loop, const struct redis_conn_options *o)
{
    struct redis_conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->loop = loop;
    c->options = *o;
    if (c->options.connect_timeout <= 0)
        c->options.connect_timeout = CONNECT_TIMEOUT;
    init(c);
    if (!o->find && !set_place(c, o->at ? o->at : &o->url->hosts[0])) {
        destroy(c);
        return NULL;
    }
    timer_restart(c->loop, &c->timer, 0); // so that no callback runs from inside this
    return c;
}

void redis_conn_free(struct redis_conn *c)
{
    if (!c || c->life.over)
        return;
    life_enter(&c->life);
    c->life.over = true;
    redis_pending_tell_all(&c->pending, ERR_CANCELLED, ERR_CANCELLED);
    redis_stream_close(&c->stream);
    ev_timer_stop(c->loop, &c->timer);
    life_leave(&c->life);
}

// --- What it is like ------------------------------------------------------------------------

bool redis_conn_ready(const struct redis_conn *c)
{
    return c->state == READY && !c->life.over;
}

const char *redis_conn_why(const struct redis_conn *c)
{
    return buf_str(&c->why);
}

const char *redis_conn_refusal(const struct redis_conn *c)
{
    return c->refusal;
}

enum err redis_conn_error(const struct redis_conn *c)
{
    return c->error;
}

unsigned redis_conn_version(const struct redis_conn *c)
{
    return c->version;
}

bool redis_conn_poll(const struct redis_conn *c, struct pollfd *out)
{
    return redis_stream_poll(&c->stream, out);
}

// --- Greeting -------------------------------------------------------------------------------

const struct redis_conn_options *redis_conn_options(const struct redis_conn *c)
{
    return &c->options;
}

bool redis_conn_greets(const struct redis_conn *c)
{
    return c->state == GREETING && !c->life.over;
}

void redis_conn_say(struct redis_conn *c, redis_done *done, size_t argc,
                    const struct span *argv)
{
    if (redis_conn_greets(c) && say(c, c->options.connect_timeout, done, c, argc, argv) != OK)
        redis_conn_fail(c, ERR_NOMEM, "out of memory");
}

void redis_conn_set_version(struct redis_conn *c, unsigned version)
{
    c->version = version;
}

void redis_conn_welcome(struct redis_conn *c)
{
    c->state = READY;
    c->failures = 0;
    c->error = OK;
    c->told_down = false;
    buf_clear(&c->why);
    if (c->options.on_state)
        c->options.on_state(c->options.ctx, true, OK);
}
