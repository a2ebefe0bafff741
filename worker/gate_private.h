// gate_private.h - what the files gate*.c share.
#ifndef WORKER_GATE_PRIVATE_H
#define WORKER_GATE_PRIVATE_H

#include <ev.h>

#include "broker/job.h"
#include "broker/limit.h"
#include "broker/projects.h"
#include "worker/gate.h"
#include "worker/route.h"

#define MAX_TOLD 64 // batches that are told of a block

TAILQ_HEAD(pass_list, gate_pass);

struct gate {
    struct gates *all;
    struct route *route;
    struct keyring *keys;
    char *group;
    struct buf limit; // what `spec` is a part of
    struct span spec; // the project's limit, to be set where none is; empty: none
    int64_t credit;   // how far it is behind its weight
    struct pass_list waiting;
    unsigned n_waiting;
    bool unlimited;                 // no limit was set when last asked
    int64_t asked_us;               // when that was; 0: never
    bool under_way;                 // a request to the limiter
    unsigned failures;              // of such, one after the other
    int64_t slots[LIMIT_MAX_SLOTS]; // of clock_boot_us(), rising, from `first`
    unsigned first, n_slots;
    unsigned last_n;       // slots of the last grant
    int64_t ask_us;        // there are no more before, clock_boot_us()
    int64_t closed_us;     // nothing goes through before; 0: open
    bool far;              // closed because the next slot is far away
    bool blocked, probing; // blocked: one probe at a time
    char blocked_by[32];   // an error code
    bool presumed;         // blocked only because of what another gate of the project found
    int64_t blocked_us;    // since when, clock_boot_us()
    ev_timer timer;
    bool told_differs;
    bool counts_flight;          // calls in flight are limited, too
    unsigned told_held;          // that we hold, as the limiter knows
    unsigned held;               // calls that were let through and are not over
    struct limit_units extra;    // taken beyond what was reckoned, not told yet
    struct limit_units takes;    // of one call, as last seen
    int64_t went_well_us;        // when the last such call was sent; told with the next request
    struct limit_done_calls did; // not told yet
    int64_t offset_us;           // server's time less clock_boot_us()
    char reason[64];             // what limits now
    char last_reason[64];        // what limited when anything last did: dimensions come and go
    int64_t limited_us;          // when that was, clock_boot_us(); 0: never
    int64_t until_us;            // until when it did, at least
    char said[64];               // of that, to other hosts
};

struct route {
    struct gates *all;
    SLIST_ENTRY(route) link;
    char *lane_model;
    struct gate *gates[PROJECTS_MAX];
    size_t n;
    char told[MAX_TOLD][JOB_MAX_NAME + 1]; // batches that were told of the block
    size_t n_told;
};

struct gates {
    struct ev_loop *loop;
    struct redis *redis;
    struct gates_options options;
    SLIST_HEAD(, route) list;
};

// What limits the group, or did a moment ago; "": nothing.
const char *gate_limited_by(const struct gate *g);
struct gate *gate_new(struct route *r, struct keyring *keys); // NULL: no memory
void gate_free(struct gate *g);
// Nothing goes through for so long; slots in hand are dropped.
void gate_shut(struct gate *g, double seconds);
void route_free(struct route *r);
// `to` could send, and nobody waits there: takes over a call that would go out later elsewhere.
void route_balance(struct gate *to);
#endif
