// gate_private.h - what the files gate*.c share.
#ifndef WORKER_GATE_PRIVATE_H
#define WORKER_GATE_PRIVATE_H

#include <ev.h>

#include "broker/job.h"
#include "broker/limit.h"
#include "worker/gate.h"

#define MAX_TOLD 64 // batches that are told of a block

TAILQ_HEAD(pass_list, gate_pass);

struct gate {
    struct gates *all;
    SLIST_ENTRY(gate) link;
    char *lane_model, *group;
    struct pass_list waiting;
    unsigned n_waiting;
    bool unlimited;                 // no limit was set when last asked
    int64_t asked_us;               // when that was; 0: never
    bool under_way;                 // a request to the limiter
    int64_t slots[LIMIT_MAX_SLOTS]; // of clock_boot_us(), rising, from `first`
    unsigned first, n_slots;
    unsigned last_n;       // slots of the last grant
    int64_t ask_us;        // there are no more before, clock_boot_us()
    int64_t closed_us;     // nothing goes through before; 0: open
    bool blocked, probing; // blocked: one probe at a time
    ev_timer timer;
    bool told_differs;
    bool counts_flight;       // calls in flight are limited, too
    unsigned told_held;       // that we hold, as the limiter knows
    unsigned held;            // calls that were let through and are not over
    struct limit_units extra; // taken beyond what was reckoned, not told yet
    struct limit_units takes; // of one call, as last seen
    int64_t went_well_us;     // when the last such call was sent; told with the next request
    int64_t offset_us;        // server's time less clock_boot_us()
    char reason[64];          // what limits now
    char told[MAX_TOLD][JOB_MAX_NAME + 1]; // batches that were told of the block
    size_t n_told;
};

struct gates {
    struct ev_loop *loop;
    struct redis *redis;
    struct gates_options options;
    SLIST_HEAD(, gate) list;
};

// Nothing goes through for so long; slots in hand are dropped.
void gate_shut(struct gate *g, double seconds);
#endif
