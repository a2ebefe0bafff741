// purse.c - see purse.h.
#include "worker/purse.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/timer.h"
#include "worker/pump.h"
#include "worker/purse_account.h"
#include "worker/purse_lease.h"
#include "worker/purse_question.h"

#define TELL_S   1.0                  // between sums of calls that had reserved nothing
#define N_PAGE   PURSE_QUESTION_CALLS // whose calls go into one request
#define MAX_SUMS ACCOUNT_MAX_NAMES    // that go into one request

enum state { ASKED, HELD, FREE, ENDED };

struct purse_call {
    struct pump_item item; // of the request it waits in
    TAILQ_ENTRY(purse_call) link;
    struct purse *purse;
    struct purse_account *user, *project;
    enum state state;
    bool left; // nobody waits for the answer any more
    uint64_t number;
    int64_t worst, day; // day: HELD: that it was reserved in
    struct account_end end;
    purse_told *told;
    void *ctx;
};

struct purse {
    TAILQ_HEAD(, purse_call) calls;
    struct ev_loop *loop;
    struct redis *redis;
    struct purse_lease lease;
    uint64_t number; // of the last call
    struct purse_accounts accounts;
    struct pump *asks, *ends;
    struct purse_question question;      // the request of `asks` that is under way
    struct account_sum frozen[MAX_SUMS]; // what goes with that of `ends`
    size_t n_frozen;
    uint64_t frozen_as;    // the request that they belong to
    struct pump_item tell; // takes the sums along
    bool telling;
    ev_timer tell_timer;
    void (*idle)(void *ctx);
    void *idle_ctx;
};

static void forget(struct purse_call *c)
{
    TAILQ_REMOVE(&c->purse->calls, c, link);
    free(c);
}

static struct purse_call *call_of(struct pump_item *item)
{
    return (struct purse_call *)((char *)item - offsetof(struct purse_call, item));
}

static void log_refused(enum err e, const char *what)
{
    if (e != OK && !err_retryable(e))
        log_error("redis refuses", "what=" LOGQ " why=" LOGQ, what, err_text(e));
}

// --- Asking ---------------------------------------------------------------------------------

static void on_reserved(void *ctx, enum err e, int64_t day, struct span marks,
                        const struct account_verdict *v)
{
    struct purse *p = ctx;
    if (e == OK)
        purse_question_answered(&p->question, day, v);
    log_refused(e, "reserving for calls");
    pump_answered(p->asks, e, marks);
}

static enum err send_asks(void *ctx, uint64_t number, struct pump_item *const *items, size_t n)
{
    struct purse *p = ctx;
    struct purse_question *q = &p->question;
    struct account_call calls[N_PAGE];
    (void)number; // each call has its own
    q->n = 0;
    for (size_t i = 0; i < n; i++) {
        const struct purse_call *c = call_of(items[i]);
        calls[i] = (struct account_call){c->number, purse_question_place(q, c->user),
                                         purse_question_place(q, c->project), c->worst};
    }
    return account_reserve(p->redis, PURSE_TIMEOUT, purse_lease_name(&p->lease),
                           purse_lease_ms(&p->lease), q->n, q->names, n, calls, on_reserved, p);
}

static enum purse_answer answer_of(char mark) // of account_reserved()
{
    switch (mark) {
    case '1':
    case 'f': return PURSE_OPEN;
    case 'b': return PURSE_SHUT;
    case 'u': return PURSE_UNPRICED;
    default: return PURSE_WAIT; // 'w', or it was lost with its request
    }
}

static void told_ask(void *ctx, struct pump_item *item, char mark)
{
    struct purse *p = ctx;
    struct purse_call *c = call_of(item);
    struct purse_refusal why = purse_question_refusal(&p->question, c->user, c->project);
    enum purse_answer a = answer_of(mark);
    purse_told *told = c->left ? NULL : c->told;
    void *to = c->ctx;
    c->state = mark == '1' ? HELD : FREE;
    c->day = p->question.day;
    if (!told || a != PURSE_OPEN)
        purse_end(p, c, NULL); // `c` may be gone
    if (told)
        told(to, a, a == PURSE_SHUT ? &why : NULL);
}

static struct purse_call *call_new(struct purse *p, const struct purse_call *as)
{
    struct purse_call *c = as->user && as->project ? malloc(sizeof *c) : NULL;
    if (!c)
        return NULL;
    *c = *as;
    c->purse = p;
    c->number = ++p->number;
    TAILQ_INSERT_TAIL(&p->calls, c, link);
    return c;
}

