// gate_private.h - what the files gate*.c share.
#ifndef WORKER_GATE_PRIVATE_H
#define WORKER_GATE_PRIVATE_H

#include <ev.h>

#include "broker/job.h"
#include "broker/limit.h"
#include "broker/projects.h"
#include "worker/gate.h"
#include "worker/route.h"
#include "worker/skew.h"

#define MAX_TOLD     64      // batches that are told of a block
#define GATE_SLOTS   256     // in hand
#define GATE_WANT    128     // asked for at once
#define LEAD_US      4000    // a call is let through so long before its slot at least, and
#define LEAD_MAX     500000  // at most: it must be marked sent by then
#define HORIZON_US   100000  // slots farther away are left to others
#define FAR_AGAIN_US 2000000 // until what is far away is asked for again, at most

TAILQ_HEAD(pass_list, gate_pass);

struct refusal { // to be told
    bool due;
    int64_t until_us, sent_us; // clock_boot_us()
    enum limit_cause cause;
};

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
    bool unlimited;    // no limit was set when last asked
    int64_t asked_us;  // when that was; 0: never
    int64_t edited_us; // when somebody had set or cleared the limits, by then; server's time
    struct gate_slot slots[GATE_SLOTS]; // rising, from `first`
    unsigned first, n_slots;
    int64_t grant_from_us, grant_to_us; // first and last slot of the last grant, server's time
    unsigned last_n;                    // slots of the last grant
    int64_t spacing_us;                 // between slots of a grant, when last seen; 0: not yet
    int64_t sent_us, trip_us;           // when that was asked for, and what the answer took
    int64_t ask_us;                     // there are no more before, clock_boot_us()
    int64_t closed_us;                  // nothing goes through before; 0: open
    int64_t shut_us;                    // when slots were last withdrawn
    bool far;                           // closed because the next slot is far away
    bool blocked, probing;              // blocked: one probe at a time
    char blocked_by[32];                // an error code
    bool presumed;      // blocked only because of what another gate of the project found
    int64_t blocked_us; // since when, clock_boot_us()
    ev_timer timer;
    ev_timer flight; // until calls in flight are to be told of again
    bool told_differs;
    bool counts_flight;   // calls in flight are limited, too
    unsigned told_held;   // that we hold, as the limiter knows
    unsigned held;        // calls that were let through and are not over
    struct skew skew;     // of the limiter's server, to clock_boot_us()
    char reason[64];      // what limits now
    char last_reason[64]; // what limited when anything last did: dimensions come and go
    int64_t limited_us;   // when that was, clock_boot_us(); 0: never
    int64_t until_us;     // until when it did, at least
    char said[64];        // of that, to other hosts
    // What the limiter is told: what it did not confirm is told again.
    bool under_way;                       // a request
    unsigned failures;                    // of such, one after the other
    bool mute;                            // it did not answer, and is told nothing more
    struct limit_units asking[GATE_WANT]; // what that request asks slots for
    struct limit_news news, telling;      // to be told; told and not confirmed: number 0: none
    int64_t last_number;
    struct refusal refusal, refusing;
    struct buf learnt; // what the provider said it allows
    bool learnt_due;
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
    char teller[20];         // whose news these are
    int64_t lead_us;         // how long before its slot a call is let through
    void (*idle)(void *ctx); // to be told when all is told; may be NULL
    void *idle_ctx;
};

// What limits the group, or did a moment ago; "": nothing.
const char *gate_limited_by(const struct gate *g);
struct gate *gate_new(struct route *r, struct keyring *keys); // NULL: no memory
void gate_free(struct gate *g);
// Goes on with whoever waits, or with what is to be told, after so long.
void gate_again(struct gate *g, int64_t us);
// Closed for so long. `jitter`: others are, too, and would all come back at once.
void gate_close_for(struct gate *g, int64_t us, bool jitter);
// The next slot is far away: others may want the calls in flight that would wait for it, and
// other projects the calls. It is asked again now and then, for limits may be raised meanwhile.
void gate_close_far(struct gate *g, int64_t us);

// gate_slots.c: slots in hand.
void gate_keep_slots(struct gate *g, const struct limit_grant *grant);
void gate_miss_slots(struct gate *g, int64_t now); // those whose time is over
void gate_drop_slots(struct gate *g);              // all
void gate_withdraw_slots(struct gate *g); // all, and those of calls that did not go out yet
struct gate_slot gate_take_slot(struct gate *g);
void gate_unused_slot(struct gate *g, const struct gate_slot *s);
// What a call takes beyond what was reckoned, or its slot was granted for.
void gate_add_extra(struct gate *g, const struct limit_units *took,
                    const struct limit_units *less);

// gate_pace.c: how early. In microseconds; gate_ready() of gate.h belongs there, too.
void gate_came_back(struct gate *g); // the answer to what was asked
// How far ahead slots are asked for: what lies before the next answer can come is not asked for
// again.
int64_t gate_horizon(const struct gate *g);
// Until it is worth asking for slots again, the next one being so far away: where that is long,
// what was set may change.
int64_t gate_until_next(const struct gate *g, int64_t wait_us);
int64_t gate_far_again(void); // the same for who is closed: each at its own time
// Jobs of a limited group that are claimed before they have slots: about what the next grants
// will bring, and never so many that other groups want for calls in flight.
unsigned gate_ahead(const struct gate *g);

// gate_ask.c: talking to the limiter.
void gate_ask(struct gate *g, unsigned want);
// Something to tell, beside what is asked: its share of calls in flight that is given back,
// what calls came to, slots that were not used.
bool gate_has_news(const struct gate *g);
void gate_tell(struct gate *g); // refusals that the limiter did not hear of
void gate_on_flight(struct ev_loop *loop, ev_timer *w, int revents);

// Somebody set or cleared the limits: whether what blocks it is mended is tried at once.
void gate_edited(struct gate *g);
void route_free(struct route *r);
// `to` could send, and nobody waits there: takes over a call that would go out later elsewhere.
void route_balance(struct gate *to);
#endif
