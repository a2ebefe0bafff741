// gate.c - see gate.h.
#include "worker/gate.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/code.h"
#include "broker/job.h"
#include "broker/limit.h"
#include "broker/tier.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/digest.h"
#include "worker/gate_private.h"
#include "worker/keyring.h"

#define LEAD_US      4000 // a call is let through this long before its slot, to be marked sent
#define HORIZON_US   100000 // slots farther away are left to others
#define TIMEOUT      5.0    // seconds, of one request to the limiter
#define RECHECK_US   50000  // how long "no limit is set" is believed while calls go out
#define MAX_LIMIT    4096   // bytes
#define MIN_AHEAD    4
#define PAUSE_US     20000   // between requests that get nothing
#define FAR_US       1000000 // a slot that is so far away is not waited for at the gate
#define FAR_AGAIN_US 2000000 // until it is asked again, at most
#define JITTER       0.1     // of a wait that ends for all workers at once

static void advance(struct gate *g);
static void send_away(struct gate *g);

static void again(struct gate *g, int64_t us)
{
    ev_timer_stop(g->all->loop, &g->timer);
    ev_timer_set(&g->timer, us > 0 ? (double)us / 1e6 : 0., 0.);
    ev_timer_start(g->all->loop, &g->timer);
}

static void forget_missed(struct gate *g, int64_t now)
{
    while (g->n_slots > 0 && g->slots[g->first] + LIMIT_SLACK_US < now) {
        g->first++;
        g->n_slots--;
    }
    if (g->n_slots == 0)
        g->first = 0;
}

static void keep_slots(struct gate *g, const struct limit_grant *grant, int64_t now)
{
    memmove(g->slots, g->slots + g->first, g->n_slots * sizeof g->slots[0]);
    g->first = 0;
    for (size_t i = 0; i < grant->n && g->n_slots < LIMIT_MAX_SLOTS; i++)
        g->slots[g->n_slots++] = now + grant->slots_us[i];
}

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

// No slots are given for the time of a cool-down; with no limit set all would wake at once.
static void close_for(struct gate *g, int64_t us, bool jitter)
{
    int64_t until = clock_boot_us() + us;
    if (jitter)
        until += (int64_t)((double)us * JITTER * random_unit());
    if (until > g->closed_us)
        g->closed_us = until;
}

// Each worker asks at a time of its own.
static int64_t far_again(void)
{
    return (int64_t)(FAR_AGAIN_US * (0.5 + 0.5 * random_unit()));
}

// The next slot is far away: others may want the calls in flight that would wait for it, and
// other projects the calls. It is asked again now and then, for limits may be raised meanwhile.
static void close_far(struct gate *g, int64_t us)
{
    int64_t again_us = far_again();
    close_for(g, us < again_us ? us - 2 * HORIZON_US : again_us, false);
    g->far = true;
}

static void note_limit(struct gate *g, const struct limit_grant *grant)
{
    const struct gates_options *o = &g->all->options;
    g->unlimited =
        grant->spec.len == 0 && grant->learned.len == 0 && !span_is(grant->reason, "probing");
    g->counts_flight =
        grant->spec.len && memmem(grant->spec.ptr, grant->spec.len, "inflight=", 9);
    if (g->unlimited && grant->wait_us > FAR_AGAIN_US)
        close_far(g, grant->wait_us);
    else if (g->unlimited && grant->wait_us > 0)
        close_for(g, grant->wait_us, true);
    else if (grant->n == 0 && g->n_slots == 0 && grant->wait_us > FAR_US)
        close_far(g, grant->wait_us);
    note_reason(g, grant);
    if (!g->spec.len || g->told_differs || span_equal(g->spec, grant->spec))
        return;
    g->told_differs = true;
    o->differs(o->ctx, gate_group(g), grant->spec);
}

