// task.c - the life of a task, state by state; see the picture in task.h.
#include "worker/task.h"

#include "common/backoff.h"
#include "common/log.h"
#include "common/timer.h"
#include "worker/task_private.h"

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
    timer_restart(t->host->loop, &t->timer, seconds);
}

// --- Before the call ------------------------------------------------------------------------

void task_want_slot(struct task *t)
{
    t->state = TASK_BACKLOG;
    t->host->ready(t->host->ctx, t);
}

// What is stored must not be paid for again because nobody could say that it is.
static void look_again(struct task *t)
{
    t->state = TASK_LOOK_WAIT;
    task_timer(t, backoff_delay(++t->look_tries, 0.1, 2., 0.05));
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
    else if (task_is_away(e))
        look_again(t);
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
    enum err e = t->host->sink->ops->lookup(t->host->sink, &item, on_lookup, t);
    if (e != OK)
        on_lookup(t, e, SPAN(""), SPAN(""));
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

// --- Waiting --------------------------------------------------------------------------------

static void next_try(struct task *t)
{
    if (t->host->draining)
        task_say(t, QUEUE_REQUEUE, 0);
    else
        task_want_slot(t);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    struct task *t = w->data;
    switch (t->state) {
    case TASK_SLOT: task_slot_time(t); break;
    case TASK_LOOK_WAIT: task_look_up(t); break;
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

void task_init_timer(struct task *t)
{
    ev_init(&t->timer, on_timer);
    t->timer.data = t;
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
