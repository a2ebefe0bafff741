// purse.c - see purse.h.
#include "worker/purse.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/log.h"
#include "worker/pump.h"

#define TIMEOUT   5.0
#define BELIEVED  1000000 // us: that an account has no limits
#define TELL_S    1.0     // between sums of calls that had reserved nothing
#define N_PAGE    32      // accounts whose calls go into one request
#define MAX_KNOWN ACCOUNT_MAX_NAMES

struct account {
    char name[ACCOUNT_MAX_NAME + 1];
    int64_t free_us; // when it was last said to have no limits, clock_boot_us(); 0: never
    struct account_sum sum; // not told yet; its name is ours
};

enum state { ASKED, HELD, FREE, ENDED };

struct purse_call {
    struct pump_item item; // of the request it waits in
    TAILQ_ENTRY(purse_call) link;
    struct purse *purse;
    struct account *user, *project;
    enum state state;
    bool left; // nobody waits for the answer any more
    uint64_t number;
    int64_t worst;
    struct account_end end;
    purse_told *told;
    void *ctx;
};

struct purse {
    TAILQ_HEAD(, purse_call) calls;
    struct ev_loop *loop;
    struct redis *redis;
    struct purse_options options;
    char inc[128];
    uint64_t number;        // of the last call
    struct account **known; // never forgotten, while this worker lives
    size_t n_known;
    struct pump *asks, *ends;
    // Of the request under way: refusals by account, and the sums that go with an end.
    struct account *names[MAX_KNOWN];
    size_t n_names;
    struct account_verdict verdicts[MAX_KNOWN];
    char limits[MAX_KNOWN][32];
    struct account_sum frozen[MAX_KNOWN];
    size_t n_frozen;
    uint64_t frozen_as;    // the request that they belong to
    struct pump_item tell; // takes the sums along
    bool telling, leaving;
    ev_timer tell_timer, keep_timer;
    void (*idle)(void *ctx);
    void *idle_ctx;
};

static int64_t lease_ms(const struct purse *p)
{
    return (int64_t)(p->options.lease * 1000);
}

static void forget(struct purse_call *c)
{
    TAILQ_REMOVE(&c->purse->calls, c, link);
    free(c);
}

static struct purse_call *call_of(struct pump_item *item)
{
    return (struct purse_call *)((char *)item - offsetof(struct purse_call, item));
}

// --- Accounts -------------------------------------------------------------------------------

static struct account *find(struct purse *p, const char *kind, struct span name)
{
    char full[ACCOUNT_MAX_NAME + 1];
    snprintf(full, sizeof full, "%s:%.*s", kind, (int)name.len, name.ptr);
    for (size_t i = 0; i < p->n_known; i++)
        if (strcmp(p->known[i]->name, full) == 0)
            return p->known[i];
    struct account **more = realloc(p->known, (p->n_known + 1) * sizeof *more);
    if (!more)
        return NULL;
    p->known = more;
    struct account *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    memcpy(a->name, full, sizeof full);
    a->sum.name = span_of(a->name);
    return p->known[p->n_known++] = a;
}

static bool is_free(const struct account *a, int64_t now)
{
    return a->free_us && now - a->free_us < BELIEVED;
}

// Its place among the names of the request that is being made.
static size_t place(struct purse *p, struct account *a)
{
    for (size_t i = 0; i < p->n_names; i++)
        if (p->names[i] == a)
            return i;
    p->names[p->n_names] = a;
    return p->n_names++;
}

// --- Asking ---------------------------------------------------------------------------------

static void on_reserved(void *ctx, enum err e, struct span marks,
                        const struct account_verdict *v)
{
    struct purse *p = ctx;
    int64_t now = clock_boot_us();
    for (size_t i = 0; e == OK && i < p->n_names; i++) {
        p->verdicts[i] = v[i];
        snprintf(p->limits[i], sizeof p->limits[i], "%.*s", (int)v[i].limit.len,
                 v[i].limit.ptr);
        p->verdicts[i].limit = span_of(p->limits[i]);
        p->names[i]->free_us = v[i].limited ? 0 : now;
    }
    if (e != OK && !err_retryable(e))
        log_error("redis refuses", "what=\"reserving for calls\" why=" LOGQ, err_text(e));
    pump_answered(p->asks, e, marks);
}

static enum err send_asks(void *ctx, uint64_t number, struct pump_item *const *items, size_t n)
{
    struct purse *p = ctx;
    struct span names[MAX_KNOWN];
    struct account_call calls[N_PAGE];
    (void)number; // each call has its own
    p->n_names = 0;
    for (size_t i = 0; i < n; i++) {
        struct purse_call *c = call_of(items[i]);
        calls[i] = (struct account_call){c->number, (unsigned)place(p, c->user),
                                         (unsigned)place(p, c->project), c->worst};
    }
    for (size_t i = 0; i < p->n_names; i++)
        names[i] = span_of(p->names[i]->name);
    return account_reserve(p->redis, TIMEOUT, span_of(p->inc), lease_ms(p), p->n_names, names,
                           n, calls, on_reserved, p);
}

