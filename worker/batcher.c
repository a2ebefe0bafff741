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
#include "worker/keyring.h"
#include "worker/lease.h"
#include "worker/operation.h"
#include "worker/provider.h"
#include "worker/route.h"
#include "worker/task_batch.h"
#include "worker/tasks.h"

#define LINGER_S  1.0        // that more is waited for before a batch that is not full goes
#define TICK_S    0.25       //
#define TAKE_S    1.0        // between looks for operations that nobody has
#define AGAIN_S   2.0        // until it is tried again where there are too many
#define KEEP_S    180000.0   // that the end of one is hoped for: 50 hours
#define MAX_INPUT (8u << 20) // bytes of the inputs of one: what the queue gives in one answer
#define MAX_OPS   128        // of one worker

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
    struct { // an operation that is being begun; n 0: none is
        char id[OPERATION_ID + 1], batch[JOB_MAX_NAME + 1], model[JOB_MAX_NAME + 1];
        char project[JOB_MAX_NAME + 1];
        size_t n;
        struct queue_field fields[QUEUE_MAX_JOBS];
        int64_t worst[QUEUE_MAX_JOBS];
        int64_t asked_us;
        bool asking;
    } begin;
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
    ev_timer_stop(b->options.host->loop, &b->tick);
    ev_timer_set(&b->tick, seconds, 0.);
    ev_timer_start(b->options.host->loop, &b->tick);
}

static void on_op_ended(void *ctx)
{
    soon(ctx, 0.); // not here: it is in the midst of its own work
}

bool batcher_empty(const struct batcher *b)
{
    return b->n_ops == 0 && !b->taking && !b->begin.asking;
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

static void send_begin(struct batcher *b);
static void name_all(struct batcher *b, bool named);

// What became of each job: gathered ones are looked up, for they may have gone meanwhile.
static void moved(struct batcher *b, struct span marks)
{
    for (size_t i = 0; i < marks.len && i < b->begin.n; i++) {
        struct task *t = tasks_find(b->options.tasks, b->begin.fields[i]);
        if (t)
            task_moved(t, marks.ptr[i]);
    }
}

static void on_begun(void *ctx, enum err e, struct span marks, struct span inc)
{
    struct batcher *b = ctx;
    b->begin.asking = false;
    if (e == OK) {
        struct operation o = {.op = span_of(b->begin.id),
                              .inc = inc,
                              .state = SPAN("new"),
                              .batch = span_of(b->begin.batch),
                              .model = span_of(b->begin.model),
                              .project = span_of(b->begin.project),
                              .created_ms = clock_wall_ms() + b->options.host->server_offset_ms,
                              .until_ms = clock_wall_ms() + b->options.host->server_offset_ms +
                                          ms(KEEP_S)};
        moved(b, marks);
        if (inc.len)
            hold(b, &o, b->begin.asked_us);
        b->options.turn(b->options.ctx);
    } else if (e == ERR_LIMIT) {
        name_all(b, false);
        b->full_us = clock_boot_us() + (int64_t)(AGAIN_S * 1e6);
    }
    if (e == ERR_LOST)
        lease_was_lost(b->options.lease);
    if (e == OK || e == ERR_LIMIT || e == ERR_LOST)
        b->begin.n = 0;
    soon(b, e == OK ? 0. : TICK_S);
    if (b->draining)
        batcher_drain(b);
}

static void name_all(struct batcher *b, bool named)
{
    for (size_t i = 0; i < b->begin.n; i++) {
        struct task *t = tasks_find(b->options.tasks, b->begin.fields[i]);
        if (t)
            task_named(t, named);
    }
}

// May be sent again as it was, until it is answered.
static void send_begin(struct batcher *b)
{
    struct operation_new o = {.inc = lease_incarnation(b->options.lease),
                              .op = span_of(b->begin.id),
                              .batch = span_of(b->begin.batch),
                              .model = span_of(b->begin.model),
                              .project = span_of(b->begin.project),
                              .lease_ms = ms(b->options.seconds),
                              .keep_ms = ms(KEEP_S),
                              .most = b->options.most,
                              .n = b->begin.n,
                              .fields = b->begin.fields,
                              .worst = b->begin.worst};
    name_all(b, true);
    b->begin.asked_us = clock_boot_us();
    b->begin.asking = operation_begin(b->options.host->queue, &o, on_begun, b) == OK;
}

static void copy(char to[static JOB_MAX_NAME + 1], struct span from)
{
    size_t n = from.len < JOB_MAX_NAME ? from.len : JOB_MAX_NAME;
    memcpy(to, from.ptr, n);
    to[n] = '\0';
}

struct lot { // of one batch and model
    size_t n;
    uint64_t in, out;
    bool full;
};

static bool fits(const struct batcher *b, const struct lot *lot, const struct task_lot *one)
{
    return lot->n < QUEUE_MAX_JOBS && lot->in + one->bytes_in <= MAX_INPUT &&
           (lot->n == 0 || lot->out + one->bytes_out <= b->options.max_bytes);
}

// Gathers, into `begin`, the first batch, model and project there is a job of; says whether it
// is full.
static struct lot gather(struct batcher *b)
{
    struct lot lot = {0};
    const struct task *t = NULL;
    while (!lot.full && (t = tasks_next(b->options.tasks, t))) {
        if (!task_is_gathered(t) || task_is_lost(t))
            continue;
        struct task_lot one = task_lot(t);
        if (!one.affordable)
            continue;
        if (lot.n == 0) {
            copy(b->begin.batch, one.batch);
            copy(b->begin.model, one.model);
            copy(b->begin.project, one.project);
        } else if (!span_is(one.batch, b->begin.batch) || !span_is(one.model, b->begin.model) ||
                   !span_is(one.project, b->begin.project)) {
            continue;
        }
        if (!fits(b, &lot, &one)) {
            lot.full = true;
            break;
        }
        b->begin.fields[lot.n] = one.field;
        b->begin.worst[lot.n++] = one.worst;
        lot.in += one.bytes_in;
        lot.out += one.bytes_out;
    }
    return lot;
}

static void begin(struct batcher *b)
{
    uint8_t id[OPERATION_ID / 2];
    int64_t now = clock_boot_us();
    if (b->begin.n > 0 || now < b->full_us || b->n_ops >= MAX_OPS ||
        tasks_gathering(b->options.tasks) == 0)
        return;
    struct lot lot = gather(b);
    if (lot.n == 0 || (!lot.full && now - b->gathered_us < (int64_t)(LINGER_S * 1e6)))
        return;
    random_bytes(id, sizeof id);
    digest_hex(id, sizeof id, b->begin.id);
    b->begin.n = lot.n;
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
        if (task_is_gathered(t) && b->begin.n == 0)
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
        if (!b->begin.asking)
            b->begin.n = 0; // what it named is no longer ours
        return;
    }
    if (tasks_gathering(b->options.tasks) > 0)
        look_at_gathered(b);
    begin(b);
    if (b->begin.n > 0 && !b->begin.asking)
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
