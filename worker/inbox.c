// inbox.c - see inbox.h.
//
// A take whose answer was lost is sent again under the same number, for what it took would
// stay with this incarnation, in nobody's hands, as long as that lives; a later number would
// make the server take it for an old one. A put may be sent twice just so.
#include "worker/inbox.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "broker/queue.h"
#include "common/backoff.h"
#include "common/log.h"
#include "common/timer.h"
#include "worker/lease.h"

#define MOST       100 // things taken at once
#define RETRY_BASE 0.05
#define RETRY_CAP  2.0

struct thing { // taken, and not placed yet
    struct inbox *inbox;
    struct queue_item item;
    char *bytes; // of the item
    bool placed;
};

struct inbox {
    struct ev_loop *loop;
    struct queue *queue;
    struct lease *lease;
    const struct catalogue *catalogue;
    void (*idle)(void *ctx);
    void *ctx;
    enum { IDLE, TAKING, PLACING } state;
    uint64_t seq;
    char *inc; // under which that is; another one has no claim to it
    struct thing *things;
    size_t n, under_way; // things; puts whose answer is awaited
    unsigned failures;
    ev_timer timer;
};

static void drop_things(struct inbox *i)
{
    for (size_t k = 0; k < i->n; k++)
        free(i->things[k].bytes);
    free(i->things);
    i->things = NULL;
    i->n = 0;
}

static void forget(struct inbox *i)
{
    drop_things(i);
    free(i->inc);
    i->inc = NULL;
    i->failures = 0;
    i->state = IDLE;
}

static void finish(struct inbox *i)
{
    ev_timer_stop(i->loop, &i->timer);
    forget(i);
    i->idle(i->ctx);
}

static void again(struct inbox *i)
{
    double after = backoff_delay(++i->failures, RETRY_BASE, RETRY_CAP, 0.02);
    timer_restart(i->loop, &i->timer, after);
}

// Whether what was taken is still ours; if not, the reaper gives it back to the inbox.
static bool ours(const struct inbox *i)
{
    return span_is(lease_incarnation(i->lease), i->inc);
}

static void lost(struct inbox *i)
{
    if (ours(i))
        lease_was_lost(i->lease);
}

// --- Placing --------------------------------------------------------------------------------

static void placed_some(struct inbox *i);

static void note(enum err e, int64_t what)
{
    if (e != OK && !err_retryable(e))
        log_warn("inbox", "why=" LOGQ, err_text(e));
    else if (e == OK && what == 0)
        log_warn("inbox", "why=" LOGQ,
                 "malformed, or not possible; it went to the dead letters");
}

static void on_placed(void *ctx, enum err e, int64_t what)
{
    struct thing *t = ctx;
    struct inbox *i = t->inbox;
    i->under_way--;
    note(e, what);
    if (e == ERR_LOST)
        lost(i);
    t->placed = !err_retryable(e);
    if (i->under_way == 0)
        placed_some(i);
}

static bool put(struct inbox *i, struct thing *t)
{
    enum err e =
        queue_inbox_put(i->queue, span_of(i->inc), &t->item, i->catalogue, on_placed, t);
    if (e != OK && !err_retryable(e)) {
        note(e, 0); // it stays with this incarnation until that has ended
        t->placed = true;
    }
    return e == OK;
}

// When all puts have been answered: ends, or tries what is left once more.
static void placed_some(struct inbox *i)
{
    size_t left = 0;
    for (size_t k = 0; k < i->n; k++)
        left += !i->things[k].placed;
    if (left == 0 || !ours(i)) {
        finish(i);
        return;
    }
    log_warn("inbox", "why=" LOGQ " left=%zu", "not placed yet; trying again", left);
    again(i);
}

static void put_all(struct inbox *i)
{
    i->state = PLACING;
    for (size_t k = 0; k < i->n; k++)
        if (!i->things[k].placed && put(i, &i->things[k]))
            i->under_way++;
    if (i->under_way == 0)
        placed_some(i);
}

// --- Taking ---------------------------------------------------------------------------------

static enum err keep(struct inbox *i, const struct queue_item *items, size_t n)
{
    if (!(i->things = calloc(n + 1, sizeof *i->things)))
        return ERR_NOMEM;
    for (; i->n < n; i->n++) {
        struct thing *t = &i->things[i->n];
        *t = (struct thing){.inbox = i, .item = items[i->n]};
        if (!(t->bytes = malloc(t->item.bytes.len + 1)))
            return ERR_NOMEM;
        memcpy(t->bytes, t->item.bytes.ptr, t->item.bytes.len);
        t->item.bytes.ptr = t->bytes;
    }
    return OK;
}

static void on_taken(void *ctx, enum err e, const struct queue_item *items, size_t n)
{
    struct inbox *i = ctx;
    if (e == ERR_LOST)
        lost(i);
    if (e == OK && (e = keep(i, items, n)) != OK)
        drop_things(i);
    // A full server has refused before it took anything: that number may be passed over.
    if (err_retryable(e) && e != ERR_FULL && ours(i))
        again(i);
    else if (e == OK && ours(i) && n > 0)
        put_all(i);
    else
        finish(i);
}

static void take(struct inbox *i)
{
    i->state = TAKING;
    if (queue_inbox_take(i->queue, span_of(i->inc), i->seq, MOST, on_taken, i) != OK)
        again(i);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    struct inbox *i = w->data;
    if (!ours(i))
        finish(i);
    else if (i->state == TAKING)
        take(i);
    else
        put_all(i);
}

// --- The interface --------------------------------------------------------------------------

struct inbox *inbox_new(struct ev_loop *loop, struct queue *q, struct lease *l,
                        const struct catalogue *c, void (*idle)(void *ctx), void *ctx)
{
    struct inbox *i = calloc(1, sizeof *i);
    if (!i)
        return NULL;
    *i = (struct inbox){
        .loop = loop, .queue = q, .lease = l, .catalogue = c, .idle = idle, .ctx = ctx};
    ev_init(&i->timer, on_timer);
    i->timer.data = i;
    return i;
}

void inbox_free(struct inbox *i)
{
    if (!i)
        return;
    ev_timer_stop(i->loop, &i->timer);
    forget(i);
    free(i);
}

void inbox_look(struct inbox *i)
{
    struct span inc = lease_incarnation(i->lease);
    if (inbox_busy(i) || !(i->inc = strndup(inc.ptr, inc.len)))
        return;
    i->seq = lease_next_seq(i->lease);
    take(i);
}

bool inbox_busy(const struct inbox *i)
{
    return i->state != IDLE;
}
