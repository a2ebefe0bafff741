// gate_ask.c - what a gate asks of the limiter, and tells it. News and refusals whose answer is
// lost are told again; the limiter heeds news once.
#include <stdio.h>
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "worker/gate_private.h"
#include "worker/keyring.h"

#define TIMEOUT 5.0     // seconds, of one request
#define FAR_US  1000000 // a slot that is so far away is not waited for at the gate
#define FLIGHTS 3       // calls in flight are told of so often within a lease

// --- What limits ----------------------------------------------------------------------------

static void note_reason(struct gate *g, const struct limit_grant *grant)
{
    const struct gates_options *o = &g->all->options;
    int64_t now = clock_boot_us();
    if (grant->reason.len) {
        snprintf(g->last_reason, sizeof g->last_reason, "%.*s", (int)grant->reason.len,
                 grant->reason.ptr);
        g->limited_us = now;
        g->until_us = now + grant->wait_us;
    } else if (g->until_us > now) { // it ended sooner
        g->until_us = now;
    }
    if (strcmp(gate_limited_by(g), g->said) != 0) {
        snprintf(g->said, sizeof g->said, "%s", gate_limited_by(g));
        if (o->news)
            o->news(o->ctx);
    }
    if (span_is(grant->reason, g->reason))
        return;
    snprintf(g->reason, sizeof g->reason, "%.*s", (int)grant->reason.len, grant->reason.ptr);
    if (o->limited)
        o->limited(o->ctx, gate_group(g), span_of(g->reason), (double)grant->wait_us / 1e6);
}

static void note_limit(struct gate *g, const struct limit_grant *grant)
{
    const struct gates_options *o = &g->all->options;
    g->unlimited =
        grant->spec.len == 0 && grant->learned.len == 0 && !span_is(grant->reason, "probing");
    g->counts_flight =
        grant->spec.len && memmem(grant->spec.ptr, grant->spec.len, "inflight=", 9);
    if (g->unlimited && grant->wait_us > FAR_AGAIN_US)
        gate_close_far(g, grant->wait_us);
    else if (g->unlimited && grant->wait_us > 0)
        gate_close_for(g, grant->wait_us, true);
    else if (grant->n == 0 && g->n_slots == 0 && grant->wait_us > FAR_US)
        gate_close_far(g, grant->wait_us);
    note_reason(g, grant);
    if (!g->spec.len || g->told_differs || span_equal(g->spec, grant->spec))
        return;
    g->told_differs = true;
    o->differs(o->ctx, gate_group(g), grant->spec);
}

static void note_edit(struct gate *g, const struct limit_grant *grant)
{
    bool first = g->asked_us == 0 && g->edited_us == 0;
    if (grant->edited_us == g->edited_us)
        return;
    g->edited_us = grant->edited_us;
    if (!first)
        gate_edited(g);
}

// --- Asking ---------------------------------------------------------------------------------

static void tell_idle(struct gates *all)
{
    void (*idle)(void *ctx) = all->idle;
    all->idle = NULL;
    if (idle)
        idle(all->idle_ctx);
}

static void again_later(struct gate *g)
{
    gate_again(g, (int64_t)(1e6 * backoff_delay(++g->failures, 0.1, 2., 0.05)));
}

// Calls that last longer than the lease are in flight all the same.
static void keep_flight(struct gate *g)
{
    double lease = g->all->options.lease;
    ev_timer_stop(g->all->loop, &g->flight);
    if (!g->counts_flight || (g->told_held == 0 && g->held == 0) || lease <= 0)
        return;
    ev_timer_set(&g->flight, lease / FLIGHTS, 0.);
    ev_timer_start(g->all->loop, &g->flight);
}

void gate_on_flight(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    struct gate *g = w->data;
    gate_ask(g, 0);
    keep_flight(g);
}

static void granted(struct gate *g, const struct limit_grant *grant)
{
    int64_t now = clock_boot_us();
    bool was_shut = !g->unlimited && g->asked_us == 0;
    note_edit(g, grant);
    if (span_is(grant->reason, "cooling") || span_is(grant->reason, "spend"))
        gate_withdraw_slots(g); // granted before somebody was refused
    g->asked_us = now;
    skew_note(&g->skew, grant->server_us, now);
    note_limit(g, grant);
    gate_keep_slots(g, grant);
    g->ask_us = now + gate_until_next(g, grant->wait_us);
    gate_again(g, 0);
    if (was_shut || g->unlimited)
        g->all->options.room(g->all->options.ctx);
    route_balance(g);
}

static void on_grant(void *ctx, enum err e, const struct limit_grant *grant)
{
    struct gate *g = ctx;
    g->under_way = false;
    g->mute = e != OK;
    gate_came_back(g);
    if (e == OK) {
        g->telling = (struct limit_news){0};
        g->failures = 0;
        granted(g, grant);
    } else {
        again_later(g);
    }
    keep_flight(g);
    tell_idle(g->all);
}

static bool is_news(const struct limit_news *n)
{
    return n->did.calls > 0 || n->back.n > 0;
}

bool gate_has_news(const struct gate *g)
{
    return g->telling.number || is_news(&g->news) ||
           (g->counts_flight && g->held + g->n_slots != g->told_held);
}

// News that were not confirmed go first, as they were.
static void gather_news(struct gate *g, int64_t now)
{
    if (g->telling.number ||
        !(is_news(&g->news) || g->news.went_well_us || g->news.extra.tokens ||
          g->news.extra.micro || g->news.extra.images))
        return;
    g->telling = g->news;
    g->news = (struct limit_news){0};
    g->telling.number = now + skew_us(&g->skew);
    if (g->telling.number <= g->last_number)
        g->telling.number = g->last_number + 1;
    g->last_number = g->telling.number;
}

