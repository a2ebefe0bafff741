// worker_claim.c - what is claimed, and when: no more than may be sent soon.
#include <stdlib.h>
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/worker_private.h"

#define WAIT_SECONDS 5.0 // of one blocking wait for new work
#define MAX_UNSTORED 64  // images in hand, beside as many as there are calls
#define ROOM_AGAIN_S 0.5 // until a sink without room is asked again
#define RETRY_BASE   0.1 // seconds, of the pauses after failures
#define RETRY_CAP    2.0
#define AHEAD        8 // one job for so many calls is claimed ahead, so that no slot waits for it

static void schedule(struct worker *w);

// --- What is ready --------------------------------------------------------------------------

void worker_forget_ready(struct worker *w)
{
    for (size_t i = 0; i < w->n_ready; i++)
        free(w->ready[i].name);
    w->n_ready = 0;
}

void worker_learn_ready(struct worker *w, const struct queue_ready *ready, size_t n)
{
    worker_forget_ready(w);
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

void worker_learn_time(struct worker *w, int64_t server_ms)
{
    w->host.server_offset_ms = server_ms - clock_wall_ms();
}

// --- Claiming -------------------------------------------------------------------------------

void worker_turn(struct worker *w, double after)
{
    ev_timer_stop(w->loop, &w->turn);
    ev_timer_set(&w->turn, after, 0.);
    ev_timer_start(w->loop, &w->turn);
}

// A server that refuses is not asked again as fast as it answers, whatever else happens here.
static void rest(struct worker_rest *r, double least)
{
    double pause = backoff_delay(++r->failures, RETRY_BASE, RETRY_CAP, least);
    r->until_ms = clock_mono_ms() + (int64_t)(pause * 1000);
}

static bool rests(struct worker *w, const struct worker_rest *r)
{
    int64_t left = r->until_ms - clock_mono_ms();
    if (left <= 0)
        return false;
    if (!ev_is_active(&w->turn))
        worker_turn(w, (double)(left + 1) / 1000);
    return true;
}

static void take_job(struct worker *w, const struct queue_claimed *c)
{
    struct task *t = task_new(&w->host, w->seq, c);
    if (!t) {
        // Held unknowingly, until the next renewal finds that: see held.h.
        log_error("claim", "why=" LOGQ " batch=%.*s index=%u", "out of memory",
                  (int)c->batch.len, c->batch.ptr, c->ticket.index);
        return;
    }
    tasks_add(&w->tasks, t);
    storage_saw(w->storage, c->batch, c->nonce);
    task_start(t);
}

static void on_claimed(void *ctx, enum err e, const struct queue_claims *c)
{
    struct worker *w = ctx;
    w->claiming = false;
    worker_note(w, WORKER_CLAIMS, e);
    w->resend = e != OK && e != ERR_LOST;
    if (e == ERR_LOST) {
        lease_was_lost(w->lease);
        return;
    }
    if (e != OK) {
        rest(&w->claim_rest, e == ERR_FULL ? 0.5 : 0.05);
        schedule(w);
        return;
    }
    w->claim_rest = (struct worker_rest){0};
    worker_learn_time(w, c->server_ms);
    worker_learn_ready(w, c->ready, c->n_ready);
    for (size_t i = 0; i < c->n_jobs; i++)
        take_job(w, &c->jobs[i]);
    if (c->n_jobs > 0 && w->n_ready > 0)
        worker_turn(w, 0);
    else
        schedule(w);
    worker_leave_if_empty(w);
}

// Which lanes and models to claim of, and how many in all: no more than may be sent soon. Each
// claim begins with another of them, for the first may take all there is room for.
static unsigned plan(struct worker *w, unsigned room, struct span *lanes, size_t *n)
{
    unsigned want = 0;
    *n = 0;
    w->turns++;
    for (size_t k = 0; k < w->n_ready && want < room; k++) {
        size_t i = (w->turns + k) % w->n_ready;
        if (batcher_wants(span_of(w->ready[i].name)))
            continue;
        struct route *r = route_find(w->gates, span_of(w->ready[i].name));
        unsigned most = room - want;
        if (!r)
            continue;
        unsigned may =
            route_room(r, w->ready[i].jobs < most ? (unsigned)w->ready[i].jobs : most);
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
        rest(&w->claim_rest, 0.05);
        rests(w, &w->claim_rest);
    }
}

// Claims nothing: the answer says what is ready.
void worker_ask(struct worker *w)
{
    claim(w, 0, NULL, 0);
}

// Jobs of lane batch need no slot. True: they are being claimed.
static bool claim_for_batches(struct worker *w)
{
    struct span lanes[MAX_LANES];
    unsigned want = 0;
    size_t n = 0;
    for (size_t i = 0; i < w->n_ready; i++) {
        struct span lane = span_of(w->ready[i].name);
        unsigned room = batcher_room(w->batcher, lane);
        if (room > want)
            want = room;
        if (room > 0)
            lanes[n++] = lane;
    }
    if (n == 0)
        return false;
    w->asked = want;
    claim(w, want, lanes, n);
    return true;
}

// Whether there is something ready that needs a slot.
static bool calls_ready(const struct worker *w)
{
    for (size_t i = 0; i < w->n_ready; i++)
        if (!batcher_wants(span_of(w->ready[i].name)))
            return true;
    return false;
}

// Tasks that are under way, or will be soon.
static unsigned busy_tasks(const struct worker *w)
{
    return tasks_count(&w->tasks) - tasks_gathering(&w->tasks);
}

static void on_woken(void *ctx, enum err e, int64_t woken)
{
    struct worker *w = ctx;
    w->waiting = false;
    if (e == OK)
        w->wait_rest = (struct worker_rest){0};
    else
        rest(&w->wait_rest, 0.05);
    if (e == OK && woken && !w->claiming && !w->leaving && lease_holds(w->lease) &&
        !inbox_busy(w->inbox) && !rests(w, &w->claim_rest)) {
        ev_timer_stop(w->loop, &w->turn);
        worker_ask(w);
        return;
    }
    schedule(w);
}

static void wait_for_work(struct worker *w)
{
    if (w->waiting || !redis_ready(w->wait_redis) || rests(w, &w->wait_rest))
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

// Of `want` calls, those whose images could be stored.
static unsigned room_to_store(struct worker *w, unsigned want)
{
    struct buf why = {.max = 8192};
    unsigned room =
        w->host.sink->ops->room(w->host.sink, busy_tasks(w), want, w->n_ready > 0, &why);
    if (room > 0)
        storage_works(w->storage);
    else
        worker_turn(w, ROOM_AGAIN_S);
    if (why.len && w->n_ready > 0)
        storage_fails(w->storage, buf_span(&why));
    buf_free(&why);
    return room;
}

// Gives slots to tasks that wait for one, then claims what may still be sent.
static void schedule(struct worker *w)
{
    struct span lanes[MAX_LANES];
    size_t n;
    if (w->claiming || w->leaving || !lease_holds(w->lease))
        return;
    unsigned holding = peers_sum(w, tasks_in_flight) - tasks_in_flight(&w->tasks);
    if (holding < w->options.concurrency && w->host.stuck == 0)
        tasks_go(&w->tasks, w->options.concurrency - holding);
    if (w->host.draining || inbox_busy(w->inbox) || rests(w, &w->claim_rest))
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
    if (claim_for_batches(w))
        return;
    if (w->host.stuck > 0 || busy_tasks(w) > 2 * w->options.concurrency + MAX_UNSTORED)
        return; // images come faster than they can be stored
    if (room > 0)
        room = room_to_store(w, room);
    if (room == 0)
        return;
    unsigned want = plan(w, room, lanes, &n);
    if (want > 0) {
        w->asked = want;
        claim(w, want, lanes, n);
    } else if (!calls_ready(w)) {
        wait_for_work(w);
    }
}

void worker_on_turn(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    schedule(t->data);
}