// Until it is worth asking for slots again: where they are far away, what was set may change.
static int64_t until_next(int64_t wait_us)
{
    int64_t us = wait_us > HORIZON_US ? wait_us - HORIZON_US / 2 : wait_us > 0 ? PAUSE_US : 0;
    return us < FAR_AGAIN_US ? us : FAR_AGAIN_US;
}

static void again_later(struct gate *g)
{
    again(g, (int64_t)(1e6 * backoff_delay(++g->failures, 0.1, 2., 0.05)));
}

static void on_grant(void *ctx, enum err e, const struct limit_grant *grant)
{
    struct gate *g = ctx;
    g->under_way = false;
    if (e != OK) {
        again_later(g);
        return;
    }
    g->failures = 0;
    int64_t now = clock_boot_us();
    bool was_shut = !g->unlimited && g->asked_us == 0;
    g->asked_us = now;
    g->offset_us = grant->server_us - now;
    note_limit(g, grant);
    keep_slots(g, grant, now);
    g->last_n = (unsigned)grant->n;
    g->ask_us = now + until_next(grant->wait_us);
    again(g, 0);
    if (was_shut || g->unlimited)
        g->all->options.room(g->all->options.ctx);
    route_balance(g);
}

static void ask(struct gate *g, unsigned want)
{
    const struct gates_options *o = &g->all->options;
    if (g->under_way)
        return;
    if (!TAILQ_EMPTY(&g->waiting))
        g->takes = TAILQ_FIRST(&g->waiting)->takes;
    struct limit_request l = {.group = gate_group(g),
                              .want = want < LIMIT_MAX_SLOTS / 2 ? want : LIMIT_MAX_SLOTS / 2,
                              .horizon_us = HORIZON_US,
                              .lead_us = LEAD_US,
                              .spec = g->spec,
                              .each = g->takes,
                              .extra = g->extra,
                              .did = g->did,
                              .inc = o->incarnation ? o->incarnation(o->ctx) : SPAN(""),
                              .held = g->held + g->n_slots,
                              .held_us = (int64_t)(o->lease * 1e6),
                              .went_well_us =
                                  g->went_well_us ? g->went_well_us + g->offset_us : 0};
    g->under_way = limit_ask(g->all->redis, TIMEOUT, &l, on_grant, g) == OK;
    if (!g->under_way) {
        again_later(g);
        return;
    }
    g->told_held = l.held;
    g->extra = (struct limit_units){0};
    g->did = (struct limit_done_calls){0};
    g->went_well_us = 0;
}

static void let_through(struct gate *g, int64_t slot)
{
    struct gate_pass *p = TAILQ_FIRST(&g->waiting);
    gate_leave(p);
    p->through = true;
    g->held++;
    p->open(p, slot);
}

// Jobs of a limited group that are claimed before they have slots: about what the next grants
// will bring, and never so many that other groups want for calls in flight.
static unsigned ahead(const struct gate *g)
{
    unsigned most = g->all->options.concurrency / 4, n = 2 * g->last_n;
    if (n < MIN_AHEAD)
        n = MIN_AHEAD;
    return n < most ? n : most > 0 ? most : 1;
}

static bool is_probed(const struct gate *g)
{
    return g->blocked && g->probing;
}

// Lets through everyone whose slot is near; sleeps until the next one is.
static void advance_slots(struct gate *g, int64_t now)
{
    forget_missed(g, now);
    while (!is_probed(g) && g->n_waiting > 0 && g->n_slots > 0 &&
           g->slots[g->first] - LEAD_US <= now) {
        g->probing = g->blocked;
        g->n_slots--;
        let_through(g, g->slots[g->first++]);
    }
    if (is_probed(g)) // its end comes here again
        return;
    int64_t next = g->n_slots > 0 ? g->slots[g->first] - LEAD_US : INT64_MAX;
    if (g->n_waiting > g->n_slots && now >= g->ask_us)
        ask(g, g->n_waiting - g->n_slots);
    else if (g->n_waiting > g->n_slots && g->ask_us < next)
        next = g->ask_us;
    if (g->n_waiting > 0 && next < INT64_MAX)
        again(g, next - now);
    if (g->n_waiting < ahead(g))
        g->all->options.room(g->all->options.ctx);
    route_balance(g);
}

