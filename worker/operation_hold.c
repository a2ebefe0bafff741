// operation_hold.c - holding an operation: its lease, its jobs, leaving and losing it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "worker/keyring.h"
#include "worker/lease.h"
#include "worker/operation_private.h"
#include "worker/pump.h"
#include "worker/spool.h"
#include "worker/task_batch.h"

static void end_here(struct op *o)
{
    ev_timer_stop(o->host.loop, &o->timer);
    ev_timer_stop(o->host.loop, &o->due);
    o->over = true;
    o->from->ended(o->from->ctx);
}

static void stop_call(struct op *o)
{
    if (o->call)
        o->host.provider->ops->remote->abort(o->call);
    o->call = NULL;
    o->paused = false;
}

// --- Ending, leaving ------------------------------------------------------------------------

static void forget_files(struct op *o)
{
    const struct remote_ops *r = o->host.provider->ops->remote;
    if (o->file[0])
        r->forget(o->host.provider, o->keys, span_of(o->file));
    if (o->result[0])
        r->forget(o->host.provider, o->keys, span_of(o->result));
}

static void end(struct op *o);

static void on_ended(void *ctx, enum err e, int64_t left)
{
    struct op *o = ctx;
    if (!op_answered(o, e, end))
        return;
    if (left == 0)
        forget_files(o);
    else
        log_info("an operation is left to others", "operation=%s jobs=%lld", o->id,
                 (long long)left);
    end_here(o);
}

static void end(struct op *o)
{
    if (operation_end(o->host.queue, lease_incarnation(o->lease), span_of(o->id), true,
                      on_ended, o) == OK)
        o->asking++;
    else
        op_again(o, end);
}

// The timer no longer runs steps of an operation that is being left, save this one.
static void end_later(struct op *o)
{
    o->leaving = false;
    o->settling = true;
    end(o);
}

static bool waits_only(const struct op *o)
{
    const struct task *t = NULL;
    while ((t = tasks_next(&o->tasks, t)))
        if (!task_row_waits(t))
            return false;
    return true;
}

void op_go_away(struct op *o)
{
    if (o->lost || o->over || !o->leaving || !waits_only(o) || o->asking > 0)
        return;
    stop_call(o);
    end_later(o);
}

void op_leave(struct op *o)
{
    if (o->lost || o->over || o->leaving || o->settling)
        return;
    o->leaving = true;
    ev_timer_stop(o->host.loop, &o->due);
    ev_timer_stop(o->host.loop, &o->timer);
    if (o->making)
        return; // its answer is worth waiting for
    stop_call(o);
    op_go_away(o);
}

void op_look_if_done(struct op *o)
{
    if (o->busy || o->over || !o->loaded)
        return;
    if (o->lost) {
        if (tasks_count(&o->tasks) == 0)
            end_here(o);
    } else if (o->leaving) {
        op_go_away(o);
    } else if (tasks_count(&o->tasks) == 0 && o->asking == 0 && !o->call) {
        end(o);
    }
}

// --- Tasks ----------------------------------------------------------------------------------

static void nothing(void *ctx, struct task *t)
{
    (void)ctx, (void)t;
}

static void task_gone_here(void *ctx, struct task *t)
{
    struct op *o = ctx;
    tasks_remove(&o->tasks, t);
    op_look_if_done(o);
}

// --- The lease ------------------------------------------------------------------------------

static void gained(void *ctx)
{
    (void)ctx; // it was given
}

static void lost(void *ctx)
{
    struct op *o = ctx;
    log_warn("an operation was lost to others", "operation=%s jobs=%u", o->id,
             tasks_count(&o->tasks));
    o->lost = o->loaded = o->busy = true;
    ev_timer_stop(o->host.loop, &o->timer);
    ev_timer_stop(o->host.loop, &o->due);
    stop_call(o);
    pump_lost(o->host.settles);
    tasks_each(&o->tasks, task_lost);
    o->busy = false;
    op_look_if_done(o);
}

