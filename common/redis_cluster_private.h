// redis_cluster_private.h - what the files redis_cluster*.c share.
#ifndef COMMON_REDIS_CLUSTER_PRIVATE_H
#define COMMON_REDIS_CLUSTER_PRIVATE_H

#include <ev.h>

#include "common/life.h"
#include "common/redis_cluster.h"
#include "common/redis_errand.h"

struct redis_cluster {
    struct ev_loop *loop;
    struct redis_options options;
    struct redis_nodes *nodes;
    unsigned home; // the slot whose node decides whether we are ready
    bool up, told_down;
    enum err error;
    struct buf why;
    unsigned version;
    ev_timer timer;
    struct life life;

    // Errands: redis_cluster_errand.c
    struct redis_lines lines;
    uint64_t number; // of the last one
    double look_at;  // when to look at the deadlines of those that wait; 0: none does

    // Who serves what: redis_cluster_map.c
    struct span question[2];
    struct redis_inquiry *inquiry;
    bool stale;      // a node said that it is not as we thought
    bool fresh;      // it was learnt, and not looked at yet
    double ask_at;   // when to ask; 0: not
    unsigned failed; // times that asking did not help
};

// --- redis_cluster.c ---

struct redis_node *cluster_home(const struct redis_cluster *c); // NULL: nobody serves it
void cluster_go_up(struct redis_cluster *c);                    // if we are ready now
void cluster_go_down(struct redis_cluster *c, enum err e, const char *why);
void cluster_rearm(struct redis_cluster *c); // sets the timer to what comes next
// As life_leave(), at the end of whatever may have changed things.
void cluster_leave(struct redis_cluster *c);

// --- redis_cluster_map.c ---

MUST_USE bool cluster_map_init(struct redis_cluster *c);
void cluster_map_ask_later(struct redis_cluster *c); // after what asking again may mend
void cluster_map_doubt(struct redis_cluster *c);     // things are not as we thought
void cluster_map_look(struct redis_cluster *c);      // does what is due

// --- redis_cluster_errand.c ---

MUST_USE enum err cluster_set_out(struct redis_cluster *c, struct redis_errand *e);
void cluster_send(struct redis_cluster *c); // what waits, and may go
bool cluster_waits(const struct redis_cluster *c);
void cluster_tell_late(struct redis_cluster *c);
void cluster_tell_all(struct redis_cluster *c, enum err e); // those that wait
#endif
