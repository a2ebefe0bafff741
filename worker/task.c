// task.c - the life of a task, state by state; see the picture in task.h.
#include "worker/task.h"

#include <stdlib.h>
#include <string.h>

#include "broker/limit.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/log.h"
#include "worker/lease.h"
#include "worker/provider.h"
#include "worker/sink.h"
#include "worker/task_private.h"

#define CALL_S         180.0 // one call
#define CALL_4K_S      600.0
#define BUDGET_WAIT_MS 1000 // until it is asked again whether the budget has room
#define WITHHELD_MS    1000 // until a job whose call was not made may be claimed

// --- Coming into being ----------------------------------------------------------------------

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents);
static void on_open(struct gate_pass *p, int64_t slot_us);
static void on_shut(struct gate_pass *p, double seconds);

static bool copy(struct buf *to, struct span from)
{
    *to = (struct buf){.max = from.len + 1};
    buf_add(to, from);
    return !to->err;
}

static uint32_t digest_of_input(struct span input)
{
    uint32_t d = 0;
    for (size_t i = 0; i < 4 && i < input.len; i++)
        d = d << 8 | (unsigned char)input.ptr[i];
    return d;
}

// The job as the client wrote it. It is checked again, whoever wrote it.
static void read_job(struct task *t)
{
    struct span id, map;
    t->invalid.max = 1000;
    t->id.max = 2 * JOB_MAX_ID;
    if (job_input_read(buf_span(&t->input), &id, &map) != OK)
        buf_add_str(&t->invalid, "the job as it is kept in the queue cannot be read");
    else if (job_decode(&t->job, map, &t->invalid) != OK && t->invalid.len == 0)
        buf_add_str(&t->invalid, "the job as it is kept in the queue is malformed");
    if (t->invalid.len == 0 && id.len)
        buf_add(&t->id, id);
    else
        job_show_id(&t->id, &t->job, t->ticket.index);
}

// It is sent as what it was admitted as: limits, prices and quotas are those of the list's
// model.
static void check_model(struct task *t, struct span model)
{
    if (t->invalid.len == 0 && !span_equal(t->job.model, model))
        buf_add_str(&t->invalid, "the job's model is not that of the list it was in");
}

// The lane is that of the list, where a job may be that wanted another one at first.
static void read_times(struct task *t, const struct queue_claimed *c)
{
    enum job_lane lane;
    double from = (double)c->created_ms / 1000;
    if (job_lane_parse(c->lane, &lane) == OK)
        t->job.lane = lane;
    if (c->created_ms <= 0)
        return;
    if (t->job.deadline > 0 && t->ticket.run == 1) // who asks again has the time
        t->expires = from + t->job.deadline;
    if (t->job.batch_deadline > 0)
        t->batch_due = from + t->job.batch_deadline;
}

struct task *task_new(struct task_host *h, uint64_t seq, const struct queue_claimed *c)
{
    struct task *t = calloc(1, sizeof *t);
    struct buf lane_model = {.max = 2 * JOB_MAX_NAME + 2};
    if (!t)
        return NULL;
    t->host = h;
    t->field = (struct queue_field){seq, c->slot};
    t->ticket = c->ticket;
    t->total = c->total;
    t->digest = digest_of_input(c->input);
    t->pass.open = on_open;
    t->pass.shut = on_shut;
    ev_init(&t->timer, on_timer);
    t->timer.data = t;
    buf_add(&lane_model, c->lane);
    buf_add_byte(&lane_model, '/');
    buf_add(&lane_model, c->model);
    t->route = lane_model.err ? NULL : route_find(h->gates, buf_span(&lane_model));
    buf_free(&lane_model);
    if (!t->route || !copy(&t->batch, c->batch) || !copy(&t->nonce, c->nonce) ||
        !copy(&t->user, c->user) || !copy(&t->input, c->input)) {
        task_free(t);
        return NULL;
    }
    read_job(t);
    check_model(t, c->model);
    read_times(t, c);
    return t;
}