static struct purse_refusal refusal_of(struct purse *p, const struct purse_call *c)
{
    struct purse_refusal r = {0};
    for (size_t i = 0; i < p->n_names; i++)
        if ((p->names[i] == c->user || p->names[i] == c->project) && p->verdicts[i].limit.len)
            r = (struct purse_refusal){span_of(p->names[i]->name), p->verdicts[i].limit,
                                       p->verdicts[i].allowed, p->verdicts[i].used,
                                       p->verdicts[i].until_ms};
    return r;
}

static void told_ask(void *ctx, struct pump_item *item, char mark)
{
    struct purse *p = ctx;
    struct purse_call *c = call_of(item);
    struct purse_refusal why = refusal_of(p, c);
    enum purse_answer a = mark == 'b'                  ? PURSE_SHUT
                          : mark == 'u'                ? PURSE_UNPRICED
                          : mark == '1' || mark == 'f' ? PURSE_OPEN
                                                       : PURSE_WAIT;
    purse_told *told = c->told;
    void *to = c->ctx;
    bool left = c->left;
    c->state = mark == '1' ? HELD : FREE;
    if (left || a != PURSE_OPEN) {
        if (mark == '1')
            purse_end(p, c, NULL);
        else
            forget(c);
    }
    if (!left)
        told(to, a, a == PURSE_SHUT ? &why : NULL);
}

struct purse_call *purse_enter(struct purse *p, struct span user, struct span project,
                               int64_t worst, bool *open, purse_told *told, void *ctx)
{
    struct purse_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    *c = (struct purse_call){.purse = p,
                             .user = find(p, "user", user),
                             .project = find(p, "project", project),
                             .number = ++p->number,
                             .worst = worst,
                             .told = told,
                             .ctx = ctx};
    if (!c->user || !c->project) {
        free(c);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&p->calls, c, link);
    int64_t now = clock_boot_us();
    *open = is_free(c->user, now) && is_free(c->project, now);
    c->state = *open ? FREE : ASKED;
    if (!*open)
        pump_add(p->asks, &c->item);
    return c;
}

// --- Telling --------------------------------------------------------------------------------

static void look_idle(struct purse *p)
{
    if (p->idle && pump_idle(p->ends) && !p->telling) {
        void (*idle)(void *) = p->idle;
        p->idle = NULL;
        idle(p->idle_ctx);
    }
}

static void on_told(void *ctx, enum err e, int64_t value)
{
    struct purse *p = ctx;
    char all[N_PAGE + 1];
    (void)value;
    memset(all, '1', sizeof all);
    if (e != OK && !err_retryable(e))
        log_error("redis refuses", "what=\"telling what calls took\" why=" LOGQ, err_text(e));
    pump_answered(p->ends, e, (struct span){all, N_PAGE + 1});
    look_idle(p);
}

static bool is_zero(const struct account_sum *s)
{
    return !s->calls && !s->images && !s->micro && !s->unknown;
}

// The sums as they are now go with this request, also when it is sent again.
static void freeze(struct purse *p, uint64_t number)
{
    if (p->frozen_as == number)
        return;
    p->frozen_as = number;
    p->n_frozen = 0;
    for (size_t i = 0; i < p->n_known && p->n_frozen < MAX_KNOWN; i++) {
        struct account_sum *s = &p->known[i]->sum;
        if (is_zero(s))
            continue;
        p->frozen[p->n_frozen++] = *s;
        *s = (struct account_sum){.name = s->name};
    }
}

static enum err send_ends(void *ctx, uint64_t number, struct pump_item *const *items, size_t n)
{
    struct purse *p = ctx;
    struct account_end ends[N_PAGE + 1];
    size_t n_ends = 0;
    freeze(p, number);
    for (size_t i = 0; i < n; i++)
        if (items[i] != &p->tell)
            ends[n_ends++] = call_of(items[i])->end;
    return account_tell(p->redis, TIMEOUT, span_of(p->inc), lease_ms(p), number, p->n_frozen,
                        p->frozen, n_ends, ends, on_told, p);
}

static bool any_sum(const struct purse *p)
{
    for (size_t i = 0; i < p->n_known; i++)
        if (!is_zero(&p->known[i]->sum))
            return true;
    return false;
}

static void later(ev_timer *w, struct ev_loop *loop, double seconds)
{
    if (ev_is_active(w))
        return;
    ev_timer_set(w, seconds, 0.);
    ev_timer_start(loop, w);
}

static void tell_sums(struct purse *p)
{
    if (p->telling)
        return;
    p->telling = true;
    pump_add(p->ends, &p->tell);
}

