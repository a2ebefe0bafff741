// worker.c - what is claimed, when, and how a worker starts and ends.
#include "worker/worker.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "broker/queue.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/log.h"
#include "worker/gate.h"
#include "worker/inbox.h"
#include "worker/lease.h"
#include "worker/pump.h"
#include "worker/sink.h"
#include "worker/task.h"
#include "worker/tasks.h"

#define CALL_TIMEOUT 10.0 // seconds, of a command
#define WAIT_SECONDS 5.0  // of one blocking wait for new work
#define MAX_UNSTORED 64   // images in hand, beside as many as there are calls
#define AHEAD        8 // one job for so many calls is claimed ahead, so that no slot waits for it
#define MAX_LANES    64 // lanes and models that are looked at in one claim

struct worker {
    struct ev_loop *loop;
    struct worker_options options;
    struct redis *redis, *wait_redis;
    struct queue *queue, *wait_queue;
    struct lease *lease;
    struct gates *gates;
    struct inbox *inbox;
    struct task_host host;
    struct tasks tasks; // all of them, and who waits for a slot
    struct queue_fact facts[5];
    char name[96], hostname[65], pid[16], slots[16];

    struct { // lanes and models with ready work, as the last answer said
        char *name;
        int64_t jobs;
    } ready[MAX_LANES];
    size_t n_ready;

    bool claiming; // a claim is under way
    uint64_t seq;  // its number; sent again when its answer was lost
    bool resend;
    unsigned asked; // how many it asked for
    bool waiting;   // a blocking wait is under way
    ev_timer tick, grace, turn;
    bool ticking, leaving, gone;
    bool refused; // by the server, for good
};

static void schedule(struct worker *w);
static void turn_soon(struct worker *w, double after);
static void leave_if_empty(struct worker *w);

// --- What is ready
// -------------------------------------------------------------------------------

static void forget_ready(struct worker *w)
{
    for (size_t i = 0; i < w->n_ready; i++)
        free(w->ready[i].name);
    w->n_ready = 0;
}

static void learn_ready(struct worker *w, const struct queue_ready *ready, size_t n)
{
    forget_ready(w);
    for (size_t i = 0; i < n && w->n_ready < MAX_LANES; i++) {
        if (ready[i].jobs <= 0 || ready[i].lane_model.len > 2 * JOB_MAX_NAME)
            continue;
        char *name = strndup(ready[i].lane_model.ptr, ready[i].lane_model.len);
        if (!name)
            return;
        w->ready[w->n_ready].name = name;
        w->ready[w->n_ready++].jobs = ready[i].jobs;
    }
}

static void learn_time(struct worker *w, int64_t server_ms)
{
    w->host.server_offset_ms = server_ms - clock_wall_ms();
}

// --- Claiming
// ------------------------------------------------------------------------------------

static void turn_soon(struct worker *w, double after)
{
    ev_timer_stop(w->loop, &w->turn);
    ev_timer_set(&w->turn, after, 0.);
    ev_timer_start(w->loop, &w->turn);
}

static void take_job(struct worker *w, const struct queue_claimed *c)
{
    struct task *t = task_new(&w->host, w->seq, c);
    if (!t) {
        // It stays with this incarnation; what is not settled is handed back by the reaper.
        log_error("claim", "why=" LOGQ " batch=%.*s index=%u", "out of memory",
                  (int)c->batch.len, c->batch.ptr, c->ticket.index);
        return;
    }
    tasks_add(&w->tasks, t);
    task_start(t);
}

static void on_claimed(void *ctx, enum err e, const struct queue_claims *c)
{
    struct worker *w = ctx;
    w->claiming = false;
    w->resend = e != OK && e != ERR_LOST;
    if (e == ERR_LOST) {
        lease_was_lost(w->lease);
        return;
    }
    if (e != OK) {
        turn_soon(w, e == ERR_FULL ? 1.0 : 0.2);
        return;
    }
    learn_time(w, c->server_ms);
    learn_ready(w, c->ready, c->n_ready);
    for (size_t i = 0; i < c->n_jobs; i++)
        take_job(w, &c->jobs[i]);
    if (c->n_jobs > 0 && w->n_ready > 0)
        turn_soon(w, 0);
    else
        schedule(w);
    leave_if_empty(w);
}

// Which lanes and models to claim of, and how many in all: no more than may be sent soon.
static unsigned plan(struct worker *w, unsigned room, struct span *lanes, size_t *n)
{
    unsigned want = 0;
    *n = 0;
    for (size_t i = 0; i < w->n_ready && want < room; i++) {
        struct gate *g = gates_find(w->gates, span_of(w->ready[i].name));
        unsigned most = room - want;
        if (!g)
            continue;
        unsigned may =
            gate_room(g, w->ready[i].jobs < most ? (unsigned)w->ready[i].jobs : most);
        if (may == 0)
            continue;
        lanes[(*n)++] = span_of(w->ready[i].name);
        want += may;
        if (may < most) // a limited group: claim of this one alone, exactly what it may send
            break;
    }
    return want;
}

