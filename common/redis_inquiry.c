// redis_inquiry.c - see redis_inquiry.h.
#include "common/redis_inquiry.h"

#include <ev.h>
#include <stdlib.h>

#include "common/life.h"

#define TIMEOUT 1.0 // seconds, to connect, and for the answer

struct redis_inquiry {
    struct ev_loop *loop;
    struct redis_inquiry_options options;
    struct redis_hosts hosts;
    size_t at; // who is asked
    bool busy;
    struct redis_conn *conn;
    enum err error; // of this round
    struct buf why;
    struct life life;
};

static void destroy(void *of)
{
    struct redis_inquiry *q = of;
    redis_hosts_free(&q->hosts);
    buf_free(&q->why);
    free(q);
}

static void hang_up(struct redis_inquiry *q)
{
    redis_conn_free(q->conn);
    q->conn = NULL;
}

// Keeps the words that tell most: what somebody answered, rather than that somebody is away.
static void note(struct redis_inquiry *q, enum err e, const char *why)
{
    bool away = e == ERR_NET || e == ERR_TIMEOUT;
    bool told = q->error != OK && q->error != ERR_NET && q->error != ERR_TIMEOUT;
    if (away && told)
        return;
    q->error = e;
    buf_clear(&q->why);
    buf_add_str(&q->why, why);
}

static void ask_one(struct redis_inquiry *q);

static void next(struct redis_inquiry *q)
{
    hang_up(q);
    q->at++;
    ask_one(q);
}

// The round is: someone had a good answer.
static void over(struct redis_inquiry *q)
{
    if (q->at > 0)
        redis_hosts_prefer(&q->hosts, q->at);
    q->at = 0;
    q->busy = false;
    if (!q->options.gone)
        hang_up(q);
}

static void on_reply(void *ctx, enum err e, const redisReply *reply)
{
    struct redis_inquiry *q = ctx;
    const struct redis_inquiry_options *o = &q->options;
    struct buf why = {.max = 500};
    if (!q->busy || !reply) // the connection was lost: on_state() follows
        return;
    life_enter(&q->life);
    redis_url_show_at(&why, o->url, &q->hosts.at[q->at]);
    buf_add_str(&why, ": ");
    if (e != OK)
        buf_add_str(&why, reply->str);
    else
        e = o->answer(o->ctx, reply, &q->hosts.at[q->at], &why);
    if (!q->life.over && e != OK) {
        note(q, e, buf_str(&why));
        next(q);
    } else if (!q->life.over) {
        over(q);
    }
    buf_free(&why);
    life_leave(&q->life);
}

static void on_state(void *ctx, bool up, enum err e)
{
    struct redis_inquiry *q = ctx;
    const struct redis_inquiry_options *o = &q->options;
    life_enter(&q->life);
    if (up) {
        if (redis_conn_call(q->conn, TIMEOUT, on_reply, q, o->argc, o->argv) != OK) {
            note(q, ERR_NOMEM, err_text(ERR_NOMEM));
            next(q);
        }
    } else if (q->busy) {
        note(q, e, redis_conn_why(q->conn));
        next(q);
    } else {
        hang_up(q);
        o->gone(o->ctx);
    }
    life_leave(&q->life);
}

static void on_pushed(void *ctx, enum err e, const redisReply *reply)
{
    struct redis_inquiry *q = ctx;
    q->options.pushed(q->options.ctx, e, reply);
}

// Asks the one whose turn it is; after the last one the round has failed.
static void ask_one(struct redis_inquiry *q)
{
    const struct redis_inquiry_options *o = &q->options;
    if (q->at < q->hosts.n) {
        q->conn = redis_conn_new(
            q->loop, &(struct redis_conn_options){.url = o->url,
                                                  .at = &q->hosts.at[q->at],
                                                  .name = o->name,
                                                  .ca_file = o->ca_file,
                                                  .peer = o->peer,
                                                  .once = true,
                                                  .on_state = on_state,
                                                  .pushed = o->pushed ? on_pushed : NULL,
                                                  .ctx = q,
                                                  .connect_timeout = TIMEOUT});
        if (q->conn)
            return;
        note(q, ERR_NOMEM, err_text(ERR_NOMEM));
    }
    q->busy = false;
    o->failed(o->ctx, q->error, buf_str(&q->why));
}

static enum err add_seeds(struct redis_hosts *h, const struct redis_url *u)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < u->n_hosts; i++)
        e = redis_hosts_add(h, span_of(u->hosts[i].name), u->hosts[i].port);
    return e;
}

struct redis_inquiry *redis_inquiry_new(struct ev_loop *loop,
                                        const struct redis_inquiry_options *o)
{
    struct redis_inquiry *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->loop = loop;
    q->options = *o;
    q->why.max = 1000;
    q->life = (struct life){.destroy = destroy, .of = q};
    if (add_seeds(&q->hosts, o->url) != OK) {
        destroy(q);
        return NULL;
    }
    return q;
}

void redis_inquiry_free(struct redis_inquiry *q)
{
    if (!q || q->life.over)
        return;
    life_enter(&q->life);
    q->life.over = true;
    hang_up(q);
    life_leave(&q->life);
}

void redis_inquiry_ask(struct redis_inquiry *q)
{
    if (q->busy || q->life.over)
        return;
    hang_up(q);
    q->busy = true;
    q->at = 0;
    q->error = OK;
    ask_one(q);
}

bool redis_inquiry_busy(const struct redis_inquiry *q)
{
    return q->busy;
}

struct redis_conn *redis_inquiry_conn(const struct redis_inquiry *q)
{
    return q->conn;
}

void redis_inquiry_learn(struct redis_inquiry *q, const struct redis_hosts *others)
{
    struct redis_hosts all = {0};
    struct redis_host *first = &q->hosts.at[q->at];
    enum err e = redis_hosts_add(&all, span_of(first->name), first->port);
    for (size_t i = 0; e == OK && i < others->n; i++)
        e = redis_hosts_add(&all, span_of(others->at[i].name), others->at[i].port);
    if (e != ERR_NOMEM)
        e = add_seeds(&all, q->options.url);
    if (e == ERR_NOMEM) { // the old ones will do
        redis_hosts_free(&all);
        return;
    }
    redis_hosts_free(&q->hosts);
    q->hosts = all;
    q->at = 0;
}
