// redis_cluster.c - see redis_cluster.h: whether we are ready, what is due when, beginning and
// end.
#include "common/redis_cluster.h"

#include <poll.h>
#include <stdlib.h>

#include "common/redis_cluster_private.h"
#include "common/redis_conn.h"
#include "common/redis_inquiry.h"
#include "common/redis_slot.h"
#include "common/timer.h"

#define LOOK 0.1 // seconds; how often the deadlines of what waits are looked at

static void destroy(void *of)
{
    struct redis_cluster *c = of;
    struct redis_line *l;
    while ((l = TAILQ_FIRST(&c->lines))) { // what waited in them was told
        TAILQ_REMOVE(&c->lines, l, link);
        free(l);
    }
    buf_free(&c->why);
    free(c);
}

// --- Whether we are ready -------------------------------------------------------------------

struct redis_node *cluster_home(const struct redis_cluster *c)
{
    return redis_nodes_of(c->nodes, c->home);
}

void cluster_go_up(struct redis_cluster *c)
{
    const struct redis_node *home = cluster_home(c);
    if (c->up || !home || !redis_node_ready(home))
        return;
    c->up = true;
    c->told_down = false;
    c->error = OK;
    c->failed = 0;
    c->version = redis_conn_version(redis_node_conn(home));
    buf_clear(&c->why);
    if (c->options.on_state)
        c->options.on_state(c->options.ctx, true, OK);
}

void cluster_go_down(struct redis_cluster *c, enum err e, const char *why)
{
    c->up = false;
    c->error = e;
    buf_clear(&c->why);
    buf_add_str(&c->why, why);
    cluster_tell_all(c, ERR_NET);
    if (c->life.over || c->told_down)
        return;
    c->told_down = true;
    if (c->options.on_state)
        c->options.on_state(c->options.ctx, false, e);
}

static void on_node(void *ctx, struct redis_node *n, bool up, enum err why)
{
    struct redis_cluster *c = ctx;
    life_enter(&c->life);
    if (up)
        cluster_go_up(c);
    else
        cluster_map_ask_later(c);
    if (!up && n == cluster_home(c))
        cluster_go_down(c, why, redis_conn_why(redis_node_conn(n)));
    if (!c->life.over)
        cluster_send(c);
    cluster_leave(c);
}

// --- What is due ----------------------------------------------------------------------------

static void sooner(double *next, double at)
{
    if (at < *next)
        *next = at;
}

void cluster_rearm(struct redis_cluster *c)
{
    const struct redis_line *l;
    double now = ev_now(c->loop), next = c->fresh ? now : now + 3600;
    if (c->look_at == 0 && cluster_waits(c))
        c->look_at = now + LOOK;
    if (c->look_at > 0)
        sooner(&next, c->look_at);
    if (c->ask_at > 0)
        sooner(&next, c->ask_at);
    TAILQ_FOREACH(l, &c->lines, link)
    if (l->again > now)
        sooner(&next, l->again);
    timer_restart(c->loop, &c->timer, next - now);
}

void cluster_leave(struct redis_cluster *c)
{
    if (!c->life.over) {
        redis_lines_sweep(&c->lines);
        cluster_rearm(c);
    }
    life_leave(&c->life);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)revents;
    struct redis_cluster *c = w->data;
    life_enter(&c->life);
    cluster_map_look(c);
    if (!c->life.over)
        cluster_send(c);
    if (!c->life.over && c->look_at > 0 && c->look_at <= ev_now(loop)) {
        c->look_at = 0;
        cluster_tell_late(c);
    }
    cluster_leave(c);
}

// --- Beginning and end ----------------------------------------------------------------------

static bool make_parts(struct redis_cluster *c)
{
    const struct redis_options *o = &c->options;
    c->nodes = redis_nodes_new(
        c->loop, &(struct redis_nodes_options){.url = o->url,
                                               .name = o->name,
                                               .ca_file = o->ca_file,
                                               .connect_timeout = o->connect_timeout,
                                               .on_state = on_node,
                                               .ctx = c});
    return c->nodes && cluster_map_init(c);
}

struct redis_cluster *redis_cluster_new(struct ev_loop *loop, const struct redis_options *o)
{
    struct redis_cluster *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->loop = loop;
    c->options = *o;
    c->life = (struct life){.destroy = destroy, .of = c};
    c->why.max = 1000;
    c->error = ERR_NET;
    TAILQ_INIT(&c->lines);
    ev_init(&c->timer, on_timer);
    c->timer.data = c;
    if (!make_parts(c)) {
        redis_cluster_free(c);
        return NULL;
    }
    cluster_rearm(c);
    return c;
}

void redis_cluster_free(struct redis_cluster *c)
{
    if (!c || c->life.over)
        return;
    life_enter(&c->life);
    c->life.over = true;
    c->up = false;
    cluster_tell_all(c, ERR_CANCELLED);
    redis_nodes_free(c->nodes); // tells what is under way
    redis_inquiry_free(c->inquiry);
    ev_timer_stop(c->loop, &c->timer);
    life_leave(&c->life);
}

// --- The interface --------------------------------------------------------------------------

void redis_cluster_home(struct redis_cluster *c, struct span key)
{
    c->home = redis_slot(key);
}

bool redis_cluster_named(const struct redis_cluster *c)
{
    return cluster_home(c);
}

bool redis_cluster_ready(const struct redis_cluster *c)
{
    return c->up;
}

const char *redis_cluster_why(const struct redis_cluster *c)
{
    return buf_str(&c->why);
}

enum err redis_cluster_error(const struct redis_cluster *c)
{
    return c->error;
}

unsigned redis_cluster_version(const struct redis_cluster *c)
{
    return c->version;
}

size_t redis_cluster_poll(const struct redis_cluster *c, size_t max, struct pollfd *out)
{
    const struct redis_conn *asked = redis_inquiry_conn(c->inquiry);
    size_t n = asked && max > 0 && redis_conn_poll(asked, out);
    return n + redis_nodes_poll(c->nodes, max - n, out + n);
}

enum err redis_cluster_call(struct redis_cluster *c, double timeout, redis_done *done,
                            void *ctx, size_t argc, const struct span *argv)
{
    struct span key = redis_command_key(argc, argv);
    if (!c->up)
        return ERR_NET;
    struct redis_errand *e = redis_errand_new(argc, argv);
    if (!e)
        return ERR_NOMEM;
    e->owner = c;
    e->done = done;
    e->ctx = ctx;
    e->timeout = timeout;
    e->deadline = ev_now(c->loop) + timeout;
    e->number = ++c->number;
    e->slot = key.len ? redis_slot(key) : c->home;
    enum err err = cluster_set_out(c, e);
    if (err != OK)
        redis_errand_free(e);
    return err;
}