// Something to tell the limiter, beside what is asked of it: its share of calls in flight that
// is given back, and what calls came to.
static bool has_news(const struct gate *g)
{
    return g->did.calls > 0 || (g->counts_flight && g->held + g->n_slots != g->told_held);
}

static void advance(struct gate *g)
{
    int64_t now = clock_boot_us();
    if (now < g->closed_us) {
        send_away(g);
        again(g, g->closed_us - now);
        if (has_news(g))
            ask(g, 0);
        return;
    }
    if (g->closed_us) {
        g->closed_us = 0;
        if (g->far)
            g->asked_us = 0; // it opens when the answer says so
        g->far = false;
        g->all->options.room(g->all->options.ctx);
    }
    if (g->asked_us == 0 ||
        (g->unlimited && now - g->asked_us > RECHECK_US && g->n_waiting > 0)) {
        ask(g, 0); // held until the answer: the group may have been cooled by another host
        return;
    }
    if (g->n_waiting == 0 && has_news(g))
        ask(g, 0);
    if (!g->unlimited) {
        advance_slots(g, now);
        return;
    }
    while (g->n_waiting > 0 && !is_probed(g)) {
        g->probing = g->blocked;
        let_through(g, 0);
    }
    route_balance(g);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    advance(w->data);
}

struct gate *gate_new(struct route *r, struct keyring *keys)
{
    struct gate *g = calloc(1, sizeof *g);
    struct span lane_model = span_of(r->lane_model);
    const struct project *p = keyring_project(keys);
    const char *slash = strchr(r->lane_model, '/');
    if (!g || !slash ||
        asprintf(&g->group, "%s/%s/%.*s", p->name, slash + 1, (int)(slash - r->lane_model),
                 r->lane_model) < 0) {
        free(g);
        return NULL;
    }
    g->all = r->all;
    g->route = r;
    g->keys = keys;
    g->limit.max = MAX_LIMIT;
    // A model that has no such tier is not limited.
    if (tier_resolve(r->all->options.catalogue, span_of(slash + 1),
                     project_limit(p, lane_model), &g->limit) == OK)
        g->spec = buf_span(&g->limit);
    TAILQ_INIT(&g->waiting);
    ev_init(&g->timer, on_timer);
    g->timer.data = g;
    return g;
}

void gate_free(struct gate *g)
{
    ev_timer_stop(g->all->loop, &g->timer);
    free(g->group);
    buf_free(&g->limit);
    free(g);
}

struct gates *gates_new(struct ev_loop *loop, struct redis *r, const struct gates_options *o)
{
    struct gates *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->loop = loop;
    g->redis = r;
    g->options = *o;
    SLIST_INIT(&g->list);
    return g;
}

void gates_free(struct gates *all)
{
    struct route *r;
    if (!all)
        return;
    while ((r = SLIST_FIRST(&all->list))) {
        SLIST_REMOVE_HEAD(&all->list, link);
        route_free(r);
    }
    free(all);
}

// Where the keys were found bad at another gate of the project, one call finds out here.
static void presume(struct gate *g)
{
    if (g->blocked || !keyring_out(g->keys))
        return;
    g->blocked = g->presumed = true;
    g->blocked_us = clock_boot_us();
    snprintf(g->blocked_by, sizeof g->blocked_by, "%s", code_name(CODE_BAD_KEY));
}

