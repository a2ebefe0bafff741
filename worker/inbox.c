// inbox.c - see inbox.h.
#include "worker/inbox.h"

#include <stdlib.h>

#include "broker/catalogue.h"
#include "broker/queue.h"
#include "common/log.h"
#include "worker/lease.h"

#define MOST 100 // things taken at once

struct inbox {
    struct queue *queue;
    struct lease *lease;
    const struct catalogue *catalogue;
    void (*idle)(void *ctx);
    void *ctx;
    bool taking;
    unsigned placing; // puts under way
};

static void maybe_idle(struct inbox *i, bool found)
{
    if (found && !inbox_busy(i))
        i->idle(i->ctx);
}

static void on_placed(void *ctx, enum err e, int64_t what)
{
    struct inbox *i = ctx;
    i->placing--;
    if (e != OK)
        log_warn("inbox", "why=" LOGQ, err_text(e));
    else if (what == 0)
        log_warn("inbox", "why=" LOGQ, "malformed; it went to the dead letters");
    maybe_idle(i, true);
}

static void on_taken(void *ctx, enum err e, const struct queue_item *items, size_t n)
{
    struct inbox *i = ctx;
    i->taking = false;
    if (e == ERR_LOST)
        lease_was_lost(i->lease);
    if (e != OK)
        n = 0;
    for (size_t k = 0; k < n; k++)
        if (queue_inbox_put(i->queue, lease_incarnation(i->lease), &items[k],
                            catalogue_default(i->catalogue), on_placed, i) == OK)
            i->placing++;
    maybe_idle(i, true);
}

struct inbox *inbox_new(struct ev_loop *loop, struct queue *q, struct lease *l,
                        const struct catalogue *c, void (*idle)(void *ctx), void *ctx)
{
    (void)loop;
    struct inbox *i = calloc(1, sizeof *i);
    if (!i)
        return NULL;
    *i = (struct inbox){.queue = q, .lease = l, .catalogue = c, .idle = idle, .ctx = ctx};
    return i;
}

void inbox_free(struct inbox *i)
{
    free(i);
}

void inbox_look(struct inbox *i)
{
    if (inbox_busy(i))
        return;
    i->taking = queue_inbox_take(i->queue, lease_incarnation(i->lease),
                                 lease_next_seq(i->lease), MOST, on_taken, i) == OK;
}

bool inbox_busy(const struct inbox *i)
{
    return i->taking || i->placing > 0;
}
