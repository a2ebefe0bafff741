// redis_node.c - see redis_node.h.
#include "common/redis_node.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/redis_conn.h"
#include "common/redis_slot.h"

#define MAX_NODES 1000

struct redis_node {
    TAILQ_ENTRY(redis_node) link;
    struct redis_nodes *all;
    struct redis_host host; // owned
    struct redis_conn *conn;
    unsigned holds;
    bool serves; // a slot
};

struct redis_nodes {
    struct ev_loop *loop;
    struct redis_nodes_options options;
    TAILQ_HEAD(, redis_node) list;
    unsigned n;
    struct redis_node *of[REDIS_SLOTS];
};

static void node_free(struct redis_node *n)
{
    TAILQ_REMOVE(&n->all->list, n, link);
    n->all->n--;
    redis_conn_free(n->conn);
    free(n->host.name);
    free(n);
}

struct redis_nodes *redis_nodes_new(struct ev_loop *loop, const struct redis_nodes_options *o)
{
    struct redis_nodes *all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->loop = loop;
    all->options = *o;
    TAILQ_INIT(&all->list);
    return all;
}

// Tells first, and forgets then: who is told may look at its node.
void redis_nodes_free(struct redis_nodes *all)
{
    struct redis_node *n;
    if (!all)
        return;
    TAILQ_FOREACH(n, &all->list, link)
    {
        redis_conn_free(n->conn);
        n->conn = NULL;
    }
    while ((n = TAILQ_FIRST(&all->list)))
        node_free(n);
    free(all);
}

struct redis_node *redis_nodes_get(struct redis_nodes *all, struct span host, uint16_t port)
{
    struct redis_node *n;
    TAILQ_FOREACH(n, &all->list, link)
    if (redis_host_same(&n->host, host, port))
        return n;
    if (all->n == MAX_NODES || !(n = calloc(1, sizeof *n)))
        return NULL;
    n->host = (struct redis_host){strndup(host.ptr, host.len), port};
    if (!n->host.name) {
        free(n);
        return NULL;
    }
    n->all = all;
    all->n++;
    TAILQ_INSERT_TAIL(&all->list, n, link);
    return n;
}

struct redis_node *redis_nodes_of(const struct redis_nodes *all, unsigned slot)
{
    return all->of[slot];
}

void redis_nodes_assign(struct redis_nodes *all, unsigned slot, struct redis_node *n)
{
    all->of[slot] = n;
    n->serves = true;
}

static void forget_idle(struct redis_nodes *all)
{
    struct redis_node *n = TAILQ_FIRST(&all->list), *next;
    for (; n; n = next) {
        next = TAILQ_NEXT(n, link);
        if (!n->serves && n->holds == 0)
            node_free(n);
    }
}

enum err redis_nodes_install(struct redis_nodes *all, const struct redis_slots *s)
{
    struct redis_node *n;
    TAILQ_FOREACH(n, &all->list, link)
    n->serves = false;
    memset(all->of, 0, sizeof all->of);
    for (size_t i = 0; i < s->n; i++) {
        const struct redis_range *r = &s->ranges[i];
        const struct redis_host *host = &s->hosts.at[r->primary];
        n = redis_nodes_get(all, span_of(host->name), host->port);
        if (!n)
            return ERR_NOMEM;
        for (unsigned slot = r->first; slot <= r->last; slot++)
            redis_nodes_assign(all, slot, n);
    }
    forget_idle(all);
    return OK;
}

size_t redis_nodes_poll(const struct redis_nodes *all, size_t max, struct pollfd *out)
{
    const struct redis_node *n;
    size_t found = 0;
    TAILQ_FOREACH(n, &all->list, link)
    if (found < max && n->conn)
        found += redis_conn_poll(n->conn, &out[found]);
    return found;
}

// --- One of them ----------------------------------------------------------------------------

void redis_node_hold(struct redis_node *n)
{
    n->holds++;
}

void redis_node_release(struct redis_node *n)
{
    n->holds--;
}

bool redis_node_ready(const struct redis_node *n)
{
    return n->conn && redis_conn_ready(n->conn);
}

static void on_state(void *ctx, bool up, enum err why)
{
    struct redis_node *n = ctx;
    const struct redis_nodes_options *o = &n->all->options;
    o->on_state(o->ctx, n, up, why);
}

// Without memory the next one who needs it tries again.
void redis_node_connect(struct redis_node *n)
{
    const struct redis_nodes_options *o = &n->all->options;
    if (n->conn)
        return;
    n->conn = redis_conn_new(
        n->all->loop, &(struct redis_conn_options){.url = o->url,
                                                   .at = &n->host,
                                                   .name = o->name,
                                                   .ca_file = o->ca_file,
                                                   .peer = REDIS_PEER_PRIMARY,
                                                   .on_state = on_state,
                                                   .ctx = n,
                                                   .connect_timeout = o->connect_timeout});
}

const struct redis_host *redis_node_host(const struct redis_node *n)
{
    return &n->host;
}

struct redis_conn *redis_node_conn(const struct redis_node *n)
{
    return n->conn;
}

enum err redis_node_send(struct redis_node *n, bool asking, double timeout, redis_done *done,
                         void *ctx, struct span command)
{
    struct span word = SPAN("ASKING");
    enum err e = asking ? redis_conn_call(n->conn, timeout, NULL, NULL, 1, &word) : OK;
    return e ? e : redis_conn_send(n->conn, timeout, done, ctx, command);
}
