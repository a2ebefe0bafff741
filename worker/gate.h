// gate.h - the worker's side of the farm-wide limiter: who may send when.
//
// A group is a lane and model of one project. For each the gate knows whether a limit is set;
// if so it holds send slots that Redis granted. A call waits at the gate until its slot is
// near, is let through, and must go out between the slot and slot + 10 ms, else it comes again.
// Which project's gate a call goes to is decided by its route: see route.h.
#ifndef WORKER_GATE_H
#define WORKER_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "broker/code.h"
#include "broker/limit.h"
#include "common/buf.h"
#include "common/redis.h"

struct catalogue;
struct ev_loop;
struct gates;
struct gate; // one group's
struct keyring;
struct project;

struct gate_slot {
    int64_t us;                 // clock_boot_us()
    int64_t server_us;          // as it was granted
    int64_t day_ends_us;        // of the provider's day that it is counted in
    struct limit_units charged; // what it was granted for
};

struct gate_pass { // embedded in the call that waits
    // Let through: `slot_us` is on the clock of clock_boot_us(), 0 when no limit is set.
    // gate_end() must follow.
    void (*open)(struct gate_pass *p, int64_t slot_us);
    // The group is closed for so long; it no longer waits here. Others may want what it holds.
    void (*shut)(struct gate_pass *p, double seconds);
    struct limit_units takes; // what the call is reckoned to take
    struct gate *gate;        // where it waits, or was let through
    int64_t opened_us;        // when it was let through, clock_boot_us()
    struct gate_slot slot;    // once through; us 0: none was needed
    TAILQ_ENTRY(gate_pass) link;
    bool waiting, through;
};

struct gate_outcome {        // of a call that went out
    int64_t sent_us;         // clock_boot_us()
    bool went_well, refused; // refused: by a quota
    struct limit_units took; // as the provider reckons
};

struct gates_options {
    struct keyring *const *keyrings; // of the projects that calls may be sent through; borrowed
    size_t n_keyrings;
    const struct catalogue *catalogue; // whose tiers limits may name; borrowed
    void (*room)(void *ctx);           // more may be claimed now than before
    // A limit other than the project's is in force.
    void (*differs)(void *ctx, struct span group, struct span spec);
    // What limits the group now has changed: a dimension, "cooling", "spend", "probing",
    // "inflight", or nothing (empty); `seconds`: for how long at least.
    void (*limited)(void *ctx, struct span group, struct span reason, double seconds);
    void (*news)(void *ctx); // gates_say() would say something else than before
    // Under which calls in flight are counted, and for how long.
    struct span (*incarnation)(void *ctx);
    double lease;
    unsigned concurrency; // calls in flight of this worker, of all groups
    void *ctx;
};
struct gates *gates_new(struct ev_loop *loop, struct redis *r, const struct gates_options *o);
void gates_free(struct gates *g); // NULL is fine
// No more calls come: slots in hand are given back, and the limiter is told all there is to
// tell. False while that is under way; to be asked again when `idle` is called. A server that
// is away is not waited for.
bool gates_settled(struct gates *g, void (*idle)(void *ctx), void *ctx);
// The groups, and what blocks them, as queue_renew() takes them; as many as there is room for.
void gates_say(const struct gates *g, struct buf *out);

// How many of `want` calls could be let through soon, beyond those that wait already; asks the
// limiter for slots where it is fewer (`room` follows).
unsigned gate_room(struct gate *g, unsigned want);
void gate_enter(struct gate *g,
                struct gate_pass *p); // open() or shut() follows; shut() may at once
void gate_leave(struct gate_pass *p); // it no longer waits; no-op when it does not

// It could go out now, but for its slot: those that follow are let through as early as it takes
// to come so far, which is what Redis takes to mark them.
void gate_ready(struct gate_pass *p);
// Since it was let through the group was shut: it must not go out.
bool gate_stops(const struct gate_pass *p);
// A call that was let through is over; `o` NULL: it was never sent, and its slot is given back.
// No-op when it was not.
void gate_end(struct gate_pass *p, const struct gate_outcome *o);
// The provider refused a call (429, 503): nothing goes through for `seconds`, on any host.
void gate_refused(struct gate *g, double seconds, int64_t sent_us, enum limit_cause cause);
// The provider said what it allows: holds on all hosts. See limit_learn().
void gate_learned(struct gate *g, const char *spec);
// Nothing goes through because waiting jobs cannot cure it (a bad key): after `seconds` one
// call is let through to see, and sooner when somebody sets or clears the group's limits. True
// when this is news. `code`: an error code, and what kind of quota, as "quota_exhausted/daily";
// see client/limited.c.
bool gate_block(struct gate *g, const char *code, double seconds);
// The same for the other groups of its project, each of which finds out by a call of its own.
void gate_block_project(struct gate *g, const char *code, double seconds);
// A call that was made then was answered; true when the group was blocked, and since before.
bool gate_unblock(struct gate *g, int64_t sent_us);
bool gate_blocked_by(const struct gate *g, enum code code);
// Nothing goes through on this host for so long; slots in hand are given back.
void gate_shut(struct gate *g, double seconds);
bool gate_blocked(const struct gate *g);
struct span gate_group(const struct gate *g); // project/model/lane
struct keyring *gate_keys(const struct gate *g);
const struct project *gate_project(const struct gate *g);
#endif
