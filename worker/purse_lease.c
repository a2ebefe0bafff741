// purse_lease.c - see purse_lease.h.
#include "worker/purse_lease.h"

#include "broker/account.h"
#include "common/digest.h"
#include "common/log.h"
#include "common/timer.h"

#define FIRST_S 0.1  // until the lease is there
#define MORE_S  0.05 // until more lost ones are ended
#define AGAIN_S 0.5  // while Redis is away

static void on_kept(void *ctx, enum err e, int64_t ended)
{
    struct purse_lease *l = ctx;
    bool more = e == OK && ended > 0;
    if (more)
        log_warn("calls of a lost worker count as used", "calls=%lld", (long long)ended);
    if (l->left)
        return;
    timer_ensure(l->loop, &l->timer,
                 more ? MORE_S : l->seconds / 3 * (0.8 + 0.2 * random_unit()));
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)revents;
    struct purse_lease *l = w->data;
    if (!redis_ready(l->redis) || account_keep(l->redis, PURSE_TIMEOUT, purse_lease_name(l),
                                               purse_lease_ms(l), on_kept, l) != OK)
        timer_ensure(loop, w, AGAIN_S);
}

void purse_lease_start(struct purse_lease *l, struct ev_loop *loop, struct redis *r,
                       const char *host, double seconds)
{
    *l = (struct purse_lease){.loop = loop, .redis = r, .seconds = seconds};
    incarnation_fresh(l->inc, host);
    ev_init(&l->timer, on_timer);
    l->timer.data = l;
    timer_ensure(loop, &l->timer, FIRST_S);
}

void purse_lease_stop(struct purse_lease *l)
{
    ev_timer_stop(l->loop, &l->timer);
}

static void on_left(void *ctx, enum err e, int64_t value)
{
    (void)e, (void)value;
    struct purse_lease *l = ctx;
    l->left(l->left_ctx);
}

void purse_lease_leave(struct purse_lease *l, void (*left)(void *ctx), void *ctx)
{
    l->left = left;
    l->left_ctx = ctx;
    ev_timer_stop(l->loop, &l->timer);
    if (!redis_ready(l->redis) ||
        account_leave(l->redis, PURSE_TIMEOUT, purse_lease_name(l), on_left, l) != OK)
        on_left(l, OK, 0);
}

struct span purse_lease_name(const struct purse_lease *l)
{
    return span_of(l->inc);
}

int64_t purse_lease_ms(const struct purse_lease *l)
{
    return (int64_t)(l->seconds * 1000);
}