static void claim(struct worker *w, unsigned want, const struct span *lanes, size_t n)
{
    if (!w->resend)
        w->seq = lease_next_seq(w->lease);
    w->claiming = queue_claim(w->queue, lease_incarnation(w->lease), w->seq, want, n, lanes,
                              on_claimed, w) == OK;
    if (!w->claiming) {
        w->resend = true;
        turn_soon(w, 0.2);
    }
}

static void on_woken(void *ctx, enum err e, int64_t woken)
{
    struct worker *w = ctx;
    w->waiting = false;
    if (e == OK && woken && !w->claiming && !w->leaving && lease_holds(w->lease) &&
        !inbox_busy(w->inbox)) {
        ev_timer_stop(w->loop, &w->turn);
        claim(w, 0, NULL, 0); // its answer says what is ready
        return;
    }
    schedule(w);
}

static void wait_for_work(struct worker *w)
{
    if (w->waiting || !redis_ready(w->wait_redis))
        return;
    w->waiting = queue_wait(w->wait_queue, WAIT_SECONDS, on_woken, w) == OK;
}

static unsigned peers_sum(const struct worker *w, unsigned (*of)(const struct tasks *s))
{
    unsigned sum = 0;
    for (unsigned i = 0; i < w->options.peers->n; i++)
        sum += of(&w->options.peers->at[i]->tasks);
    return sum;
}

// Gives slots to tasks that wait for one, then claims what may still be sent.
static void schedule(struct worker *w)
{
    struct span lanes[MAX_LANES];
    size_t n;
    if (w->claiming || w->leaving || !lease_holds(w->lease))
        return;
    unsigned holding = peers_sum(w, tasks_in_flight) - tasks_in_flight(&w->tasks);
    if (holding < w->options.concurrency)
        tasks_go(&w->tasks, w->options.concurrency - holding);
    if (w->host.draining || inbox_busy(w->inbox))
        return;
    unsigned busy = peers_sum(w, tasks_claimed);
    unsigned most = w->options.concurrency + w->options.concurrency / AHEAD;
    unsigned room = busy < most ? most - busy : 0;
    if (room > QUEUE_MAX_JOBS)
        room = QUEUE_MAX_JOBS;
    if (w->resend) {
        claim(w, w->asked, NULL, 0);
        return;
    }
    if (w->host.stuck > 0 || tasks_count(&w->tasks) > 2 * w->options.concurrency + MAX_UNSTORED)
        return; // images come faster than they can be stored
    if (room > 0)
        room = w->host.sink->ops->room(w->host.sink, tasks_count(&w->tasks), room);
    if (room == 0)
        return;
    unsigned want = plan(w, room, lanes, &n);
    if (want > 0) {
        w->asked = want;
        claim(w, want, lanes, n);
    } else if (w->n_ready == 0) {
        wait_for_work(w);
    }
}

static void on_turn(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    schedule(t->data);
}

static void gate_has_room(void *ctx)
{
    turn_soon(ctx, 0);
}

static void limit_differs(void *ctx, struct span group, struct span spec)
{
    (void)ctx;
    log_warn("another limit is in force than --limit asks for", "group=%.*s limit=%.*s",
             (int)group.len, group.ptr, (int)spec.len, spec.ptr);
}

// --- Tasks
// -----------------------------------------------------------------------------------------

static void task_ready(void *ctx, struct task *t)
{
    struct worker *w = ctx;
    tasks_queue(&w->tasks, t);
    turn_soon(w, 0);
}

static void task_freed(void *ctx, struct task *t)
{
    struct worker *w = ctx;
    tasks_release(&w->tasks, t);
    for (unsigned i = 0; i < w->options.peers->n; i++)
        turn_soon(w->options.peers->at[i], 0);
}

static void task_gone(void *ctx, struct task *t)
{
    struct worker *w = ctx;
    tasks_remove(&w->tasks, t);
    turn_soon(w, 0);
    leave_if_empty(w);
}

// --- The lease
// -------------------------------------------------------------------------------------

static void gained(void *ctx)
{
    struct worker *w = ctx;
    struct span inc = lease_incarnation(w->lease);
    log_info("registered", "worker=%.*s queue=%s", (int)inc.len, inc.ptr, w->options.queue);
    w->resend = w->claiming = false;
    w->seq = lease_next_seq(w->lease);
    claim(w, 0, NULL, 0);
}

static void lost(void *ctx)
{
    struct worker *w = ctx;
    log_warn("the lease was lost", "jobs=%u", tasks_count(&w->tasks));
    w->claiming = w->resend = false;
    pump_lost(w->host.marks);
    pump_lost(w->host.settles);
    tasks_each(&w->tasks, task_lost);
}

static void renewed(void *ctx, const struct queue_renewed *r)
{
    struct worker *w = ctx;
    learn_time(w, r->server_ms);
    learn_ready(w, r->ready, r->n_ready);
    for (size_t i = 0; i < r->n_cancelled; i++)
        tasks_abort(&w->tasks, r->cancelled[i]);
    turn_soon(w, 0);
}

static unsigned flight(void *ctx)
{
    struct worker *w = ctx;
    return tasks_in_flight(&w->tasks);
}

// --- Housekeeping
// ----------------------------------------------------------------------------------

