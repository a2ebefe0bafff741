// quota.c - see quota.h.
#include "client/quota.h"

#include <inttypes.h>

#include "client/patience.h"

#define TIMEOUT 5.0

struct reading {
    struct account_state *out;
    struct buf *limits;
    bool done;
    enum err err;
};

static void on_shown(void *ctx, enum err e, const struct account_state *s)
{
    struct reading *r = ctx;
    r->done = true;
    r->err = e;
    if (e != OK)
        return;
    *r->out = *s;
    r->out->spec = (struct span){0};
    account_show_spec(r->limits, s->spec);
}

enum err quota_read(struct session *s, struct span name, struct account_state *out,
                    struct buf *limits)
{
    struct patience p = {.session = s};
    for (;;) {
        struct reading r = {.out = out, .limits = limits};
        enum err e = account_show(session_redis(s), TIMEOUT, name, on_shown, &r);
        e = session_finish(s, e, &r.done, &r.err);
        if (e == OK || (e = patience_wait(&p, e, NULL)) != OK)
            return e;
    }
}

static void add_amount(struct buf *out, unsigned unit, int64_t n)
{
    if (unit == ACCOUNT_USD)
        buf_addf(out, n % 10000 ? "$%" PRId64 ".%06" PRId64 : "$%" PRId64 ".%02" PRId64,
                 n / 1000000, n % 10000 ? n % 1000000 : n % 1000000 / 10000);
    else
        buf_addf(out, "%" PRId64 " %s", n, account_units[unit]);
}

enum err quota_budget(const struct quota_need *n, int64_t budget, struct buf *why)
{
    if (budget == 0 || n->calls == 0 || n->cheapest <= budget)
        return OK;
    buf_addf(why, "the budget of ");
    add_amount(why, ACCOUNT_USD, budget);
    buf_addf(why, " does not allow even one call: the cheapest may cost ");
    add_amount(why, ACCOUNT_USD, n->cheapest);
    return ERR_LIMIT;
}

enum err quota_check(struct session *s, struct span account, const struct quota_need *n,
                     struct buf *why)
{
    struct account_state a;
    struct buf limits = {.max = 1024};
    const int64_t need[ACCOUNT_UNITS] = {n->calls, n->calls, n->best};
    const int64_t one[ACCOUNT_UNITS] = {1, 1, n->cheapest};
    enum err e = quota_read(s, account, &a, &limits);
    buf_free(&limits);
    if (e != OK)
        return e;
    for (unsigned p = 0; p < ACCOUNT_PERIODS; p++)
        for (unsigned u = 0; u < ACCOUNT_UNITS; u++) {
            int64_t allowed = a.of[p].allowed[u], used = a.of[p].used[u] + a.of[p].reserved[u];
            int64_t asked = need[u] > one[u] ? need[u] : one[u];
            if (allowed < 0 || used + asked <= allowed)
                continue;
            buf_addf(why, "%.*s may use ", (int)account.len, account.ptr);
            add_amount(why, u, allowed);
            buf_addf(why, " a %s, has used ", account_periods[p]);
            add_amount(why, u, used);
            buf_addf(why, ", and this asks for ");
            add_amount(why, u, asked);
            return ERR_LIMIT;
        }
    return OK;
}
