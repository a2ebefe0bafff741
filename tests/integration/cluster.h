// cluster.h - a cluster of the test's own: three nodes that share the slots, on 127.0.0.1.
#ifndef TESTS_CLUSTER_H
#define TESTS_CLUSTER_H

#include "redis_server.h"

#define CLUSTER_NODES 3

struct cluster {
    struct redis_server *node[CLUSTER_NODES];
    unsigned port[CLUSTER_NODES];
    char id[CLUSTER_NODES][48];
    char url[256]; // redis+cluster://, of all nodes
};

struct cluster *cluster_start(void); // returns when every node serves
void cluster_stop(struct cluster *c);
void cluster_wait(struct cluster *c); // until every node that runs says that all is well
// A node that belongs to no cluster yet; the caller stops it.
struct redis_server *cluster_node(unsigned *port);
void cluster_meet(struct redis_server *s, struct redis_server *other, unsigned port);

// Waits until its CLUSTER INFO has that in it.
void cluster_says(struct redis_server *node, const char *what);

unsigned cluster_slot(struct cluster *c, const char *key);
int cluster_owner(struct cluster *c,
                  unsigned slot); // which node serves it, as the first one says

// The documented way to move a slot, in its three parts: announced to both, the keys one by
// one, announced to all.
void cluster_move_begin(struct cluster *c, unsigned slot, int from, int to);
void cluster_move_keys(struct cluster *c, unsigned slot, int from, int to, int most);
void cluster_move_end(struct cluster *c, unsigned slot, int to);
#endif
