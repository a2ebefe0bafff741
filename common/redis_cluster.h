// redis_cluster.h - requests to a cluster: each goes to the node that serves the slot of its
// key, and follows when the slot is moved.
//
// Who serves what is asked of any node (CLUSTER SLOTS), and asked again when a node answers
// MOVED or is lost. What a node refused, saying MOVED, ASK, TRYAGAIN or CLUSTERDOWN, was not
// done, and is sent again from here, until it is done or its time is over; what was under way
// when a connection was lost is told ERR_NET, as without a cluster.
//
// A request may wait as long as its timeout before it goes out, and then be answered within as
// long again.
#ifndef COMMON_REDIS_CLUSTER_H
#define COMMON_REDIS_CLUSTER_H

#include "common/redis.h"

struct redis_cluster;

struct redis_cluster *redis_cluster_new(struct ev_loop *loop, const struct redis_options *o);
void redis_cluster_free(struct redis_cluster *c); // as redis_free()
void redis_cluster_home(struct redis_cluster *c, struct span key);
bool redis_cluster_named(const struct redis_cluster *c); // a node is said to serve our slot
bool redis_cluster_ready(const struct redis_cluster *c);
const char *redis_cluster_why(const struct redis_cluster *c);
enum err redis_cluster_error(const struct redis_cluster *c);
unsigned redis_cluster_version(const struct redis_cluster *c);
size_t redis_cluster_poll(const struct redis_cluster *c, size_t max, struct pollfd *out);
MUST_USE enum err redis_cluster_call(struct redis_cluster *c, double timeout, redis_done *done,
                                     void *ctx, size_t argc, const struct span *argv);
#endif
