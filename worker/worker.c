// worker.c - how a worker starts and ends, and its connections.
#include <stdlib.h>

#include "broker/ledger.h"
#include "common/digest.h"
#include "common/log.h"
#include "common/timer.h"
#include "worker/purse.h"
#include "worker/worker_private.h"

#define CALL_TIMEOUT 10.0 // seconds, of a command

// --- Connections ----------------------------------------------------------------------------

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

static void on_grace(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct worker *w = t->data;
    log_warn("the grace is over; calls in flight are left to the reaper", "calls=%u",
             tasks_in_flight(&w->tasks));
    if (!purse_settled(w->purse, NULL, NULL))
        log_warn("quotas miss what the last calls took", "queue=%s", w->options.queue);
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
    worker_facts_init(&w->facts, &w->options, p->provider);
    if (!connect_both(w) || !worker_make_parts(w, p)) {
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
    worker_free_parts(w);
    queue_free(w->wait_queue);
    queue_free(w->queue);
    worker_forget_ready(w);
    free(w);
}

// Both leases are given up at the same time.
static void left(void *ctx)
{
    struct worker *w = ctx;
    if (--w->leases > 0)
        return;
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
    w->leases = 2;
    purse_leave(w->purse, left, w);
    lease_leave(w->lease, left, w);
}

void worker_drain(struct worker *w)
{
    if (w->host.draining)
        return;
    log_info("draining", "jobs=%u calls=%u grace=%.0f", tasks_count(&w->tasks),
             tasks_in_flight(&w->tasks), w->options.grace);
    w->host.draining = true;
    timer_restart(w->loop, &w->grace, w->options.grace);
    tasks_each(&w->tasks, task_drain);
    batcher_drain(w->batcher);
    worker_leave_if_empty(w);
}
