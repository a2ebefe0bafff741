// task_say.c - what a task tells the queue: events, settles and marks, gathered by the pumps.
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/lease.h"
#include "worker/task_private.h"

#define MAX_EVENT (1u << 16)
#define BACK_MS   1000 // until a job comes again of which nothing could be said

struct task *task_of_mark(struct pump_item *item)
{
    return (struct task *)((char *)item - offsetof(struct task, mark));
}

struct task *task_of_settle(struct pump_item *item)
{
    return (struct task *)((char *)item - offsetof(struct task, settle));
}

struct event task_event(const struct task *t, enum event_type type)
{
    return (struct event){.type = type,
                          .run = t->ticket.run,
                          .index = t->ticket.index,
                          .ts_ms = task_host_now_ms(t->host),
                          .id = buf_span(&t->id),
                          .attempts = t->ticket.attempts,
                          .model = t->job.model,
                          .worker = span_of(t->host->name)};
}

static struct buf *next_event(struct task *t)
{
    if (t->say.n == QUEUE_MAX_EVENTS)
        return NULL;
    struct buf *b = &t->say.events[t->say.n++];
    buf_clear(b);
    b->max = MAX_EVENT;
    return b;
}

void task_add_encoded(struct task *t, struct span event)
{
    struct buf *b = next_event(t);
    if (b)
        buf_add(b, event);
}

void task_add_event(struct task *t, const struct event *e)
{
    struct buf *b = next_event(t);
    if (b)
        event_encode(b, e);
}

static void forget_events(struct task *t)
{
    for (unsigned i = 0; i < t->say.n; i++)
        buf_clear(&t->say.events[i]);
    t->say.n = 0;
}

// Part of an event would be no event, and who reads its batch could go no further. Without
// memory for it the job goes back instead: what is stored of it will be found.
static bool speechless(struct task *t)
{
    bool is = false;
    for (unsigned i = 0; i < t->say.n; i++)
        is = is || t->say.events[i].err == ERR_NOMEM;
    if (is)
        forget_events(t);
    return is;
}

void task_say(struct task *t, enum queue_op op, int64_t delay_ms)
{
    bool goes_back = speechless(t) && op != QUEUE_NOTE;
    t->say.op = goes_back ? QUEUE_REQUEUE : op;
    t->say.delay_ms = goes_back ? BACK_MS : delay_ms;
    task_enter(t);
    task_close_purse(t, NULL); // where no call was made
    t->state = op == QUEUE_NOTE ? TASK_WAITING : TASK_SETTLING;
    if (t->lost)
        task_unsettled(t, 0);
    else
        pump_add(t->host->settles, &t->settle);
}

// --- Settles ---------------------------------------------------------------------------------

static int by_batch(const struct pump_item *a, const struct pump_item *b)
{
    const struct task *x =
        (const struct task *)((const char *)a - offsetof(struct task, settle));
    const struct task *y =
        (const struct task *)((const char *)b - offsetof(struct task, settle));
    return strcmp(buf_str(&x->batch), buf_str(&y->batch));
}

void task_tell_refused(const struct task_host *h, const char *what, enum err e)
{
    if (e != OK && e != ERR_LOST && !err_retryable(e))
        log_error("the queue refuses", "what=%s code=" LOGQ " why=" LOGQ, what, err_text(e),
                  redis_why(queue_redis(h->queue)));
}

static void on_settled(void *ctx, enum err e, struct span marks)
{
    struct task_host *h = ctx;
    task_tell_refused(h, "settle", e);
    if (e == ERR_LOST)
        lease_was_lost(h->lease);
    pump_answered(h->settles, e, marks);
}

static enum err send_settles(void *ctx, uint64_t number, struct pump_item *const *items,
                             size_t n)
{
    struct task_host *h = ctx;
    struct queue_settle *all = calloc(n, sizeof *all);
    if (!all)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct task *t = task_of_settle(items[i]);
        all[i] = (struct queue_settle){.batch = buf_span(&t->batch),
                                       .field = t->field,
                                       .op = t->say.op,
                                       .delay_ms = t->say.delay_ms,
                                       .ticket = t->ticket,
                                       .figures = t->say.figures,
                                       .detail = buf_span(&t->say.detail),
                                       .n_events = t->say.n};
        if (task_costs(&t->say.figures))
            all[i].call_id = (struct span){(const char *)t->call_id, sizeof t->call_id};
        for (unsigned k = 0; k < t->say.n; k++)
            all[i].events[k] = buf_span(&t->say.events[k]);
    }
    enum err e =
        queue_settle(h->queue, lease_incarnation(h->lease), number, n, all, on_settled, h);
    free(all);
    return e;
}

static void told_settle(void *ctx, struct pump_item *item, char mark)
{
    struct task_host *h = ctx;
    struct task *t = task_of_settle(item);
    if (mark == '0' || mark == PUMP_MAYBE) {
        task_unsettled(t, mark == PUMP_MAYBE ? pump_number(h->settles) : 0);
        return;
    }
    task_purse_settled(t);
    forget_events(t);
    buf_clear(&t->say.detail);
    t->say.figures = (struct queue_figures){0};
    task_settled(t, mark);
}

const struct pump_ops task_settle_ops = {send_settles, by_batch, told_settle};

// --- Marks -----------------------------------------------------------------------------------

static void on_marked(void *ctx, enum err e, struct span marks)
{
    struct task_host *h = ctx;
    task_tell_refused(h, "sent marks", e);
    if (h->marked)
        h->marked(h->ctx, e);
    if (e == ERR_LOST)
        lease_was_lost(h->lease);
    pump_answered(h->marks, e, marks);
}

static enum err send_marks(void *ctx, uint64_t number, struct pump_item *const *items, size_t n)
{
    struct task_host *h = ctx;
    struct queue_mark *calls = calloc(n, sizeof *calls);
    if (!calls)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct task *t = task_of_mark(items[i]);
        struct span project = h->project[0] ? SPAN("") : span_of(task_project(t));
        calls[i] = (struct queue_mark){t->field, t->worst, project, t->job.fail_unknown};
    }
    enum err e =
        queue_sent(h->queue, lease_incarnation(h->lease), number, n, calls, on_marked, h);
    free(calls);
    return e;
}

static void told_mark(void *ctx, struct pump_item *item, char mark)
{
    (void)ctx;
    task_marked(task_of_mark(item), mark);
}

const struct pump_ops task_mark_ops = {send_marks, NULL, told_mark};
