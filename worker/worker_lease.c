// worker_lease.c - holding the lease, and what is done beside jobs: housekeeping, the inbox,
// and comparing what the server holds for this worker with what it knows of.
#include "broker/code.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/log.h"
#include "worker/worker_private.h"

// --- The lease ------------------------------------------------------------------------------

static void gained(void *ctx)
{
    struct worker *w = ctx;
    struct span inc = lease_incarnation(w->lease);
    log_info("registered", "worker=%.*s queue=%s", (int)inc.len, inc.ptr, w->options.queue);
    w->was_registered = true;
    w->why_refused = OK;
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
    w->why_refused = OK;
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
    static const char *const names[] = {"claiming", "housekeeping"};
    bool lasts = e != OK && (!err_retryable(e) || e == ERR_FULL) && e != ERR_LOST;
    enum err before = w->chores[what];
    if (lasts && e != before)
        log_warn("redis refuses", "what=%s why=" LOGQ, names[what], err_text(e));
    else if (e == OK && before != OK)
        log_info("redis goes on", "what=%s", names[what]);
    if (lasts || e == OK)
        w->chores[what] = e;
}

void worker_tick(struct worker *w, double seconds)
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
    int64_t lease_ms = (int64_t)(w->options.lease * 1000);
    if (!w->leaving && lease_holds(w->lease) && !w->claiming && !w->resend && !w->host.draining)
        inbox_look(w->inbox);
    w->ticking = queue_tick(w->queue, lease_ms, 500, on_ticked, w) == OK;
    if (!w->ticking)
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
