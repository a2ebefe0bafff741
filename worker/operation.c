// operation.c - see operation.h: its steps one after the other, what is written down between
// them, and where it stands when it comes here.
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/timer.h"
#include "worker/keyring.h"
#include "worker/lease.h"
#include "worker/operation_private.h"
#include "worker/storage.h"
#include "worker/task_batch.h"

#define CAP_S    60.0 // of waits after failures
#define MARGIN_S 600  // before nothing can be hoped for

void op_after(struct op *o, double seconds, void (*step)(struct op *o))
{
    o->step = step;
    timer_restart(o->host.loop, &o->timer, seconds);
}

void op_again(struct op *o, void (*step)(struct op *o))
{
    op_after(o, backoff_delay(++o->refused, 0.2, 3., 0.1), step);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    struct op *o = w->data;
    if (!o->lost && !o->leaving)
        o->step(o);
}

double op_pause(struct op *o)
{
    return backoff_delay(++o->failures, 1., CAP_S, 0.2);
}

// True: it goes no further here.
bool op_stops(struct op *o)
{
    if (o->leaving && !o->lost)
        op_go_away(o);
    return o->lost || o->leaving;
}

double op_server_now(const struct op *o)
{
    return (double)task_host_now_ms(o->from->tasks) / 1000;
}

const struct remote_ops *op_remote(const struct op *o)
{
    return o->host.provider->ops->remote;
}

bool op_all_over(const struct op *o)
{
    const struct task *t = NULL;
    while ((t = tasks_next(&o->tasks, t)))
        if (!task_row_is_over(t))
            return false;
    return true;
}

// --- Writing down ----------------------------------------------------------------------------

bool op_answered(struct op *o, enum err e, void (*again)(struct op *o))
{
    o->asking--;
    if (e == ERR_LOST)
        lease_was_lost(o->lease);
    if (e != OK && !o->lost && !op_stops(o))
        op_again(o, again);
    else if (e == OK)
        o->refused = 0;
    return e == OK && !o->lost;
}

static void on_noted(void *ctx, enum err e, int64_t now_ms)
{
    struct op *o = ctx;
    if (!op_answered(o, e, op_note_again))
        return;
    if (o->note.made)
        o->made_ms = now_ms;
    if (!op_stops(o))
        o->note.then(o);
}

void op_note_again(struct op *o)
{
    struct queue_fact facts[] = {{"state", span_of(o->note.state)},
                                 {"file", span_of(o->file)},
                                 {"name", span_of(o->name)},
                                 {"made", SPAN("")}};
    size_t n = o->note.made ? 4 : 3;
    if (operation_note(o->host.queue, lease_incarnation(o->lease), span_of(o->id), n, facts,
                       on_noted, o) == OK)
        o->asking++;
    else
        op_again(o, op_note_again);
}

void op_note(struct op *o, const char *state, bool made, void (*then)(struct op *o))
{
    o->note.state = state;
    o->note.made = made;
    o->note.then = then;
    op_note_again(o);
}

void op_take_name(char *to, struct span from)
{
    snprintf(to, REMOTE_NAME, "%.*s", (int)from.len, from.len ? from.ptr : "");
}

// --- Where it stands when it comes here ------------------------------------------------------

static double first_due(const struct op *o)
{
    const struct task *t = NULL;
    double first = (double)o->until_ms / 1000 - MARGIN_S;
    while ((t = tasks_next(&o->tasks, t))) {
        double due = task_due(t);
        if (due > 0 && due < first)
            first = due;
    }
    return first;
}

// Its time is up: it is cancelled, or what it waits for is waited for no more.
static void on_due(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    struct op *o = w->data;
    if (o->lost || o->leaving || o->settling)
        return;
    o->stop = true;
    if (ev_is_active(&o->timer) &&
        (o->step == op_look || o->step == op_upload || o->step == op_fetch))
        op_after(o, 0.,
                 o->step == op_fetch  ? op_fetch
                 : o->step == op_look ? op_still_waiting
                                      : op_upload);
}

static void begin(struct op *o, struct span state)
{
    double left = first_due(o) - op_server_now(o);
    ev_timer_set(&o->due, left > 0 ? left : 0., 0.);
    ev_timer_start(o->host.loop, &o->due);
    if (o->name[0])
        op_look(o);
    else if (span_is(state, "making") && o->file[0])
        op_find_first(o);
    else
        op_build(o);
}

// --- Its jobs --------------------------------------------------------------------------------

// False: out of memory. Those that are there already came with an earlier answer.
static bool add_row(struct op *o, const struct queue_claimed *c)
{
    if (tasks_find(&o->tasks, (struct queue_field){1, c->slot}))
        return true;
    struct task *t = task_row_new(&o->host, c, keyring_project(o->keys)->name, o->created_ms);
    if (!t)
        return false;
    tasks_add(&o->tasks, t);
    storage_saw(o->host.storage, c->batch, c->nonce);
    task_row_check(t);
    return true;
}

// It goes on with all of its jobs, or not yet: a batch that is made without some of them has no
// answer for those, and nobody could tell them from the ones it failed to make.
static void on_loaded(void *ctx, enum err e, const struct queue_claims *c)
{
    struct op *o = ctx;
    struct span batch = span_of(o->batch);
    bool all = true;
    if (!op_answered(o, e, op_load))
        return;
    for (size_t i = 0; i < c->n_jobs; i++)
        all = add_row(o, &c->jobs[i]) && all;
    if (!all && !o->leaving) {
        op_again(o, op_load);
        return;
    }
    o->loaded = true;
    held_cancelled(o->held, &batch, 1);
    if (o->leaving || tasks_count(&o->tasks) == 0)
        op_look_if_done(o);
    else
        begin(o, span_of(o->noted));
}

void op_load(struct op *o)
{
    if (queue_claim(o->host.queue, lease_incarnation(o->lease), 1, 0, 0, NULL, on_loaded, o) ==
        OK)
        o->asking++;
    else
        op_again(o, op_load);
}

void op_nudge(struct op *o)
{
    if (o->step == op_look && ev_is_active(&o->timer) && !o->cancel_until_us && op_all_over(o))
        op_after(o, 0., op_still_waiting);
}

void op_init_timers(struct op *o)
{
    ev_init(&o->timer, on_timer);
    ev_init(&o->due, on_due);
    o->timer.data = o->due.data = o;
}
