// quota.c - see quota.h.
#include "client/quota.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

enum err quota_read(struct patience *p, struct span name, struct account_state *out,
                    struct buf *limits)
{
    enum err e;
    do {
        struct reading r = {.out = out, .limits = limits};
        e = account_show(session_redis(p->session), TIMEOUT, name, on_shown, &r);
        e = session_finish(p->session, e, &r.done, &r.err);
    } while (patience_again(p, &e));
    return e;
}

static void add_amount(struct buf *out, unsigned unit, int64_t n)
{
    if (unit == ACCOUNT_USD)
        buf_addf(out, n % 10000 ? "$%" PRId64 ".%06" PRId64 : "$%" PRId64 ".%02" PRId64,
                 n / 1000000, n % 10000 ? n % 1000000 : n % 1000000 / 10000);
    else
        buf_addf(out, "%" PRId64 " %s", n, account_units[unit]);
}

void quota_need_add(struct quota_need *n, const struct catalogue *c, const struct job *j,
                    size_t bytes)
{
    struct buf why = {.max = QUOTA_WORDS};
    int64_t best, worst;
    const struct model *m = catalogue_find(c, j->model);
    n->calls++;
    if (m && model_estimate(m, j, j->prompt.len, &best) == OK &&
        model_worst(m, j, bytes, &worst) == OK) {
        n->best += best;
        n->worst += worst;
        if (n->calls - n->unpriced == 1 || worst < n->cheapest)
            n->cheapest = worst;
        return;
    }
    if (n->unpriced++ == 0) {
        catalogue_unpriced(c, j, &why);
        snprintf(n->unpriced_why, sizeof n->unpriced_why, "%s", buf_str(&why));
    }
    buf_free(&why);
}

// After what limits the money; ERR_LIMIT.
static enum err add_unpriced(struct buf *why, const struct quota_need *n)
{
    buf_addf(why,
             ", and %" PRId64 " of %" PRId64
             " calls may cost nobody knows what: %s; give a --catalogue that has it, here "
             "and to the workers",
             n->unpriced, n->calls, n->unpriced_why);
    return ERR_LIMIT;
}

enum err quota_budget(const struct quota_need *n, int64_t budget, struct buf *why)
{
    if (budget > 0 && n->unpriced > 0) {
        buf_add_str(why, "there is a budget of ");
        add_amount(why, ACCOUNT_USD, budget);
        return add_unpriced(why, n);
    }
    if (budget == 0 || n->calls == 0 || n->cheapest <= budget)
        return OK;
    buf_addf(why, "the budget of ");
    add_amount(why, ACCOUNT_USD, budget);
    buf_addf(why, " does not allow even one call: the cheapest may cost ");
    add_amount(why, ACCOUNT_USD, n->cheapest);
    return ERR_LIMIT;
}

// --- Users and projects ---------------------------------------------------------------------

static bool limits_usd(const struct account_state *a)
{
    return a->of[ACCOUNT_DAY].allowed[ACCOUNT_USD] >= 0 ||
           a->of[ACCOUNT_MONTH].allowed[ACCOUNT_USD] >= 0;
}

// ERR_LIMIT: one of its limits has no room; `why`, unless there are words already, says which.
static enum err find_room(struct span name, const struct account_state *a,
                          const struct quota_need *n, struct buf *why)
{
    const int64_t need[ACCOUNT_UNITS] = {n->calls, n->calls, n->best};
    const int64_t one[ACCOUNT_UNITS] = {1, 1, n->cheapest};
    for (unsigned p = 0; p < ACCOUNT_PERIODS; p++)
        for (unsigned u = 0; u < ACCOUNT_UNITS; u++) {
            int64_t allowed = a->of[p].allowed[u],
                    used = a->of[p].used[u] + a->of[p].reserved[u];
            int64_t asked = need[u] > one[u] ? need[u] : one[u];
            if (allowed < 0 || used + asked <= allowed)
                continue;
            if (why->len)
                return ERR_LIMIT;
            buf_addf(why, "%.*s may use ", (int)name.len, name.ptr);
            add_amount(why, u, allowed);
            buf_addf(why, " a %s, has used ", account_periods[p]);
            add_amount(why, u, used);
            buf_addf(why, ", and this asks for ");
            add_amount(why, u, asked);
            return ERR_LIMIT;
        }
    return OK;
}

// *room: it has room. ERR_LIMIT: there are calls without a price, and its money is limited.
static enum err look_at(struct patience *p, const char *kind, struct span name,
                        const struct quota_need *n, bool *room, struct buf *why)
{
    struct account_state a;
    struct buf limits = {.max = 1024}, account = {.max = ACCOUNT_MAX_NAME + 1};
    buf_addf(&account, "%s:%.*s", kind, (int)name.len, name.ptr);
    enum err e = account.err ? account.err : quota_read(p, buf_span(&account), &a, &limits);
    if (e == OK && n->unpriced > 0 && limits_usd(&a)) {
        buf_clear(why);
        buf_addf(why, "%s may use %s", buf_str(&account), buf_str(&limits));
        e = add_unpriced(why, n);
    } else if (e == OK) {
        *room = find_room(buf_span(&account), &a, n, why) == OK;
    }
    buf_free(&limits);
    buf_free(&account);
    return e;
}

enum err quota_check(struct patience *p, struct span user, const struct quota_projects *all,
                     const struct quota_need *n, struct buf *why)
{
    bool room = false, any = all->n == 0;
    enum err e = look_at(p, "user", user, n, &room, why);
    if (e == OK && !room)
        e = ERR_LIMIT;
    for (size_t i = 0; e == OK && i < all->n; i++) {
        e = look_at(p, "project", span_of(all->names[i]), n, &room, why);
        any = any || room;
    }
    if (e == OK && any)
        buf_clear(why); // another project has room
    if (e == OK && !any && all->n > 1)
        buf_addf(why, "; none of the %zu projects has room", all->n);
    if (e == OK && !any)
        e = ERR_LIMIT;
    return e == ERR_DENIED ? OK : e;
}

void quota_add_project(struct quota_projects *p, struct span name)
{
    for (size_t i = 0; i < p->n; i++)
        if (span_is(name, p->names[i]))
            return;
    if (p->n < QUOTA_PROJECTS && job_name_ok(name))
        snprintf(p->names[p->n++], sizeof p->names[0], "%.*s", (int)name.len, name.ptr);
}

struct finding {
    struct quota_projects *projects;
    bool done;
    enum err err;
};

static void on_workers(void *ctx, enum err e, const struct queue_worker *w, size_t n)
{
    struct finding *f = ctx;
    f->done = true;
    f->err = e;
    for (size_t i = 0; e == OK && i < n; i++)
        for (struct span left = w[i].projects; left.len > 0;) {
            const char *comma = memchr(left.ptr, ',', left.len);
            size_t len = comma ? (size_t)(comma - left.ptr) : left.len;
            quota_add_project(f->projects, (struct span){left.ptr, len});
            left.ptr += len + (comma != NULL);
            left.len -= len + (comma != NULL);
        }
}

enum err quota_find_projects(struct patience *p, struct quota_projects *all)
{
    struct session *s = p->session;
    enum err e;
    do {
        struct finding f = {.projects = all};
        e = queue_workers(session_queue(s), on_workers, &f);
        e = session_finish(s, e, &f.done, &f.err);
    } while (patience_again(p, &e));
    if (all->n == 0)
        quota_add_project(all, SPAN("default"));
    return e == ERR_DENIED ? OK : e;
}
