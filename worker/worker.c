// worker.c - how a worker starts and ends, and what its tasks and connections tell it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/ledger.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/log.h"
#include "worker/keyring.h"
#include "worker/provider.h"
#include "worker/purse.h"
#include "worker/task_batch.h"
#include "worker/worker_private.h"

#define CALL_TIMEOUT 10.0 // seconds, of a command

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

// --- Tasks ----------------------------------------------------------------------------------

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

// --- Connections ----------------------------------------------------------------------------

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

static void on_state(void *ctx, bool up, enum err why)
{
    struct worker *w = ctx;
    if (up) {
        log_info("connected to redis", "version=%u", redis_version(w->redis));
        lease_connected(w->lease);
        batcher_connected(w->batcher);
        worker_turn(w, 0);
    } else {
        worker_parted(w);
        w->refused = (why == ERR_AUTH || why == ERR_DENIED || why == ERR_SERVER) &&
                     redis_version(w->redis) == 0;
        log_warn("redis is away", "code=" LOGQ " why=" LOGQ, err_text(why),
                 redis_why(w->redis));
        if (w->refused)
            ev_break(w->loop, EVBREAK_ALL);
    }
}

static void on_wait_state(void *ctx, bool up, enum err why)
{
    (void)why;
    struct worker *w = ctx;
    if (!up)
        w->waiting = false;
    w->wait_rest = (struct worker_rest){0};
    worker_turn(w, 0);
}

static bool connect_both(struct worker *w)
{
    struct redis_options o = {.url = w->options.redis,
                              .name = "genfarm-worker",
                              .ca_file = w->options.ca_file,
                              .on_state = on_state,
                              .ctx = w};
    w->redis = redis_new(w->loop, &o);
    o.name = "genfarm-worker-wait";
    o.on_state = on_wait_state;
    w->wait_redis = redis_new(w->loop, &o);
    if (!w->redis || !w->wait_redis)
        return false;
    w->queue = queue_new(w->redis, span_of(w->options.queue), CALL_TIMEOUT);
    w->wait_queue = queue_new(w->wait_redis, span_of(w->options.queue), CALL_TIMEOUT);
    if (w->queue)
        queue_keep_ledger(w->queue, w->options.ledger ? w->options.ledger : LEDGER_BYTES);
    return w->queue && w->wait_queue;
}

// --- Beginning and end ----------------------------------------------------------------------

// "art,spare"
static void name_projects(struct worker *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->options.n_keyrings && n < sizeof w->projects; i++)
        n += (size_t)snprintf(w->projects + n, sizeof w->projects - n, "%s%s", i ? "," : "",
                              keyring_project(w->options.keyrings[i])->name);
}

static void describe(struct worker *w, const struct provider *provider)
{
    gethostname(w->hostname, sizeof w->hostname - 1);
    snprintf(w->pid, sizeof w->pid, "%ld", (long)getpid());
    snprintf(w->name, sizeof w->name, "%s:%s", w->hostname, w->pid);
    snprintf(w->slots, sizeof w->slots, "%u", w->options.concurrency);
    name_projects(w);
    w->facts[0] = (struct queue_fact){"host", span_of(w->hostname)};
    w->facts[1] = (struct queue_fact){"pid", span_of(w->pid)};
    w->facts[2] = (struct queue_fact){"concurrency", span_of(w->slots)};
    w->facts[3] = (struct queue_fact){"version", SPAN(GENFARM_VERSION)};
    w->facts[4] = (struct queue_fact){"sink", span_of(w->options.sink_name)};
    // For the ledger, of calls that are under way when it is lost.
    w->facts[5] = (struct queue_fact){"ledger", w->options.ledger ? SPAN("1") : SPAN("0")};
    w->facts[6] = (struct queue_fact){"project", span_of(w->options.project)};
    w->facts[7] = (struct queue_fact){"provider", span_of(provider->name)};
    w->facts[8] = (struct queue_fact){"endpoint", span_of(provider->endpoint)};
    w->facts[9] = (struct queue_fact){"projects", span_of(w->projects)};
}

// What is not sent yet is for other workers to do.
static void cannot_store(void *ctx)
{
    struct worker *w = ctx;
    tasks_each(&w->tasks, task_drain);
    lease_tell(w->lease);
}