// What those take for whom there is no slot in hand, in the order in which they wait.
static unsigned gather_takes(struct gate *g, unsigned want)
{
    const struct gate_pass *p;
    unsigned skip = g->n_slots, n = 0;
    if (want > GATE_SLOTS - g->n_slots)
        want = GATE_SLOTS - g->n_slots;
    TAILQ_FOREACH(p, &g->waiting, link)
    {
        if (n == want || n == GATE_WANT)
            break;
        if (skip > 0)
            skip--;
        else
            g->asking[n++] = p->takes;
    }
    return n;
}

void gate_ask(struct gate *g, unsigned want)
{
    const struct gates_options *o = &g->all->options;
    int64_t now = clock_boot_us();
    if (g->under_way)
        return;
    gather_news(g, now);
    struct limit_request l = {.group = gate_group(g),
                              .want = gather_takes(g, want),
                              .horizon_us = gate_horizon(g),
                              .lead_us = g->all->lead_us,
                              .spec = g->spec,
                              .takes = g->asking,
                              .now_us = g->asked_us ? now + skew_us(&g->skew) : 0,
                              .inc = o->incarnation ? o->incarnation(o->ctx) : SPAN(""),
                              .held = g->held + g->n_slots,
                              .held_us = (int64_t)(o->lease * 1e6),
                              .teller = span_of(g->all->teller),
                              .news = g->telling};
    g->under_way = limit_ask(g->all->redis, TIMEOUT, &l, on_grant, g) == OK;
    g->sent_us = now;
    if (g->under_way)
        g->told_held = l.held;
    else
        again_later(g);
    g->mute = !g->under_way;
}

// --- Refusals -------------------------------------------------------------------------------

// The limiter has the cool-down now: it is asked whether somebody ended it.
static void leave_to_limiter(struct gate *g)
{
    int64_t until = clock_boot_us() + gate_far_again();
    if (g->blocked || g->closed_us <= until)
        return;
    g->closed_us = until;
    g->far = true;
    gate_again(g, until - clock_boot_us());
}

static void add_refusal(struct refusal *to, const struct refusal *r)
{
    if (!to->due || r->until_us > to->until_us)
        to->cause = r->cause;
    to->due = true;
    if (r->until_us > to->until_us)
        to->until_us = r->until_us;
    if (r->sent_us > to->sent_us)
        to->sent_us = r->sent_us;
}

static void on_refused(void *ctx, enum err e, const struct limit_grant *grant)
{
    struct gate *g = ctx;
    g->refusing.due = false;
    if (e != OK) {
        add_refusal(&g->refusal, &g->refusing);
        again_later(g);
        return;
    }
    note_reason(g, grant);
    leave_to_limiter(g);
    gate_tell(g);
}

static void tell_refusal(struct gate *g)
{
    int64_t left = g->refusal.until_us - clock_boot_us();
    if (!g->refusal.due || g->refusing.due ||
        limit_refused(g->all->redis, TIMEOUT, gate_group(g), left > 0 ? left : 0,
                      g->refusal.sent_us + skew_us(&g->skew), g->refusal.cause, on_refused,
                      g) != OK)
        return;
    g->refusing = g->refusal;
    g->refusal = (struct refusal){0};
}

static void on_learned(void *ctx, enum err e, const struct limit_grant *grant)
{
    struct gate *g = ctx;
    (void)grant;
    g->asked_us = 0; // what was believed of the limit is to be asked anew
    if (e == OK)
        return;
    g->learnt_due = true;
    again_later(g);
}

static void tell_learnt(struct gate *g)
{
    if (g->learnt_due && limit_learn(g->all->redis, TIMEOUT, gate_group(g),
                                     buf_span(&g->learnt), on_learned, g) == OK)
        g->learnt_due = false;
}

void gate_tell(struct gate *g)
{
    tell_refusal(g);
    tell_learnt(g);
    if (g->refusal.due || g->learnt_due)
        again_later(g);
}

void gate_refused(struct gate *g, double seconds, int64_t sent_us, enum limit_cause cause)
{
    if (seconds > 0)
        gate_shut(g, seconds);
    add_refusal(&g->refusal,
                &(struct refusal){.until_us = clock_boot_us() + (int64_t)(seconds * 1e6),
                                  .sent_us = sent_us,
                                  .cause = cause});
    gate_tell(g);
}

void gate_learned(struct gate *g, const char *spec)
{
    if (!*spec)
        return;
    buf_clear(&g->learnt);
    buf_add_str(&g->learnt, spec);
    g->learnt_due = !g->learnt.err;
    gate_tell(g);
}

// --- The end --------------------------------------------------------------------------------

static bool settled(struct gate *g)
{
    if (!g->under_way) {
        gate_drop_slots(g);
        if (gate_has_news(g) && !g->mute)
            gate_ask(g, 0);
    }
    return !g->under_way;
}

bool gates_settled(struct gates *all, void (*idle)(void *ctx), void *ctx)
{
    const struct route *r;
    bool all_are = true;
    SLIST_FOREACH(r, &all->list, link)
    for (size_t i = 0; i < r->n; i++)
        all_are = settled(r->gates[i]) && all_are;
    all->idle = all_are ? NULL : idle;
    all->idle_ctx = ctx;
    return all_are;
}