static void tick_later(struct worker *w, double seconds)
{
    ev_timer_stop(w->loop, &w->tick);
    ev_timer_set(&w->tick, seconds, 0.);
    ev_timer_start(w->loop, &w->tick);
}

static void on_ticked(void *ctx, enum err e, int64_t moved)
{
    struct worker *w = ctx;
    w->ticking = false;
    bool busy = e == OK && moved > 0;
    tick_later(w, busy ? 0.02 : 0.4 + 0.4 * random_unit());
    if (busy && w->n_ready == 0 && !w->claiming && !w->leaving && lease_holds(w->lease) &&
        !inbox_busy(w->inbox))
        claim(w, 0, NULL, 0);
}

static void on_tick(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct worker *w = t->data;
    int64_t lease_ms = (int64_t)(w->options.lease * 1000);
    if (!w->leaving && lease_holds(w->lease) && !w->claiming && !w->resend && !w->host.draining)
        inbox_look(w->inbox);
    w->ticking = queue_tick(w->queue, lease_ms, 500, on_ticked, w) == OK;
    if (!w->ticking)
        tick_later(w, 0.5);
}

static void inbox_done(void *ctx)
{
    turn_soon(ctx, 0);
}

// --- Connections
// -----------------------------------------------------------------------------------

static void on_state(void *ctx, bool up, enum err why)
{
    struct worker *w = ctx;
    if (up) {
        log_info("connected to redis", "version=%u", redis_version(w->redis));
        lease_connected(w->lease);
        turn_soon(w, 0);
    } else {
        w->refused = (why == ERR_AUTH || why == ERR_SERVER) && redis_version(w->redis) == 0;
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
    turn_soon(w, 0);
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
    return w->queue && w->wait_queue;
}

// --- Beginning and end
// -------------------------------------------------------------------------------

static void describe(struct worker *w)
{
    gethostname(w->hostname, sizeof w->hostname - 1);
    snprintf(w->pid, sizeof w->pid, "%ld", (long)getpid());
    snprintf(w->name, sizeof w->name, "%s:%s", w->hostname, w->pid);
    snprintf(w->slots, sizeof w->slots, "%u", w->options.concurrency);
    w->facts[0] = (struct queue_fact){"host", span_of(w->hostname)};
    w->facts[1] = (struct queue_fact){"pid", span_of(w->pid)};
    w->facts[2] = (struct queue_fact){"concurrency", span_of(w->slots)};
    w->facts[3] = (struct queue_fact){"version", SPAN(GENFARM_VERSION)};
    w->facts[4] = (struct queue_fact){"sink", span_of(w->options.sink_name)};
}

static bool make_parts(struct worker *w, const struct worker_parts *p)
{
    const struct worker_options *o = &w->options;
    struct lease_options lo = {
        .seconds = o->lease, .facts = w->facts, .n_facts = 5, .host = w->hostname};
    struct lease_hooks lh = {gained, lost, renewed, flight, w};
    struct gates_options go = {o->project, o->limit, gate_has_room, limit_differs, w};
    w->lease = lease_new(w->loop, w->queue, &lo, &lh);
    w->gates = gates_new(w->loop, w->redis, &go);
    w->host = (struct task_host){.loop = w->loop,
                                 .queue = w->queue,
                                 .lease = w->lease,
                                 .provider = p->provider,
                                 .sink = p->sink(p->ctx, w->loop, w->queue),
                                 .pool = p->pool,
                                 .gates = w->gates,
                                 .catalogue = o->catalogue,
                                 .verify = o->verify,
                                 .name = w->name,
                                 .ready = task_ready,
                                 .freed = task_freed,
                                 .gone = task_gone,
                                 .ctx = w};
    w->host.settles = pump_new(w->loop, &task_settle_ops, &w->host, 500);
    w->host.marks = pump_new(w->loop, &task_mark_ops, &w->host, 500);
    w->inbox =
        w->lease ? inbox_new(w->loop, w->queue, w->lease, o->catalogue, inbox_done, w) : NULL;
    return w->lease && w->gates && w->host.sink && w->host.settles && w->host.marks && w->inbox;
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
    ev_init(&w->tick, on_tick);
    ev_init(&w->turn, on_turn);
    ev_init(&w->grace, on_grace);
    w->tick.data = w->turn.data = w->grace.data = w;
    describe(w);
    if (!connect_both(w) || !make_parts(w, p)) {
        worker_free(w);
        return NULL;
    }
    tick_later(w, 0.2 * random_unit());
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
    tasks_free(&w->tasks);
    inbox_free(w->inbox);
    pump_free(w->host.settles);
    pump_free(w->host.marks);
    if (w->host.sink)
        w->host.sink->ops->free(w->host.sink);
    gates_free(w->gates);
    lease_free(w->lease);
    queue_free(w->wait_queue);
    queue_free(w->queue);
    forget_ready(w);
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
    return w->refused ? redis_why(w->redis) : NULL;
}

static void leave_if_empty(struct worker *w)
{
    if (!w->host.draining || w->leaving || tasks_count(&w->tasks) > 0 || w->claiming)
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
    leave_if_empty(w);
}