static struct lease *make_lease(struct worker *w)
{
    struct lease_options o = {.seconds = w->options.lease,
                              .facts = w->facts,
                              .n_facts = WORKER_FACTS,
                              .host = w->hostname};
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
                                 .name = w->name,
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

static bool make_parts(struct worker *w, const struct worker_parts *p)
{
    const struct worker_options *o = &w->options;
    w->storage =
        storage_new(w->loop, &(struct storage_options){w->queue, w->name, cannot_store, w});
    w->lease = make_lease(w);
    w->gates = make_gates(w);
    w->purse = purse_new(w->loop, w->redis, &(struct purse_options){w->hostname, o->lease});
    make_host(w, p);
    w->inbox =
        w->lease ? inbox_new(w->loop, w->queue, w->lease, o->catalogue, inbox_done, w) : NULL;
    w->held = held_new(w->queue, w->lease, &w->tasks);
    w->batcher = w->lease ? make_batcher(w) : NULL;
    return w->batcher && w->held && w->purse && w->storage && w->lease && w->gates &&
           w->host.sink && w->host.settles && w->host.marks && w->host.asks && w->inbox;
}

static void on_grace(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct worker *w = t->data;
    log_warn("the grace is over; calls in flight are left to the reaper", "calls=%u",
             tasks_in_flight(&w->tasks));
    ev_break(w->loop, EVBREAK_ALL);
}

struct worker *worker_new(struct ev_loop *loop, const struct worker_options *o,
                          const struct worker_parts *p)
{
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->loop = loop;
    w->options = *o;
    tasks_init(&w->tasks);
    ev_init(&w->tick, worker_on_tick);
    ev_init(&w->turn, worker_on_turn);
    ev_init(&w->grace, on_grace);
    ev_init(&w->silence, worker_on_silence);
    w->tick.data = w->turn.data = w->grace.data = w->silence.data = w;
    describe(w, p->provider);
    if (!connect_both(w) || !make_parts(w, p)) {
        worker_free(w);
        return NULL;
    }
    worker_tick(w, 0.2 * random_unit());
    w->options.peers->at[w->options.peers->n++] = w;
    return w;
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    w->leaving = true; // who is told that its request is over begins nothing new
    redis_free(w->wait_redis);
    redis_free(w->redis);
    ev_timer_stop(w->loop, &w->tick);
    ev_timer_stop(w->loop, &w->turn);
    ev_timer_stop(w->loop, &w->grace);
    ev_timer_stop(w->loop, &w->silence);
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
    queue_free(w->wait_queue);
    queue_free(w->queue);
    worker_forget_ready(w);
    free(w);
}

static void left(void *ctx)
{
    struct worker *w = ctx;
    bool all = w->gone = true;
    for (unsigned i = 0; i < w->options.peers->n; i++)
        all = all && w->options.peers->at[i]->gone;
    if (all)
        ev_break(w->loop, EVBREAK_ALL);
}

bool worker_drained(const struct worker *w)
{
    return w->gone;
}

const char *worker_refused(const struct worker *w)
{
    if (w->refused && w->why_refused == ERR_DENIED)
        return "this Redis user has no right to work on the queue; see deploy/redis-users.acl";
    return w->refused ? redis_why(w->redis) : NULL;
}

static void part_idle(void *ctx)
{
    worker_leave_if_empty(ctx);
}

void worker_leave_if_empty(struct worker *w)
{
    if (!w->host.draining || w->leaving || tasks_count(&w->tasks) > 0 || w->claiming ||
        !batcher_empty(w->batcher))
        return;
    if (!gates_settled(w->gates, part_idle, w) || !purse_settled(w->purse, part_idle, w))
        return;
    w->leaving = true;
    lease_leave(w->lease, left, w);
}

void worker_drain(struct worker *w)
{
    if (w->host.draining)
        return;
    log_info("draining", "jobs=%u calls=%u grace=%.0f", tasks_count(&w->tasks),
             tasks_in_flight(&w->tasks), w->options.grace);
    w->host.draining = true;
    ev_timer_set(&w->grace, w->options.grace, 0.);
    ev_timer_start(w->loop, &w->grace);
    tasks_each(&w->tasks, task_drain);
    batcher_drain(w->batcher);
    worker_leave_if_empty(w);
}