unsigned gate_room(struct gate *g, unsigned want)
{
    int64_t now = clock_boot_us();
    if (now < g->closed_us)
        return 0;
    presume(g);
    if (g->blocked)
        return g->probing || g->n_waiting > 0 ? 0 : 1;
    if (g->asked_us == 0) {
        ask(g, 0);
        return 0;
    }
    if (g->unlimited)
        return want;
    unsigned most = ahead(g), may = g->n_waiting < most ? most - g->n_waiting : 0;
    return may < want ? may : want;
}

void gate_enter(struct gate *g, struct gate_pass *p)
{
    TAILQ_INSERT_TAIL(&g->waiting, p, link);
    p->gate = g;
    p->waiting = true;
    if (g->n_waiting++ == 0)
        again(g, 0);
}

void gate_leave(struct gate_pass *p)
{
    struct gate *g = p->gate;
    if (!p->waiting)
        return;
    TAILQ_REMOVE(&g->waiting, p, link);
    p->waiting = false;
    g->n_waiting--;
}

// Those who wait would keep others from calls in flight.
static void send_away(struct gate *g)
{
    struct gate_pass *p;
    double seconds = (double)(g->closed_us - clock_boot_us()) / 1e6;
    while (seconds > 0 && (p = TAILQ_FIRST(&g->waiting))) {
        gate_leave(p);
        p->shut(p, seconds);
    }
}

void gate_shut(struct gate *g, double seconds)
{
    close_for(g, (int64_t)(seconds * 1e6), false);
    g->n_slots = g->first = 0; // they lie within that time, or are too few to matter
    send_away(g);
    again(g, g->closed_us - clock_boot_us());
}

// The limiter has the cool-down now: it is asked whether somebody ended it.
static void leave_to_limiter(struct gate *g)
{
    int64_t until = clock_boot_us() + far_again();
    if (g->blocked || g->closed_us <= until)
        return;
    g->closed_us = until;
    g->far = true;
    again(g, until - clock_boot_us());
}

static void on_refused(void *ctx, enum err e, const struct limit_grant *grant)
{
    struct gate *g = ctx;
    if (grant)
        note_reason(g, grant);
    if (e == OK && grant)
        leave_to_limiter(g);
}

void gate_refused(struct gate *g, double seconds, int64_t sent_us, enum limit_cause cause)
{
    if (seconds > 0)
        gate_shut(g, seconds);
    enum err e = limit_refused(g->all->redis, TIMEOUT, gate_group(g), (int64_t)(seconds * 1e6),
                               sent_us + g->offset_us, cause, on_refused, g);
    (void)e; // this host waits in any case
}

static void on_learned(void *ctx, enum err e, const struct limit_grant *grant)
{
    (void)e;
    (void)grant;
    struct gate *g = ctx;
    g->asked_us = 0; // what was believed of the limit is to be asked anew
}

void gate_learned(struct gate *g, const char *spec)
{
    if (!*spec)
        return;
    enum err e =
        limit_learn(g->all->redis, TIMEOUT, gate_group(g), span_of(spec), on_learned, g);
    (void)e; // it is said again with the next refusal
}

void gate_end(struct gate_pass *p, const struct gate_outcome *o)
{
    struct gate *g = p->gate;
    if (!p->through)
        return;
    p->through = false;
    g->held--;
    if (o) {
        g->extra.tokens += o->took.tokens - p->takes.tokens;
        g->extra.micro += o->took.micro - p->takes.micro;
        g->did.calls++;
        g->did.refused += o->refused;
        g->did.micro += o->took.micro;
        if (o->went_well && o->sent_us > g->went_well_us)
            g->went_well_us = o->sent_us;
    }
    g->probing = false;
    if (g->n_waiting > 0)
        again(g, 0);
    else if (has_news(g))
        again(g, HORIZON_US / 2);
    route_balance(g);
}

struct span gate_group(const struct gate *g)
{
    return span_of(g->group);
}

struct keyring *gate_keys(const struct gate *g)
{
    return g->keys;
}

const struct project *gate_project(const struct gate *g)
{
    return keyring_project(g->keys);
}