static void renewed(void *ctx, const struct queue_renewed *r)
{
    struct op *o = ctx;
    o->host.server_offset_ms = o->from->tasks->server_offset_ms;
    held_cancelled(o->held, r->cancelled, r->n_cancelled);
    if (o->loaded && !o->leaving)
        op_nudge(o);
}

static unsigned flight(void *ctx)
{
    return op_jobs(ctx);
}

// --- Beginning and end ----------------------------------------------------------------------

static bool copy(char *to, size_t size, struct span from)
{
    if (from.len >= size)
        return false;
    snprintf(to, size, "%.*s", (int)from.len, from.len ? from.ptr : "");
    return true;
}

static struct keyring *keys_of(const struct op_host *h, struct span project)
{
    for (size_t i = 0; i < h->n_keyrings; i++)
        if (span_is(project, keyring_project(h->keyrings[i])->name))
            return h->keyrings[i];
    return NULL;
}

static bool make_parts(struct op *o, const struct operation *from, int64_t asked_us)
{
    struct lease_options lo = {
        .seconds = o->from->lease, .host = "", .held = from->inc, .asked_us = asked_us};
    struct lease_hooks lh = {
        .gained = gained, .lost = lost, .renewed = renewed, .flight = flight, .ctx = o};
    o->lease = lease_new(o->host.loop, o->host.queue, &lo, &lh);
    o->host.lease = o->lease;
    o->host.settles = pump_new(o->host.loop, &task_settle_ops, &o->host, 500);
    o->host.marks = NULL;
    o->host.ready = o->host.freed = nothing;
    o->host.marked = NULL;
    o->host.gone = task_gone_here;
    o->host.ctx = o;
    o->host.draining = o->host.remote = true; // what fails goes back at once
    o->host.stuck = 0;
    o->held = o->lease ? held_new(o->host.queue, o->lease, &o->tasks) : NULL;
    return o->lease && o->host.settles && o->held;
}

struct op *op_new(const struct op_host *h, const struct operation *from, int64_t asked_us)
{
    struct op *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->from = h;
    o->keys = keys_of(h, from->project);
    o->host = *h->tasks;
    o->good = -1;
    o->made_ms = from->made_ms;
    o->created_ms = from->created_ms;
    o->until_ms = from->until_ms;
    tasks_init(&o->tasks);
    op_init_timers(o);
    if (!copy(o->id, sizeof o->id, from->op) || !copy(o->batch, sizeof o->batch, from->batch) ||
        !copy(o->model, sizeof o->model, from->model) ||
        !copy(o->name, sizeof o->name, from->name) ||
        !copy(o->file, sizeof o->file, from->file) ||
        !copy(o->noted, sizeof o->noted, from->state) || !job_name_ok(from->model) ||
        !o->keys || !make_parts(o, from, asked_us)) {
        op_free(o);
        return NULL;
    }
    o->taken_over = o->noted[0] && strcmp(o->noted, "new") != 0;
    snprintf(o->title, sizeof o->title, "genfarm-%s-%s", h->queue, o->id);
    op_load(o);
    return o;
}

void op_connected(struct op *o)
{
    lease_connected(o->lease);
}

bool op_over(const struct op *o)
{
    return o->over && o->asking == 0 && tasks_count(&o->tasks) == 0 && lease_idle(o->lease) &&
           held_idle(o->held) && !pump_sent(o->host.settles);
}

unsigned op_jobs(const struct op *o)
{
    return tasks_count(&o->tasks);
}

void op_free(struct op *o)
{
    ev_timer_stop(o->host.loop, &o->timer);
    ev_timer_stop(o->host.loop, &o->due);
    stop_call(o);
    tasks_free(&o->tasks);
    spool_free(o->lines);
    held_free(o->held);
    pump_free(o->host.settles);
    lease_free(o->lease);
    free(o);
}