static void told_end(void *ctx, struct pump_item *item, char mark)
{
    struct purse *p = ctx;
    (void)mark;
    if (item == &p->tell) {
        p->telling = false;
        if (any_sum(p))
            later(&p->tell_timer, p->loop, TELL_S);
    } else {
        forget(call_of(item));
    }
}

static void on_tell(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    tell_sums(w->data);
}

// What is not known is counted as nothing where it is not limited.
static int64_t known(int64_t worst)
{
    return worst > 0 ? worst : 0;
}

static void add_up(struct account_sum *s, const struct purse_call *c,
                   const struct purse_took *took)
{
    s->calls++;
    s->images += took->unknown ? 1 : took->images;
    s->micro += took->unknown ? known(c->worst) : took->micro;
    s->unknown += took->unknown ? known(c->worst) : 0;
}

void purse_end(struct purse *p, struct purse_call *c, const struct purse_took *took)
{
    bool sent = took && took->sent;
    if (!c)
        return;
    if (c->state == ASKED) {
        c->left = true; // ends when the answer is there
        return;
    }
    if (c->state == FREE) {
        if (sent) {
            add_up(&c->user->sum, c, took);
            add_up(&c->project->sum, c, took);
            later(&p->tell_timer, p->loop, TELL_S);
        }
        forget(c);
        return;
    }
    c->state = ENDED;
    c->end = (struct account_end){.number = c->number};
    if (sent)
        c->end = (struct account_end){c->number, 1, took->images, took->micro, took->unknown};
    pump_add(p->ends, &c->item);
}

static void correct(struct purse *p, struct account *a, const struct account_sum *by)
{
    if (!a)
        return; // no memory: it stays at its worst
    a->sum.calls += by->calls;
    a->sum.images += by->images;
    a->sum.micro += by->micro;
    a->sum.unknown += by->unknown;
    later(&p->tell_timer, p->loop, TELL_S);
}

void purse_correct(struct purse *p, struct span user, struct span project, int64_t worst,
                   bool made, int64_t images, int64_t micro)
{
    const struct account_sum by = {.calls = made ? 0 : -1,
                                   .images = images - 1,
                                   .micro = micro - known(worst),
                                   .unknown = -known(worst)};
    correct(p, find(p, "user", user), &by);
    correct(p, find(p, "project", project), &by);
}

// --- Beginning and end ----------------------------------------------------------------------

static void on_kept(void *ctx, enum err e, int64_t ended)
{
    struct purse *p = ctx;
    if (e == OK && ended > 0)
        log_warn("calls of a lost worker count as used", "calls=%lld", (long long)ended);
    later(&p->keep_timer, p->loop,
          e == OK && ended > 0 ? 0.05 : p->options.lease / 3 * (0.8 + 0.2 * random_unit()));
}

static void on_keep(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    struct purse *p = w->data;
    if (!redis_ready(p->redis) ||
        account_keep(p->redis, TIMEOUT, span_of(p->inc), lease_ms(p), on_kept, p) != OK)
        later(w, p->loop, 0.5);
}

static const struct pump_ops asks = {send_asks, NULL, told_ask},
                             ends = {send_ends, NULL, told_end};

struct purse *purse_new(struct ev_loop *loop, struct redis *r, const struct purse_options *o)
{
    uint8_t salt[6];
    char hex[2 * sizeof salt + 1];
    struct purse *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    TAILQ_INIT(&p->calls);
    p->loop = loop;
    p->redis = r;
    p->options = *o;
    random_bytes(salt, sizeof salt);
    digest_hex(salt, sizeof salt, hex);
    snprintf(p->inc, sizeof p->inc, "%.64s:%ld:%s", o->host, (long)getpid(), hex);
    p->asks = pump_new(loop, &asks, p, N_PAGE);
    p->ends = pump_new(loop, &ends, p, N_PAGE);
    ev_init(&p->tell_timer, on_tell);
    ev_init(&p->keep_timer, on_keep);
    p->tell_timer.data = p->keep_timer.data = p;
    if (!p->asks || !p->ends) {
        purse_free(p);
        return NULL;
    }
    later(&p->keep_timer, loop, 0.1);
    return p;
}

void purse_free(struct purse *p)
{
    if (!p)
        return;
    ev_timer_stop(p->loop, &p->tell_timer);
    ev_timer_stop(p->loop, &p->keep_timer);
    pump_free(p->asks);
    pump_free(p->ends);
    while (!TAILQ_EMPTY(&p->calls))
        forget(TAILQ_FIRST(&p->calls));
    for (size_t i = 0; i < p->n_known; i++)
        free(p->known[i]);
    free(p->known);
    free(p);
}

bool purse_settled(struct purse *p, void (*idle)(void *ctx), void *ctx)
{
    if (any_sum(p))
        tell_sums(p);
    if (pump_idle(p->ends) && !p->telling)
        return true;
    p->idle = idle;
    p->idle_ctx = ctx;
    return false;
}
