// pump.c - see pump.h.
#include "worker/pump.h"

#include <ev.h>
#include <stdlib.h>

#include "common/backoff.h"

TAILQ_HEAD(pump_list, pump_item);

struct pump {
    struct ev_loop *loop;
    const struct pump_ops *ops;
    void *ctx;
    struct pump_list waiting;
    ev_timer timer;           // fires at once to gather what one turn of the loop adds
    uint64_t number;          // of the request under way, or of the last one
    struct pump_item **batch; // the items of that request
    size_t n, most;           // n 0: none is under way
    unsigned failures;        // of the request under way
    bool sent;                // an answer is awaited
};

static void wake(struct pump *p, double after)
{
    if (ev_is_active(&p->timer))
        return;
    ev_timer_set(&p->timer, after, 0.);
    ev_timer_start(p->loop, &p->timer);
}

static void send_batch(struct pump *p)
{
    p->sent = true;
    enum err e = p->ops->send(p->ctx, p->number, p->batch, p->n);
    if (e == OK)
        return;
    p->sent = false;
    wake(p, backoff_delay(++p->failures, 0.05, 2., 0.02));
}

static int compare(const void *a, const void *b, void *ctx)
{
    const struct pump *p = ctx;
    return p->ops->order(*(struct pump_item *const *)a, *(struct pump_item *const *)b);
}

static void gather(struct pump *p)
{
    struct pump_item *item;
    while (p->n < p->most && (item = TAILQ_FIRST(&p->waiting))) {
        TAILQ_REMOVE(&p->waiting, item, link);
        p->batch[p->n++] = item;
    }
    if (p->ops->order)
        qsort_r(p->batch, p->n, sizeof *p->batch, compare, p);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    struct pump *p = w->data;
    if (p->sent)
        return;
    if (p->n == 0) {
        gather(p);
        p->number++;
        p->failures = 0;
    }
    if (p->n > 0)
        send_batch(p);
}

struct pump *pump_new(struct ev_loop *loop, const struct pump_ops *ops, void *ctx, size_t most)
{
    struct pump *p = calloc(1, sizeof *p);
    if (!p || !(p->batch = calloc(most, sizeof *p->batch))) {
        free(p);
        return NULL;
    }
    p->loop = loop;
    p->ops = ops;
    p->ctx = ctx;
    p->most = most;
    TAILQ_INIT(&p->waiting);
    ev_init(&p->timer, on_timer);
    p->timer.data = p;
    return p;
}

void pump_free(struct pump *p)
{
    if (!p)
        return;
    ev_timer_stop(p->loop, &p->timer);
    free(p->batch);
    free(p);
}

void pump_add(struct pump *p, struct pump_item *item)
{
    TAILQ_INSERT_TAIL(&p->waiting, item, link);
    if (!p->sent && p->n == 0)
        wake(p, 0.);
}

// Takes the batch out first: what is told may add new items at once.
static void tell(struct pump *p, struct span marks, char rest)
{
    size_t n = p->n;
    p->n = 0;
    for (size_t i = 0; i < n; i++)
        p->ops->told(p->ctx, p->batch[i], i < marks.len ? marks.ptr[i] : rest);
    if (!TAILQ_EMPTY(&p->waiting))
        wake(p, 0.);
}

void pump_answered(struct pump *p, enum err e, struct span marks)
{
    p->sent = false;
    if (p->n == 0) // was given up by pump_lost()
        wake(p, 0.);
    else if (e == OK)
        tell(p, marks, '0');
    else if (e == ERR_LOST)
        tell(p, (struct span){0}, PUMP_MAYBE);
    else
        wake(p, backoff_delay(++p->failures, 0.05, 2., 0.02));
}

void pump_lost(struct pump *p)
{
    struct pump_list all = TAILQ_HEAD_INITIALIZER(all);
    struct pump_item *item;
    size_t n = p->n;
    p->n = 0;
    TAILQ_CONCAT(&all, &p->waiting, link);
    for (size_t i = 0; i < n; i++)
        p->ops->told(p->ctx, p->batch[i], PUMP_MAYBE);
    while ((item = TAILQ_FIRST(&all))) {
        TAILQ_REMOVE(&all, item, link);
        p->ops->told(p->ctx, item, '0');
    }
}

struct pump_item *const *pump_under_way(const struct pump *p, size_t *n)
{
    *n = p->n;
    return p->batch;
}

uint64_t pump_number(const struct pump *p)
{
    return p->number;
}

bool pump_idle(const struct pump *p)
{
    return p->n == 0 && TAILQ_EMPTY(&p->waiting);
}

bool pump_sent(const struct pump *p)
{
    return p->sent;
}
