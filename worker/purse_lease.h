// purse_lease.h - the lease under which this worker reserves: renewed while it lives, so that
// what a lost worker has reserved counts as used. It also ends those of others that are past.
#ifndef WORKER_PURSE_LEASE_H
#define WORKER_PURSE_LEASE_H

#include <ev.h>
#include <stdint.h>

#include "common/buf.h"
#include "worker/incarnation.h"

#define PURSE_TIMEOUT 5.0 // seconds, of each request of a purse

struct redis;

struct purse_lease { // embedded; its fields are for purse_lease.c
    struct ev_loop *loop;
    struct redis *redis;
    double seconds;
    char inc[INCARNATION_SIZE];
    ev_timer timer;
    void (*left)(void *ctx); // of purse_lease_leave()
    void *left_ctx;
};
// `seconds`: how long it lasts unrenewed. A third of that is between two renewals.
void purse_lease_start(struct purse_lease *l, struct ev_loop *loop, struct redis *r,
                       const char *host, double seconds);
void purse_lease_stop(struct purse_lease *l); // asks no more; it is left to end
// Gives it up; `left` as of purse_leave().
void purse_lease_leave(struct purse_lease *l, void (*left)(void *ctx), void *ctx);
// For requests that are made under it.
struct span purse_lease_name(const struct purse_lease *l);
int64_t purse_lease_ms(const struct purse_lease *l);
#endif