void task_free(struct task *t)
{
    struct buf *all[] = {&t->batch, &t->nonce,   &t->user,      &t->input,
                         &t->id,    &t->invalid, &t->say.detail};
    ev_timer_stop(t->host->loop, &t->timer);
    gate_leave(&t->pass);
    gate_end(&t->pass, NULL);
    if (t->call)
        t->host->provider->ops->cancel(t->host->provider, t->call);
    parcel_free(t->parcel);
    task_close_purse(t, NULL);
    task_report_free(t);
    task_share_free(t);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_free(all[i]);
    for (unsigned i = 0; i < QUEUE_MAX_EVENTS; i++)
        buf_free(&t->say.events[i]);
    free(t);
}

void task_gone(struct task *t)
{
    struct task_host *h = t->host;
    if (t->store_tries > 0)
        h->stuck--;
    h->gone(h->ctx, t);
    task_free(t);
}

void task_release(struct task *t)
{
    t->host->freed(t->host->ctx, t);
}

void task_timer(struct task *t, double seconds)
{
    ev_timer_stop(t->host->loop, &t->timer);
    ev_timer_set(&t->timer, seconds, 0.);
    ev_timer_start(t->host->loop, &t->timer);
}

// --- Before the call ------------------------------------------------------------------------

void task_want_slot(struct task *t)
{
    t->state = TASK_BACKLOG;
    t->host->ready(t->host->ctx, t);
}

static void on_lookup(void *ctx, enum err e, struct span record, struct span why)
{
    struct task *t = ctx;
    (void)why;
    t->state = TASK_NEW;
    if (t->lost)
        task_gone(t);
    else if (e == OK)
        task_found(t, record);
    else
        task_begin(t);
}

static bool delivered_before(const struct task *t)
{
    const struct ticket *k = &t->ticket;
    return k->run > 1 || k->attempts > 0 || k->lost > 0 || k->limited > 0;
}

void task_look_up(struct task *t)
{
    struct sink_item item = {
        .batch = buf_span(&t->batch), .index = t->ticket.index, .run = t->ticket.run};
    t->state = TASK_LOOKUP;
    if (t->host->sink->ops->lookup(t->host->sink, &item, on_lookup, t) != OK)
        task_begin(t);
}

static double server_now(const struct task *t)
{
    return (double)(clock_wall_ms() + t->host->server_offset_ms) / 1000;
}

static bool expired(const struct task *t)
{
    return t->expires > 0 && server_now(t) >= t->expires;
}

static void too_late(struct task *t)
{
    task_release(t);
    task_failed(t, CODE_EXPIRED, SPAN(""), SPAN("its deadline passed before it was done"),
                true);
}

void task_start(struct task *t)
{
    if (t->invalid.len)
        task_failed(t, CODE_BAD_REQUEST, SPAN(""), buf_span(&t->invalid), false);
    else if (delivered_before(t))
        task_look_up(t);
    else
        task_begin(t);
}

void task_go(struct task *t)
{
    if (expired(t)) {
        too_late(t);
        return;
    }
    t->state = TASK_GATE;
    t->worst = task_worst(t);
    t->pass.takes = task_estimate(t);
    route_enter(t->route, &t->pass);
}

static void on_open(struct gate_pass *p, int64_t slot_us)
{
    struct task *t = (struct task *)((char *)p - offsetof(struct task, pass));
    t->slot_us = slot_us;
    task_enter_purse(t);
}

void task_mark(struct task *t)
{
    t->state = TASK_MARKING;
    pump_add(t->host->marks, &t->mark);
}

static void on_shut(struct gate_pass *p, double seconds)
{
    struct task *t = (struct task *)((char *)p - offsetof(struct task, pass));
    double wait = route_wait(t->route);
    if (wait <= 0) { // another project takes it
        route_enter(t->route, p);
        return;
    }
    task_park(t, wait < seconds ? wait : seconds);
}

void task_park(struct task *t, double seconds)
{
    t->state = TASK_PARKED;
    task_release(t);
    task_timer(t, seconds);
}