struct purse_call *purse_enter(struct purse *p, struct span user, struct span project,
                               int64_t worst, bool *open, purse_told *told, void *ctx)
{
    const struct purse_call as = {.user = purse_account_find(&p->accounts, "user", user),
                                  .project =
                                      purse_account_find(&p->accounts, "project", project),
                                  .worst = worst,
                                  .told = told,
                                  .ctx = ctx};
    struct purse_call *c = call_new(p, &as);
    if (!c)
        return NULL;
    int64_t now = clock_boot_us();
    *open = purse_account_is_free(c->user, now) && purse_account_is_free(c->project, now);
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
    log_refused(e, "telling what calls took");
    pump_answered(p->ends, e, (struct span){all, N_PAGE + 1});
    look_idle(p);
}

// The sums as they are now go with this request, also when it is sent again.
static void freeze(struct purse *p, uint64_t number)
{
    if (p->frozen_as == number)
        return;
    p->frozen_as = number;
    p->n_frozen = purse_accounts_take(&p->accounts, p->frozen, MAX_SUMS);
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
    return account_tell(p->redis, PURSE_TIMEOUT, purse_lease_name(&p->lease),
                        purse_lease_ms(&p->lease), number, p->n_frozen, p->frozen, n_ends, ends,
                        on_told, p);
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
        if (purse_accounts_any_sum(&p->accounts))
            timer_ensure(p->loop, &p->tell_timer, TELL_S);
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

static struct account_sum sum_of(const struct purse_call *c, const struct purse_took *took)
{
    int64_t worst = known(c->worst);
    return took->unknown
               ? (struct account_sum){.calls = 1, .images = 1, .micro = worst, .unknown = worst}
               : (struct account_sum){.calls = 1, .images = took->images, .micro = took->micro};
}

static void add_sum(struct purse *p, struct purse_account *a, const struct account_sum *by)
{
    if (!a)
        return; // no memory: it stays at its worst
    purse_account_add(a, by);
    timer_ensure(p->loop, &p->tell_timer, TELL_S);
}

// A call that had reserved nothing.
static void end_free(struct purse *p, struct purse_call *c, const struct purse_took *took)
{
    if (took && took->sent) {
        struct account_sum by = sum_of(c, took);
        add_sum(p, c->user, &by);
        add_sum(p, c->project, &by);
    }
    forget(c);
}

static void end_held(struct purse *p, struct purse_call *c, const struct purse_took *took)
{
    c->state = ENDED;
    c->end = (struct account_end){.number = c->number};
    if (took && took->sent)
        c->end = (struct account_end){c->number, 1, took->images, took->micro, took->unknown};
    pump_add(p->ends, &c->item);
}

void purse_end(struct purse *p, struct purse_call *c, const struct purse_took *took)
{
    if (!c)
        return;
    if (c->state == ASKED)
        c->left = true; // ends when the answer is there
    else if (c->state == FREE)
        end_free(p, c, took);
    else
        end_held(p, c, took);
}

int64_t purse_day(const struct purse_call *c)
{
    return c && c->state == HELD ? c->day : 0;
}

void purse_correct(struct purse *p, struct span user, struct span project, int64_t worst,
                   int64_t day, const struct purse_took *took)
{
    const struct account_sum by = {.calls = took->sent ? 0 : -1,
                                   .images = took->images - 1,
                                   .micro = took->micro - known(worst),
                                   .unknown = -known(worst),
                                   .day = day};
    add_sum(p, purse_account_find(&p->accounts, "user", user), &by);
    add_sum(p, purse_account_find(&p->accounts, "project", project), &by);
}

// --- Beginning and end ----------------------------------------------------------------------

static const struct pump_ops asks = {send_asks, NULL, told_ask},
                             ends = {send_ends, NULL, told_end};

struct purse *purse_new(struct ev_loop *loop, struct redis *r, const struct purse_options *o)
{
    struct purse *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    TAILQ_INIT(&p->calls);
    p->loop = loop;
    p->redis = r;
    purse_lease_start(&p->lease, loop, r, o->host, o->lease);
    p->asks = pump_new(loop, &asks, p, N_PAGE);
    p->ends = pump_new(loop, &ends, p, N_PAGE);
    ev_init(&p->tell_timer, on_tell);
    p->tell_timer.data = p;
    if (!p->asks || !p->ends) {
        purse_free(p);
        return NULL;
    }
    return p;
}

void purse_free(struct purse *p)
{
    if (!p)
        return;
    ev_timer_stop(p->loop, &p->tell_timer);
    purse_lease_stop(&p->lease);
    pump_free(p->asks);
    pump_free(p->ends);
    while (!TAILQ_EMPTY(&p->calls))
        forget(TAILQ_FIRST(&p->calls));
    purse_accounts_free(&p->accounts);
    free(p);
}

bool purse_settled(struct purse *p, void (*idle)(void *ctx), void *ctx)
{
    if (purse_accounts_any_sum(&p->accounts))
        tell_sums(p);
    if (pump_idle(p->ends) && !p->telling)
        return true;
    p->idle = idle;
    p->idle_ctx = ctx;
    return false;
}

void purse_leave(struct purse *p, void (*left)(void *ctx), void *ctx)
{
    purse_lease_leave(&p->lease, left, ctx);
}
