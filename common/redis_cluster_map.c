// redis_cluster_map.c - asking a cluster who serves what, as often as is needed and no oftener.
#include <stdio.h>

#include "common/backoff.h"
#include "common/digest.h"
#include "common/redis_cluster_private.h"
#include "common/redis_conn.h"
#include "common/redis_inquiry.h"
#include "common/redis_slots.h"

#define BACKOFF_BASE 0.1
#define BACKOFF_CAP  2.0

static void ask_in(struct redis_cluster *c, double seconds)
{
    double at = ev_now(c->loop) + seconds;
    if (c->ask_at == 0 || at < c->ask_at)
        c->ask_at = at;
}

void cluster_map_ask_later(struct redis_cluster *c)
{
    if (c->ask_at == 0 && !redis_inquiry_busy(c->inquiry))
        ask_in(c, backoff_delay(++c->failed, BACKOFF_BASE, BACKOFF_CAP, 0.02));
}

// When many learn that at once, they do not ask all at once.
void cluster_map_doubt(struct redis_cluster *c)
{
    c->stale = true;
    ask_in(c, BACKOFF_BASE + 4 * BACKOFF_BASE * random_unit());
}

// Some of what we have to do cannot be done as things stand.
static bool in_need(const struct redis_cluster *c)
{
    const struct redis_line *l;
    if (!c->up || c->stale)
        return true;
    TAILQ_FOREACH(l, &c->lines, link)
    {
        const struct redis_node *n = redis_nodes_of(c->nodes, l->slot);
        if (!TAILQ_EMPTY(&l->errands) && (!n || !redis_node_ready(n)))
            return true;
    }
    return false;
}

static enum err on_map(void *ctx, const redisReply *reply, const struct redis_host *from,
                       struct buf *why)
{
    struct redis_cluster *c = ctx;
    struct redis_slots slots;
    enum err e = redis_slots_read(&slots, reply, from);
    if (e == OK && slots.n == 0)
        e = ERR_BUSY;
    if (e != OK)
        buf_add_str(why, e == ERR_BUSY ? "serves no slots" : "gives no list of slots");
    if (e == OK)
        e = redis_nodes_install(c->nodes, &slots);
    if (e == OK) {
        redis_inquiry_learn(c->inquiry, &slots.hosts);
        c->stale = false;
        c->fresh = true;
        cluster_rearm(c);
    }
    redis_slots_free(&slots);
    return e;
}

static void on_no_map(void *ctx, enum err e, const char *why)
{
    struct redis_cluster *c = ctx;
    life_enter(&c->life);
    cluster_map_ask_later(c);
    if (!c->up)
        cluster_go_down(c, e, why);
    cluster_leave(c);
}

bool cluster_map_init(struct redis_cluster *c)
{
    const struct redis_options *o = &c->options;
    c->question[0] = SPAN("CLUSTER");
    c->question[1] = SPAN("SLOTS");
    c->inquiry =
        redis_inquiry_new(c->loop, &(struct redis_inquiry_options){.url = o->url,
                                                                   .name = o->name,
                                                                   .ca_file = o->ca_file,
                                                                   .peer = REDIS_PEER_NODE,
                                                                   .argc = 2,
                                                                   .argv = c->question,
                                                                   .answer = on_map,
                                                                   .failed = on_no_map,
                                                                   .ctx = c});
    ask_in(c, 0);
    return c->inquiry;
}

// Looks at who serves the home slot now. One that could not be reached before is told of by its
// connection no more: so it is done from here.
static void find_home(struct redis_cluster *c)
{
    struct redis_node *home = cluster_home(c);
    char what[80];
    if (!home) {
        snprintf(what, sizeof what, "nobody in the cluster serves slot %u", c->home);
        cluster_go_down(c, ERR_BUSY, what);
        return;
    }
    redis_node_connect(home);
    const struct redis_conn *conn = redis_node_conn(home);
    if (c->up && conn && !redis_conn_ready(conn) && *redis_conn_why(conn))
        cluster_go_down(c, redis_conn_error(conn), redis_conn_why(conn));
    else
        cluster_go_up(c);
}

void cluster_map_look(struct redis_cluster *c)
{
    if (c->fresh) {
        c->fresh = false;
        find_home(c);
        if (!c->life.over && in_need(c))
            cluster_map_ask_later(c);
    } else if (c->ask_at > 0 && c->ask_at <= ev_now(c->loop)) {
        c->ask_at = 0;
        if (in_need(c))
            redis_inquiry_ask(c->inquiry);
        else
            c->failed = 0;
    }
}
