// lease.h - this process's claim to the jobs it holds: an incarnation that is renewed at a
// third of its lease, and replaced by a fresh one when it was lost.
//
// The local end of the lease is counted in CLOCK_BOOTTIME from before the renewal was sent, so
// it is never later than the server's: a worker that slept, was stopped or was cut off knows.
#ifndef WORKER_LEASE_H
#define WORKER_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/queue.h"

struct ev_loop;
struct lease;

struct lease_hooks {
    void (*gained)(void *ctx); // registered, under a fresh incarnation
    void (*lost)(void *ctx);   // what was claimed under it is no longer ours
    void (*renewed)(void *ctx, const struct queue_renewed *r);
    unsigned (*flight)(void *ctx); // calls in flight, to be shown
    void *ctx;
    // The server refuses to register us, or to renew, for a reason that does not pass by
    // itself; it is asked again all the same. May be NULL.
    void (*refused)(void *ctx, enum err e);
    void (*limits)(void *ctx, struct buf *out); // see queue_renew(); may be NULL
};

struct lease_options {
    double seconds;                 // of one lease
    const struct queue_fact *facts; // of the worker; borrowed
    size_t n_facts;
    const char *host; // for the incarnation's name: HOST:PID:RANDOM
    // Not empty: this lease, which was given by a request sent at `asked_us` (CLOCK_BOOTTIME),
    // is held already. When it is lost there is no other, and it must not be left.
    struct span held;
    int64_t asked_us;
};

struct lease *lease_new(struct ev_loop *loop, struct queue *q, const struct lease_options *o,
                        const struct lease_hooks *h);
bool lease_idle(const struct lease *l);  // no request is under way: it may be freed
void lease_free(struct lease *l);        // NULL is fine
void lease_connected(struct lease *l);   // the connection is up: registers, or renews at once
bool lease_holds(const struct lease *l); // read right before each send
struct span lease_incarnation(const struct lease *l);
// What is told of this worker has changed: it is renewed within a second.
void lease_tell(struct lease *l);
uint64_t lease_next_seq(struct lease *l); // 1, 2, ... within one incarnation
// An answer said that the lease is lost; `gained` follows when a fresh one is made.
void lease_was_lost(struct lease *l);
// Ends it; `left` (may be NULL) is called when that is over or cannot be done. Registers no
// more.
void lease_leave(struct lease *l, void (*left)(void *ctx), void *ctx);
double lease_seconds(const struct lease *l);
#endif