static double call_seconds(const struct task *t)
{
    double most = t->job.timeout > 0                 ? t->job.timeout
                  : span_is(t->job.image_size, "4K") ? CALL_4K_S
                                                     : CALL_S;
    double left = t->expires - server_now(t);
    return t->expires > 0 && left < most ? left : most;
}

// A worker that cannot renew sends nothing, however long it took until it could have sent.
static bool may_send(void *ctx)
{
    const struct task *t = ctx;
    return !t->lost && lease_holds(t->host->lease);
}

void task_unsent(struct task *t)
{
    gate_end(&t->pass, NULL);
    task_release(t);
}

void task_withhold(struct task *t)
{
    task_unsent(t);
    task_say(t, QUEUE_REQUEUE, WITHHELD_MS);
}

static void call_now(struct task *t)
{
    const struct task_host *h = t->host;
    t->state = TASK_CALLING;
    random_bytes(t->call_id, sizeof t->call_id);
    t->sent_us = clock_boot_us();
    if (expired(t)) {
        gate_end(&t->pass, NULL);
        too_late(t);
    } else if (!may_send(t) || h->provider->ops->start(
                                   h->provider, &t->job, gate_keys(t->pass.gate),
                                   call_seconds(t), may_send, task_result, t, &t->call) != OK) {
        task_withhold(t);
    }
}

// Too late for its slot, or too early after a refusal; another project may take it now.
static void enter_again(struct task *t)
{
    gate_end(&t->pass, NULL);
    task_close_purse(t, NULL);
    t->state = TASK_GATE;
    route_enter(t->route, &t->pass);
}

void task_marked(struct task *t, char mark)
{
    int64_t now = clock_boot_us();
    gate_ready(&t->pass);
    if (mark == 'b' && !t->lost) { // waits for calls under way, or for a larger budget
        task_unsent(t);
        task_say(t, QUEUE_REQUEUE, BUDGET_WAIT_MS);
    } else if (mark == 'u' && !t->lost) {
        task_unsent(t);
        task_unpriced(t);
    } else if ((mark != '1' && mark != 'r') ||
               t->lost) { // no longer ours: cancelled, or the lease was lost
        task_unsent(t);
        task_gone(t);
    } else if (t->slot_us && (now > t->slot_us + LIMIT_SLACK_US || gate_stops(&t->pass))) {
        enter_again(t);
    } else if (t->slot_us && now < t->slot_us) {
        t->state = TASK_SLOT;
        task_timer(t, (double)(t->slot_us - now) / 1e6);
    } else {
        call_now(t);
    }
}

// --- Waiting --------------------------------------------------------------------------------

static void next_try(struct task *t)
{
    if (t->host->draining)
        task_say(t, QUEUE_REQUEUE, 0);
    else
        task_want_slot(t);
}

static void slot_time(struct task *t)
{
    // Somebody may have been refused since it was let through.
    if (clock_boot_us() > t->slot_us + LIMIT_SLACK_US || gate_stops(&t->pass))
        enter_again(t);
    else
        call_now(t);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    struct task *t = w->data;
    switch (t->state) {
    case TASK_SLOT: slot_time(t); break;
    case TASK_STORE_WAIT: task_store(t); break;
    case TASK_PARKED: task_want_slot(t); break;
    case TASK_REPORTING: task_report_again(t); break;
    case TASK_WAITING:
        t->rested = true;
        if (t->noted)
            next_try(t);
        break;
    default: break;
    }
}

void task_settled(struct task *t, char mark)
{
    if (mark != '1' && t->say.op == QUEUE_COMPLETED && !t->lost)
        log_info("ended before", "batch=%s index=%u", buf_str(&t->batch), t->ticket.index);
    if (mark != '1' || t->say.op != QUEUE_NOTE) {
        task_gone(t);
        return;
    }
    t->noted = true;
    if (t->rested)
        next_try(t);
}

struct span task_batch(const struct task *t)
{
    return buf_span(&t->batch);
}

struct queue_field task_field(const struct task *t)
{
    return t->field;
}

bool task_is_lost(const struct task *t)
{
    return t->lost;
}

bool task_in_flight(const struct task *t)
{
    return t->state == TASK_CALLING;
}
