// batcher.c - see batcher.h.
#include "worker/batcher.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "broker/operation.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/log.h"
#include "common/timer.h"
#include "worker/keyring.h"
#include "worker/lease.h"
#include "worker/lot.h"
#include "worker/operation.h"
#include "worker/provider.h"
#include "worker/route.h"
#include "worker/task_batch.h"
#include "worker/tasks.h"

#define LINGER_S 1.0      // that more is waited for before a batch that is not full goes
#define TICK_S   0.25     //
#define TAKE_S   1.0      // between looks for operations that nobody has
#define AGAIN_S  2.0      // until it is tried again where there are too many
#define KEEP_S   180000.0 // that the end of one is hoped for: 50 hours
#define MAX_OPS  128      // of one worker

struct holding {
    struct op *op;
    TAILQ_ENTRY(holding) link;
};

struct batcher {
    struct batcher_options options;
    struct op_host host;
    TAILQ_HEAD(, holding) ops;
    unsigned n_ops;
    ev_timer tick;
    int64_t gathered_us; // when the last job was, clock_boot_us()
    int64_t took_us;     // when it was last looked for operations
    int64_t full_us;     // there were too many operations before
    bool taking, draining;
    struct lot lot; // an operation that is being begun; n 0: none is
    int64_t begin_asked_us;
    bool begin_asking;
    int64_t take_asked_us;
};

static bool may_act(const struct batcher *b)
{
    return !b->draining && lease_holds(b->options.lease);
}

static int64_t ms(double seconds)
{
    return (int64_t)(seconds * 1000);
}

// --- Operations that are held ---------------------------------------------------------------

static void hold(struct batcher *b, const struct operation *o, int64_t asked_us)
{
    struct holding *h = calloc(1, sizeof *h);
    if (!h || !(h->op = op_new(&b->host, o, asked_us))) {
        log_error("an operation cannot be held", "operation=%.*s", (int)o->op.len, o->op.ptr);
        free(h); // its lease ends, and it is taken again
        return;
    }
    log_info("an operation", "operation=%.*s state=%.*s batch=%.*s model=%.*s", (int)o->op.len,
             o->op.ptr, (int)o->state.len, o->state.ptr, (int)o->batch.len, o->batch.ptr,
             (int)o->model.len, o->model.ptr);
    TAILQ_INSERT_TAIL(&b->ops, h, link);
    b->n_ops++;
}

static void sweep(struct batcher *b)
{
    struct holding *h = TAILQ_FIRST(&b->ops), *next;
    for (; h; h = next) {
        next = TAILQ_NEXT(h, link);
        if (!op_over(h->op))
            continue;
        TAILQ_REMOVE(&b->ops, h, link);
        b->n_ops--;
        op_free(h->op);
        free(h);
    }
    if (b->draining && batcher_empty(b))
        b->options.empty(b->options.ctx);
}

static void soon(struct batcher *b, double seconds)
{
    timer_restart(b->options.host->loop, &b->tick, seconds);
}

static void on_op_ended(void *ctx)
{
    soon(ctx, 0.); // not here: it is in the midst of its own work
}

bool batcher_empty(const struct batcher *b)
{
    return b->n_ops == 0 && !b->taking && !b->begin_asking;
}

// --- Taking over ----------------------------------------------------------------------------

static void on_taken(void *ctx, enum err e, const struct operation *o)
{
    struct batcher *b = ctx;
    b->taking = false;
    if (e == ERR_LOST)
        lease_was_lost(b->options.lease);
    if (e == OK && o) {
        hold(b, o, b->take_asked_us); // while draining, too: it is left again at once
        b->took_us = 0;               // there may be more
        if (b->draining)
            batcher_drain(b);
    }
    soon(b, 0.);
}

static void take(struct batcher *b)
{
    int64_t now = clock_boot_us();
    if (b->taking || b->n_ops >= MAX_OPS || now - b->took_us < (int64_t)(TAKE_S * 1e6))
        return;
    b->took_us = b->take_asked_us = now;
    struct span projects[PROJECTS_MAX];
    size_t n = 0;
    for (; n < b->options.n_keyrings && n < PROJECTS_MAX; n++)
        projects[n] = span_of(keyring_project(b->options.keyrings[n])->name);
    b->taking = operation_take(b->options.host->queue, lease_incarnation(b->options.lease),
                               ms(b->options.seconds), n, projects, on_taken, b) == OK;
}

// --- Beginning one --------------------------------------------------------------------------

static void hold_begun(struct batcher *b, struct span inc)
{
    int64_t now_ms = task_host_now_ms(b->options.host);
    struct operation o = {.op = span_of(b->lot.id),
                          .inc = inc,
                          .state = SPAN("new"),
                          .batch = span_of(b->lot.batch),
                          .model = span_of(b->lot.model),
                          .project = span_of(b->lot.project),
                          .created_ms = now_ms,
                          .until_ms = now_ms + ms(KEEP_S)};
    hold(b, &o, b->begin_asked_us);
}

