// redis.c - see redis.h: what the programs hold, whatever it leads to.
#include "common/redis.h"

#include <poll.h>
#include <stdlib.h>

#include "common/redis_cluster.h"
#include "common/redis_conn.h"
#include "common/redis_sentinel.h"

struct redis {
    struct redis_options options;
    struct redis_cluster *cluster;   // or, without one:
    struct redis_conn *conn;         // to the server, or to the primary
    struct redis_sentinel *sentinel; // only with sentinels
    bool named;                      // they named a primary when they were asked last
};

static void on_state(void *ctx, bool up, enum err why)
{
    struct redis *r = ctx;
    if (r->options.on_state)
        r->options.on_state(r->options.ctx, up, why);
}

// --- Sentinel -------------------------------------------------------------------------------

static void on_find(void *ctx)
{
    struct redis *r = ctx;
    redis_sentinel_ask(r->sentinel);
}

static void on_found(void *ctx, const struct redis_host *primary)
{
    struct redis *r = ctx;
    r->named = true;
    redis_conn_aim(r->conn, primary);
}

static void on_unfound(void *ctx, enum err e, const char *why)
{
    struct redis *r = ctx;
    r->named = false;
    redis_conn_unfound(r->conn, e, why);
}

static bool make_sentinel(struct redis *r, struct ev_loop *loop)
{
    const struct redis_options *o = &r->options;
    r->sentinel =
        redis_sentinel_new(loop, &(struct redis_sentinel_options){.url = o->url,
                                                                  .name = o->name,
                                                                  .ca_file = o->ca_file,
                                                                  .found = on_found,
                                                                  .failed = on_unfound,
                                                                  .ctx = r});
    return r->sentinel;
}

// --- Beginning and end ----------------------------------------------------------------------

static bool make(struct redis *r, struct ev_loop *loop)
{
    const struct redis_options *o = &r->options;
    if (o->url->kind == REDIS_CLUSTER) {
        r->cluster = redis_cluster_new(loop, o);
        return r->cluster;
    }
    bool sentinel = o->url->kind == REDIS_SENTINEL;
    struct redis_conn_options c = {.url = o->url,
                                   .name = o->name,
                                   .ca_file = o->ca_file,
                                   .on_state = on_state,
                                   .find = sentinel ? on_find : NULL,
                                   .ctx = r,
                                   .connect_timeout = o->connect_timeout};
    if (sentinel && !make_sentinel(r, loop))
        return false;
    r->conn = redis_conn_new(loop, &c);
    return r->conn;
}

struct redis *redis_new(struct ev_loop *loop, const struct redis_options *o)
{
    struct redis *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->options = *o;
    if (!make(r, loop)) {
        redis_free(r);
        return NULL;
    }
    return r;
}

void redis_free(struct redis *r)
{
    if (!r)
        return;
    redis_cluster_free(r->cluster);
    redis_conn_free(r->conn); // tells, and may be asked meanwhile
    redis_sentinel_free(r->sentinel);
    free(r);
}

// --- What it is like, and requests ----------------------------------------------------------

void redis_home(struct redis *r, struct span key)
{
    if (r->cluster)
        redis_cluster_home(r->cluster, key);
}

bool redis_ready(const struct redis *r)
{
    return r->cluster ? redis_cluster_ready(r->cluster) : redis_conn_ready(r->conn);
}

const char *redis_why(const struct redis *r)
{
    return r->cluster ? redis_cluster_why(r->cluster) : redis_conn_why(r->conn);
}

bool redis_named(const struct redis *r)
{
    return r->cluster ? redis_cluster_named(r->cluster) : r->named;
}

const char *redis_refusal(const struct redis *r)
{
    return r->cluster ? "" : redis_conn_refusal(r->conn);
}

enum err redis_last_error(const struct redis *r)
{
    return r->cluster ? redis_cluster_error(r->cluster) : redis_conn_error(r->conn);
}

unsigned redis_version(const struct redis *r)
{
    return r->cluster ? redis_cluster_version(r->cluster) : redis_conn_version(r->conn);
}

size_t redis_poll(const struct redis *r, size_t max, struct pollfd *out)
{
    if (r->cluster)
        return redis_cluster_poll(r->cluster, max, out);
    size_t n = max > 0 && redis_conn_poll(r->conn, out);
    const struct redis_conn *other = r->sentinel ? redis_sentinel_conn(r->sentinel) : NULL;
    return n + (other && n < max && redis_conn_poll(other, out + n));
}

enum err redis_call(struct redis *r, double timeout, redis_done *done, void *ctx, size_t argc,
                    const struct span *argv)
{
    if (r->cluster)
        return redis_cluster_call(r->cluster, timeout, done, ctx, argc, argv);
    return redis_conn_call(r->conn, timeout, done, ctx, argc, argv);
}
