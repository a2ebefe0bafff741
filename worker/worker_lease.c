// worker_lease.c - holding the lease, and what is done beside jobs: housekeeping, the inbox,
// and comparing what the server holds for this worker with what it knows of.
#include "broker/code.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/log.h"
#include "common/timer.h"
#include "worker/worker_private.h"

#define UNWELL_MS 1000 // that the server does not do its work, before it is said
#define SILENCE_S 2.0  // the same of one that says nothing

// --- The lease ------------------------------------------------------------------------------

static void accepted(struct worker *w)
{
    if (w->why_refused != OK)
        log_info("redis accepts this worker again", "was=" LOGQ, err_text(w->why_refused));
    w->why_refused = OK;
}

static void gained(void *ctx)
{
    struct worker *w = ctx;
    struct span inc = lease_incarnation(w->lease);
    log_info("registered", "worker=%.*s queue=%s", (int)inc.len, inc.ptr, w->options.queue);
    w->was_registered = true;
    accepted(w);
    w->resend = w->claiming = false;
    w->seq = lease_next_seq(w->lease);
    lease_tell(w->lease); // groups that the last incarnation had
    worker_ask(w);
}

// A user without the rights is told at once, as a wrong password is; later, when rights were
// taken away, it is waited for them.
static void refused(void *ctx, enum err e)
{
    struct worker *w = ctx;
    if (w->why_refused != e)
        log_error("redis refuses this worker", "why=" LOGQ, err_text(e));
    w->why_refused = e;
    if (e == ERR_DENIED && !w->was_registered) {
        w->refused = true;
        ev_break(w->loop, EVBREAK_ALL);
    }
}

static void lost(void *ctx)
{
    struct worker *w = ctx;
    log_warn("the lease was lost", "jobs=%u", tasks_count(&w->tasks));
    w->claiming = w->resend = false;
    pump_lost(w->host.asks);
    pump_lost(w->host.marks);
    pump_lost(w->host.settles);
    tasks_each(&w->tasks, task_lost);
}

static void renewed(void *ctx, const struct queue_renewed *r)
{
    struct worker *w = ctx;
    accepted(w);
    worker_learn_time(w, r->server_ms);
    worker_learn_ready(w, r->ready, r->n_ready);
    held_cancelled(w->held, r->cancelled, r->n_cancelled);
    if (!inbox_busy(w->inbox) && !w->resend)
        held_count(w->held, r->active);
    worker_turn(w, 0);
}

static unsigned flight(void *ctx)
{
    struct worker *w = ctx;
    return tasks_in_flight(&w->tasks);
}

// --- Housekeeping ---------------------------------------------------------------------------

void worker_note(struct worker *w, enum worker_chore what, enum err e)
{
    static const char *const names[] = {"new calls", "housekeeping"};
    bool lasts = e != OK && (!err_retryable(e) || e == ERR_FULL) && e != ERR_LOST;
    enum err before = w->chores[what];
    if (lasts && e != before)
        log_warn("redis refuses", "what=%s why=" LOGQ, names[what], err_text(e));
    else if (e == OK && before != OK)
        log_info("redis goes on", "what=%s", names[what]);
    if (lasts || e == OK)
        w->chores[what] = e;
}

// The server is there and does nothing: it is busy with a script, cannot save its data, or says
// nothing at all. What lasts no longer than a moment is not worth a word.
static void unwell(struct worker *w, const char *why)
{
    int64_t now = clock_mono_ms();
    if (w->unwell.since_ms == 0)
        w->unwell.since_ms = now;
    if (w->unwell.told || now - w->unwell.since_ms < UNWELL_MS)
        return;
    log_warn("redis cannot do its work", "why=" LOGQ, why);
    w->unwell.told = true;
}

static void well(struct worker *w)
{
    if (w->unwell.told)
        log_info("redis does its work again", "away=%.1f",
                 (double)(clock_mono_ms() - w->unwell.since_ms) / 1000);
    worker_parted(w);
}

void worker_parted(struct worker *w)
{
    w->unwell.since_ms = 0;
    w->unwell.told = false;
    ev_timer_stop(w->loop, &w->silence);
}

void worker_on_silence(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct worker *w = t->data;
    if (w->unwell.since_ms == 0)
        w->unwell.since_ms = clock_mono_ms() - (int64_t)(SILENCE_S * 1000);
    unwell(w, "no answer");
}

static void listen_for_answer(struct worker *w)
{
    timer_restart(w->loop, &w->silence, SILENCE_S);
}

static void heard(struct worker *w, enum err e)
{
    const char *why = redis_refusal(queue_redis(w->queue));
    ev_timer_stop(w->loop, &w->silence);
    if (e == ERR_BUSY)
        unwell(w, *why ? why : err_text(e));
    else if (e != ERR_NET && e != ERR_TIMEOUT && e != ERR_CANCELLED)
        well(w);
}

void worker_tick(struct worker *w, double seconds)
{
    timer_restart(w->loop, &w->tick, seconds);
}

static void on_ticked(void *ctx, enum err e, int64_t moved)
{
    struct worker *w = ctx;
    w->ticking = false;
    heard(w, e);
    bool busy = e == OK && moved > 0;
    worker_note(w, WORKER_KEEPS_HOUSE, e);
    worker_tick(w, busy ? 0.02 : 0.4 + 0.4 * random_unit());
    if (busy && w->n_ready == 0 && !w->claiming && !w->leaving && lease_holds(w->lease) &&
        !inbox_busy(w->inbox))
        worker_ask(w);
}

void worker_on_tick(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct worker *w = t->data;
    if (!w->leaving && lease_holds(w->lease) && !w->claiming && !w->resend && !w->host.draining)
        inbox_look(w->inbox);
    w->ticking = queue_tick(w->queue, 500, on_ticked, w) == OK;
    if (w->ticking)
        listen_for_answer(w);
    else
        worker_tick(w, 0.5);
}

static void limits(void *ctx, struct buf *out)
{
    struct worker *w = ctx;
    gates_say(w->gates, out);
    buf_addf(out, "storage\t%s\t%s\t0\n", storage_closed(w->storage) ? "blocked" : "",
             storage_closed(w->storage) ? code_name(CODE_STORAGE) : "");
}

const struct lease_hooks worker_lease_hooks = {.gained = gained,
                                               .lost = lost,
                                               .renewed = renewed,
                                               .flight = flight,
                                               .limits = limits,
                                               .refused = refused};