static void on_begun(void *ctx, enum err e, struct span marks, struct span inc)
{
    struct batcher *b = ctx;
    b->begin_asking = false;
    if (e == OK) {
        lot_moved(&b->lot, b->options.tasks, marks);
        if (inc.len)
            hold_begun(b, inc);
        b->options.turn(b->options.ctx);
    } else if (e == ERR_LIMIT) {
        lot_name(&b->lot, b->options.tasks, false);
        b->full_us = clock_boot_us() + (int64_t)(AGAIN_S * 1e6);
    } else if (e == ERR_LOST) {
        lease_was_lost(b->options.lease);
    }
    if (e == OK || e == ERR_LIMIT || e == ERR_LOST)
        b->lot.n = 0;
    soon(b, e == OK ? 0. : TICK_S);
    if (b->draining)
        batcher_drain(b);
}

// May be sent again as it was, until it is answered.
static void send_begin(struct batcher *b)
{
    struct operation_new o = {.inc = lease_incarnation(b->options.lease),
                              .op = span_of(b->lot.id),
                              .batch = span_of(b->lot.batch),
                              .model = span_of(b->lot.model),
                              .project = span_of(b->lot.project),
                              .lease_ms = ms(b->options.seconds),
                              .keep_ms = ms(KEEP_S),
                              .most = b->options.most,
                              .day = b->lot.day,
                              .n = b->lot.n,
                              .calls = b->lot.calls};
    lot_name(&b->lot, b->options.tasks, true);
    b->begin_asked_us = clock_boot_us();
    b->begin_asking = operation_begin(b->options.host->queue, &o, on_begun, b) == OK;
}

static void begin(struct batcher *b)
{
    struct lot *l = &b->lot;
    int64_t now = clock_boot_us();
    if (l->n > 0 || now < b->full_us || b->n_ops >= MAX_OPS ||
        tasks_gathering(b->options.tasks) == 0)
        return;
    lot_gather(l, b->options.tasks, b->options.max_bytes);
    if (!l->full && now - b->gathered_us < (int64_t)(LINGER_S * 1e6))
        l->n = 0;
}

// --- What is gathered -----------------------------------------------------------------------

bool batcher_wants(struct span lane_model)
{
    return lane_model.len > 6 && memcmp(lane_model.ptr, "batch/", 6) == 0;
}

void batcher_wake(struct batcher *b)
{
    b->gathered_us = clock_boot_us();
    if (!ev_is_active(&b->tick) || ev_timer_remaining(b->options.host->loop, &b->tick) > TICK_S)
        soon(b, TICK_S);
}

unsigned batcher_room(struct batcher *b, struct span lane_model)
{
    unsigned have = tasks_gathering(b->options.tasks);
    bool may = batcher_wants(lane_model) && b->options.most > 0 && !b->draining;
    struct route *r = may ? route_find(b->options.host->gates, lane_model) : NULL;
    if (!r || have >= QUEUE_MAX_JOBS || b->n_ops >= MAX_OPS || route_wait(r) > 0)
        return 0;
    return QUEUE_MAX_JOBS - have;
}

// Those whose time has come while they waited.
static void look_at_gathered(struct batcher *b)
{
    struct task *t = tasks_next(b->options.tasks, NULL), *next;
    for (; t; t = next) {
        next = tasks_next(b->options.tasks, t);
        if (task_is_gathered(t) && b->lot.n == 0)
            task_gather(t);
    }
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    struct batcher *b = w->data;
    soon(b, TICK_S);
    sweep(b);
    if (!may_act(b)) {
        if (!b->begin_asking)
            b->lot.n = 0; // what it named is no longer ours
        return;
    }
    if (tasks_gathering(b->options.tasks) > 0)
        look_at_gathered(b);
    begin(b);
    if (b->lot.n > 0 && !b->begin_asking)
        send_begin(b);
    take(b);
    b->options.turn(b->options.ctx);
}

// --- Beginning and end ----------------------------------------------------------------------

void batcher_connected(struct batcher *b)
{
    struct holding *h;
    TAILQ_FOREACH(h, &b->ops, link)
    op_connected(h->op);
}

void batcher_drain(struct batcher *b)
{
    struct holding *h;
    b->draining = true;
    TAILQ_FOREACH(h, &b->ops, link)
    op_leave(h->op);
    soon(b, 0.);
}

struct batcher *batcher_new(const struct batcher_options *o)
{
    struct batcher *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->options = *o;
    if (!o->host->provider->ops->remote)
        b->options.most = 0;
    b->host = (struct op_host){.tasks = o->host,
                               .queue = o->queue,
                               .lease = o->seconds,
                               .keyrings = o->keyrings,
                               .n_keyrings = o->n_keyrings,
                               .ended = on_op_ended,
                               .ctx = b};
    TAILQ_INIT(&b->ops);
    ev_init(&b->tick, on_tick);
    b->tick.data = b;
    if (o->host->provider->ops->remote)
        soon(b, TICK_S * random_unit());
    return b;
}

void batcher_free(struct batcher *b)
{
    struct holding *h;
    if (!b)
        return;
    ev_timer_stop(b->options.host->loop, &b->tick);
    while ((h = TAILQ_FIRST(&b->ops))) {
        TAILQ_REMOVE(&b->ops, h, link);
        op_free(h->op);
        free(h);
    }
    free(b);
}
