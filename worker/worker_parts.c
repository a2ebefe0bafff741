// worker_parts.c - what a worker is made of, and what its parts tell it.
#include "broker/ledger.h"
#include "common/log.h"
#include "worker/provider.h"
#include "worker/purse.h"
#include "worker/task_batch.h"
#include "worker/worker_private.h"

// --- What they tell -------------------------------------------------------------------------

static void gate_has_room(void *ctx)
{
    worker_turn(ctx, 0);
}

static void limited(void *ctx, struct span group, struct span reason, double seconds)
{
    (void)ctx;
    if (reason.len)
        log_info("limited", "group=%.*s by=%.*s seconds=%.1f", (int)group.len, group.ptr,
                 (int)reason.len, reason.ptr, seconds);
    else
        log_info("no longer limited", "group=%.*s", (int)group.len, group.ptr);
}

static void groups_changed(void *ctx)
{
    const struct worker *w = ctx;
    lease_tell(w->lease);
}

static struct span incarnation(void *ctx)
{
    const struct worker *w = ctx;
    return lease_incarnation(w->lease);
}

static void limit_differs(void *ctx, struct span group, struct span spec)
{
    (void)ctx;
    log_warn("another limit is in force than the project asks for", "group=%.*s limit=%.*s",
             (int)group.len, group.ptr, spec.len ? (int)spec.len : 4,
             spec.len ? spec.ptr : "none");
}

static void task_ready(void *ctx, struct task *t)
{
    struct worker *w = ctx;
    if (task_wants_batch(t)) {
        tasks_gather(&w->tasks, t);
        task_gather(t);
        batcher_wake(w->batcher);
        return;
    }
    tasks_queue(&w->tasks, t);
    worker_turn(w, 0);
}

static void task_freed(void *ctx, struct task *t)
{
    struct worker *w = ctx;
    tasks_release(&w->tasks, t);
    for (unsigned i = 0; i < w->options.peers->n; i++)
        worker_turn(w->options.peers->at[i], 0);
}

static void task_gone(void *ctx, struct task *t)
{
    struct worker *w = ctx;
    tasks_remove(&w->tasks, t);
    worker_turn(w, 0);
    worker_leave_if_empty(w);
}

static void tasks_marked(void *ctx, enum err e)
{
    worker_note(ctx, WORKER_CLAIMS, e);
}

static void inbox_done(void *ctx)
{
    worker_turn(ctx, 0);
}

static void batches_turn(void *ctx)
{
    struct worker *w = ctx;
    for (size_t i = 0; i < w->n_ready; i++)
        if (batcher_wants(span_of(w->ready[i].name))) {
            worker_turn(w, 0);
            return;
        }
}

static void batches_empty(void *ctx)
{
    worker_leave_if_empty(ctx);
}

// What is not sent yet is for other workers to do.
static void cannot_store(void *ctx)
{
    struct worker *w = ctx;
    tasks_each(&w->tasks, task_drain);
    lease_tell(w->lease);
}

// --- Making them ----------------------------------------------------------------------------

static struct lease *make_lease(struct worker *w)
{
    struct lease_options o = {.seconds = w->options.lease,
                              .facts = w->facts.list,
                              .n_facts = WORKER_FACTS,
                              .host = w->facts.hostname};
    struct lease_hooks hooks = worker_lease_hooks;
    hooks.ctx = w;
    return lease_new(w->loop, w->queue, &o, &hooks);
}

static struct gates *make_gates(struct worker *w)
{
    const struct worker_options *o = &w->options;
    return gates_new(w->loop, w->redis,
                     &(struct gates_options){.keyrings = o->keyrings,
                                             .n_keyrings = o->n_keyrings,
                                             .catalogue = o->catalogue,
                                             .room = gate_has_room,
                                             .differs = limit_differs,
                                             .limited = limited,
                                             .incarnation = incarnation,
                                             .news = groups_changed,
                                             .lease = o->lease,
                                             .concurrency = o->concurrency,
                                             .ctx = w});
}

static struct batcher *make_batcher(struct worker *w)
{
    const struct worker_options *o = &w->options;
    return batcher_new(&(struct batcher_options){.host = &w->host,
                                                 .lease = w->lease,
                                                 .tasks = &w->tasks,
                                                 .queue = o->queue,
                                                 .seconds = o->lease,
                                                 .keyrings = o->keyrings,
                                                 .n_keyrings = o->n_keyrings,
                                                 .most = o->max_batches,
                                                 .max_bytes = o->batch_bytes,
                                                 .turn = batches_turn,
                                                 .empty = batches_empty,
                                                 .ctx = w});
}

// What tasks are given; its parts are there, or NULL.
static void make_host(struct worker *w, const struct worker_parts *p)
{
    const struct worker_options *o = &w->options;
    w->host = (struct task_host){.loop = w->loop,
                                 .queue = w->queue,
                                 .lease = w->lease,
                                 .provider = p->provider,
                                 .sink = p->sink(p->ctx, w->loop, w->queue),
                                 .storage = w->storage,
                                 .pool = p->pool,
                                 .gates = w->gates,
                                 .purse = w->purse,
                                 .uplink = &w->uplink,
                                 .catalogue = o->catalogue,
                                 .verify = o->verify,
                                 .name = w->facts.name,
                                 .project = o->project,
                                 .ledger = o->ledger > 0,
                                 .ready = task_ready,
                                 .freed = task_freed,
                                 .gone = task_gone,
                                 .marked = tasks_marked,
                                 .ctx = w};
    w->host.settles = pump_new(w->loop, &task_settle_ops, &w->host, 500);
    w->host.marks = pump_new(w->loop, &task_mark_ops, &w->host, 500);
    w->host.asks = pump_new(w->loop, &task_ask_ops, &w->host, QUEUE_MAX_ASKED);
}

bool worker_make_parts(struct worker *w, const struct worker_parts *p)
{
    const struct worker_options *o = &w->options;
    w->storage = storage_new(
        w->loop, &(struct storage_options){w->queue, w->facts.name, cannot_store, w});
    w->lease = make_lease(w);
    w->gates = make_gates(w);
    w->purse =
        purse_new(w->loop, w->redis, &(struct purse_options){w->facts.hostname, o->lease});
    make_host(w, p);
    w->inbox =
        w->lease ? inbox_new(w->loop, w->queue, w->lease, o->catalogue, inbox_done, w) : NULL;
    w->held = held_new(w->queue, w->lease, &w->tasks);
    w->batcher = w->lease ? make_batcher(w) : NULL;
    return w->batcher && w->held && w->purse && w->storage && w->lease && w->gates &&
           w->host.sink && w->host.settles && w->host.marks && w->host.asks && w->inbox;
}

void worker_free_parts(struct worker *w)
{
    batcher_free(w->batcher);
    tasks_free(&w->tasks);
    inbox_free(w->inbox);
    held_free(w->held);
    purse_free(w->purse);
    storage_free(w->storage);
    pump_free(w->host.settles);
    pump_free(w->host.marks);
    pump_free(w->host.asks);
    if (w->host.sink)
        w->host.sink->ops->free(w->host.sink);
    gates_free(w->gates);
    lease_free(w->lease);
}
