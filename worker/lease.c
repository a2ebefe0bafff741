// lease.c - see lease.h.
#include "worker/lease.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/timer.h"
#include "worker/incarnation.h"

#define MAX_LIMITS 16384 // bytes
#define TELL_S     1.0   // until what has changed is told
#define RETRY_BASE 0.1   // seconds, of the pauses after failures
#define RETRY_CAP  2.0

struct lease {
    struct ev_loop *loop;
    struct queue *queue;
    struct lease_options options;
    struct lease_hooks hooks;
    enum { LEASE_NONE, LEASE_REGISTERING, LEASE_HELD, LEASE_LEFT } state;
    char inc[INCARNATION_SIZE];
    uint64_t seq;
    int64_t asked_us; // when the request under way was sent, CLOCK_BOOTTIME
    int64_t ends_us;  // the local end of the lease
    bool under_way;
    unsigned failures; // one after the other
    ev_timer timer;
    bool given;              // held from the beginning
    void (*left)(void *ctx); // only while LEASE_LEFT
    void *left_ctx;
};

static int64_t lease_ms(const struct lease *l)
{
    return (int64_t)(l->options.seconds * 1000);
}

static void again(struct lease *l, double after)
{
    timer_restart(l->loop, &l->timer, after);
}

// Each pause is longer than the one before, but a short lease leaves time for some tries.
static void again_later(struct lease *l)
{
    double cap = l->options.seconds / 8;
    again(l, backoff_delay(++l->failures, RETRY_BASE, cap < RETRY_CAP ? cap : RETRY_CAP, 0.05));
}

// What was under way held the next registration up.
static void again_if_lost(struct lease *l)
{
    if (l->state == LEASE_NONE)
        again(l, 0.);
}

static void fresh_name(struct lease *l)
{
    incarnation_fresh(l->inc, l->options.host);
    l->seq = 0;
}

static void prolong(struct lease *l)
{
    l->failures = 0;
    l->ends_us = l->asked_us + lease_ms(l) * 1000;
}

static void tell_refused(struct lease *l, enum err e)
{
    if (e != OK && !err_retryable(e) && l->hooks.refused)
        l->hooks.refused(l->hooks.ctx, e);
}

static void on_registered(void *ctx, enum err e, int64_t value)
{
    (void)value;
    struct lease *l = ctx;
    l->under_way = false;
    if (l->state != LEASE_REGISTERING) {
        again_if_lost(l);
        return;
    }
    if (e != OK) {
        if (e == ERR_ORDER)
            fresh_name(l);
        again_later(l);
        if (e != ERR_ORDER)
            tell_refused(l, e);
        return;
    }
    prolong(l);
    l->state = LEASE_HELD;
    again(l, l->options.seconds / 3);
    l->hooks.gained(l->hooks.ctx);
}

static void enroll(struct lease *l)
{
    if (l->state != LEASE_REGISTERING) {
        fresh_name(l);
        l->state = LEASE_REGISTERING;
    }
    l->asked_us = clock_boot_us();
    l->under_way = queue_register(l->queue, lease_incarnation(l), lease_ms(l),
                                  l->options.n_facts, l->options.facts, on_registered, l) == OK;
    if (!l->under_way)
        again_later(l);
}

static void on_renewed(void *ctx, enum err e, const struct queue_renewed *r)
{
    struct lease *l = ctx;
    l->under_way = false;
    if (l->state != LEASE_HELD) {
        again_if_lost(l);
        return;
    }
    if (e == ERR_LOST) {
        lease_was_lost(l);
        return;
    }
    if (e == OK) {
        prolong(l);
        l->hooks.renewed(l->hooks.ctx, r);
        again(l, l->options.seconds / 3);
    } else {
        again_later(l);
    }
    tell_refused(l, e);
}

static void renew(struct lease *l)
{
    l->asked_us = clock_boot_us();
    struct buf limits = {.max = MAX_LIMITS};
    if (l->hooks.limits)
        l->hooks.limits(l->hooks.ctx, &limits);
    l->under_way =
        queue_renew(l->queue, lease_incarnation(l), lease_ms(l), l->hooks.flight(l->hooks.ctx),
                    buf_span(&limits), on_renewed, l) == OK;
    buf_free(&limits);
    if (!l->under_way)
        again_later(l);
}

static void act(struct lease *l)
{
    if (l->under_way || !redis_ready(queue_redis(l->queue)))
        return;
    switch (l->state) {
    case LEASE_NONE:
    case LEASE_REGISTERING: enroll(l); break;
    case LEASE_HELD: renew(l); break;
    case LEASE_LEFT: break;
    }
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    act(w->data);
}

struct lease *lease_new(struct ev_loop *loop, struct queue *q, const struct lease_options *o,
                        const struct lease_hooks *h)
{
    struct lease *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->loop = loop;
    l->queue = q;
    l->options = *o;
    l->hooks = *h;
    ev_init(&l->timer, on_timer);
    l->timer.data = l;
    if (o->held.len && o->held.len < sizeof l->inc) {
        memcpy(l->inc, o->held.ptr, o->held.len);
        l->given = true;
        l->state = LEASE_HELD;
        l->asked_us = o->asked_us;
        prolong(l);
        again(l, l->options.seconds / 3);
    }
    return l;
}

bool lease_idle(const struct lease *l)
{
    return !l->under_way;
}

void lease_free(struct lease *l)
{
    if (!l)
        return;
    ev_timer_stop(l->loop, &l->timer);
    free(l);
}

void lease_connected(struct lease *l)
{
    act(l);
}

bool lease_holds(const struct lease *l)
{
    return l->state == LEASE_HELD && clock_boot_us() < l->ends_us;
}

struct span lease_incarnation(const struct lease *l)
{
    return span_of(l->inc);
}

uint64_t lease_next_seq(struct lease *l)
{
    return ++l->seq;
}

void lease_was_lost(struct lease *l)
{
    if (l->state != LEASE_HELD)
        return;
    l->state = l->given ? LEASE_LEFT : LEASE_NONE;
    l->hooks.lost(l->hooks.ctx);
    if (l->given)
        ev_timer_stop(l->loop, &l->timer);
    else
        again(l, 0.);
}

static void on_left(void *ctx, enum err e, int64_t value)
{
    (void)e, (void)value;
    struct lease *l = ctx;
    if (l->left)
        l->left(l->left_ctx);
}

void lease_leave(struct lease *l, void (*left)(void *ctx), void *ctx)
{
    bool held = l->state == LEASE_HELD;
    l->state = LEASE_LEFT;
    l->left = left;
    l->left_ctx = ctx;
    ev_timer_stop(l->loop, &l->timer);
    if (!held || queue_leave(l->queue, lease_incarnation(l), on_left, l) != OK)
        on_left(l, OK, 0);
}

void lease_tell(struct lease *l)
{
    if (l->state == LEASE_HELD && !l->under_way && ev_is_active(&l->timer) &&
        ev_timer_remaining(l->loop, &l->timer) > TELL_S)
        again(l, TELL_S);
}

double lease_seconds(const struct lease *l)
{
    return l->options.seconds;
}
