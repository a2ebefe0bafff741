// redis_node.h - the nodes of a cluster: a connection to each that is used, and which of them
// serves a slot.
#ifndef COMMON_REDIS_NODE_H
#define COMMON_REDIS_NODE_H

#include "common/redis_slots.h"

struct pollfd;
struct redis_node;
struct redis_nodes;

struct redis_nodes_options {
    const struct redis_url *url; // how to log in; borrowed
    const char *name, *ca_file;  // as in redis_options
    double connect_timeout;
    // As redis_state, of one node.
    void (*on_state)(void *ctx, struct redis_node *n, bool up, enum err why);
    void *ctx;
};

struct redis_nodes *redis_nodes_new(struct ev_loop *loop, const struct redis_nodes_options *o);
void redis_nodes_free(struct redis_nodes *all); // NULL is fine; requests get ERR_CANCELLED
// Finds or makes it. NULL: out of memory, or there are a thousand.
struct redis_node *redis_nodes_get(struct redis_nodes *all, struct span host, uint16_t port);
struct redis_node *redis_nodes_of(const struct redis_nodes *all, unsigned slot); // or NULL
void redis_nodes_assign(struct redis_nodes *all, unsigned slot, struct redis_node *n);
// What the cluster says of itself takes the place of all that was known. Nodes that serve
// nothing, and that nobody holds, are forgotten.
MUST_USE enum err redis_nodes_install(struct redis_nodes *all, const struct redis_slots *s);
size_t redis_nodes_poll(const struct redis_nodes *all, size_t max, struct pollfd *out);

// Who keeps a pointer to a node over a turn of the loop holds it.
void redis_node_hold(struct redis_node *n);
void redis_node_release(struct redis_node *n);
bool redis_node_ready(const struct redis_node *n);
void redis_node_connect(struct redis_node *n); // unless it is, or is about to be
const struct redis_host *redis_node_host(const struct redis_node *n);
struct redis_conn *redis_node_conn(const struct redis_node *n); // NULL: never used
// As redis_conn_send(); `asking`: with ASKING before it.
MUST_USE enum err redis_node_send(struct redis_node *n, bool asking, double timeout,
                                  redis_done *done, void *ctx, struct span command);
#endif
