// gate.c - see gate.h.
#include "worker/gate.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/job.h"
#include "broker/limit.h"
#include "common/clock.h"
#include "common/digest.h"
#include "worker/gate_private.h"

#define LEAD_US    4000   // a call is let through this long before its slot, to be marked sent
#define HORIZON_US 100000 // slots farther away are left to others
#define TIMEOUT    5.0    // seconds, of one request to the limiter
#define RECHECK_US 50000  // how long "no limit is set" is believed while calls go out
#define MIN_AHEAD  4
#define PAUSE_US   20000 // between requests that get nothing
#define JITTER     0.1   // of a wait that ends for all workers at once

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

static void note_limit(struct gate *g, const struct limit_grant *grant)
{
    const struct gates_options *o = &g->all->options;
    g->unlimited = grant->spec.len == 0 && !span_is(grant->reason, "probing");
    g->counts_flight =
        grant->spec.len && memmem(grant->spec.ptr, grant->spec.len, "inflight=", 9);
    if (g->unlimited && grant->wait_us > 0)
        close_for(g, grant->wait_us, true);
    note_reason(g, grant);
    if (!o->spec.len || g->told_differs || span_equal(o->spec, grant->spec))
        return;
    g->told_differs = true;
    o->differs(o->ctx, gate_group(g), grant->spec);
}

static void on_grant(void *ctx, enum err e, const struct limit_grant *grant)
{
    struct gate *g = ctx;
    g->under_way = false;
    if (e != OK) {
        again(g, 200000);
        return;
    }
    int64_t now = clock_boot_us();
    bool was_shut = !g->unlimited && g->asked_us == 0;
    g->asked_us = now;
    g->offset_us = grant->server_us - now;
    note_limit(g, grant);
    keep_slots(g, grant, now);
    g->last_n = (unsigned)grant->n;
    g->ask_us = now + (grant->wait_us > HORIZON_US ? grant->wait_us - HORIZON_US / 2
                       : grant->wait_us > 0        ? PAUSE_US
                                                   : 0);
    again(g, 0);
    if (was_shut || g->unlimited)
        g->all->options.room(g->all->options.ctx);
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
                              .spec = o->spec,
                              .each = g->takes,
                              .extra = g->extra,
                              .inc = o->incarnation ? o->incarnation(o->ctx) : SPAN(""),
                              .held = g->held + g->n_slots,
                              .held_us = (int64_t)(o->lease * 1e6),
                              .went_well_us =
                                  g->went_well_us ? g->went_well_us + g->offset_us : 0};
    g->under_way = limit_ask(g->all->redis, TIMEOUT, &l, on_grant, g) == OK;
    if (!g->under_way) {
        again(g, 200000);
        return;
    }
    g->told_held = l.held;
    g->extra = (struct limit_units){0};
    g->went_well_us = 0;
}

static void let_through(struct gate *g, int64_t slot)
{
    struct gate_pass *p = TAILQ_FIRST(&g->waiting);
    gate_leave(g, p);
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

// Lets through everyone whose slot is near; sleeps until the next one is.
static void advance_slots(struct gate *g, int64_t now)
{
    forget_missed(g, now);
    while (g->n_waiting > 0 && g->n_slots > 0 && g->slots[g->first] - LEAD_US <= now) {
        g->n_slots--;
        let_through(g, g->slots[g->first++]);
    }
    int64_t next = g->n_slots > 0 ? g->slots[g->first] - LEAD_US : INT64_MAX;
    if (g->n_waiting > g->n_slots && now >= g->ask_us)
        ask(g, g->n_waiting - g->n_slots);
    else if (g->n_waiting > g->n_slots && g->ask_us < next)
        next = g->ask_us;
    if (g->n_waiting > 0 && next < INT64_MAX)
        again(g, next - now);
    if (g->n_waiting < ahead(g))
        g->all->options.room(g->all->options.ctx);
}

static void advance(struct gate *g)
{
    int64_t now = clock_boot_us();
    if (now < g->closed_us) {
        send_away(g);
        again(g, g->closed_us - now);
        return;
    }
    if (g->closed_us) {
        g->closed_us = 0;
        g->all->options.room(g->all->options.ctx);
    }
    if (g->asked_us == 0 ||
        (g->unlimited && now - g->asked_us > RECHECK_US && g->n_waiting > 0)) {
        ask(g, 0); // held until the answer: the group may have been cooled by another host
        return;
    }
    if (g->counts_flight && g->n_waiting == 0 && g->held + g->n_slots != g->told_held)
        ask(g, 0); // gives its share back
    if (!g->unlimited) {
        advance_slots(g, now);
        return;
    }
    while (g->n_waiting > 0 && !(g->blocked && g->probing)) {
        g->probing = g->blocked;
        let_through(g, 0);
    }
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    advance(w->data);
}

static struct gate *gate_new(struct gates *all, struct span lane_model)
{
    struct gate *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    const char *slash = memchr(lane_model.ptr, '/', lane_model.len);
    int lane = slash ? (int)(slash - lane_model.ptr) : 0;
    int model = (int)lane_model.len - lane - 1;
    g->lane_model = strndup(lane_model.ptr, lane_model.len);
    if (!slash || !g->lane_model ||
        asprintf(&g->group, "%s/%.*s/%.*s", all->options.project, model, slash + 1, lane,
                 lane_model.ptr) < 0) {
        free(g->lane_model);
        free(g);
        return NULL;
    }
    g->all = all;
    TAILQ_INIT(&g->waiting);
    ev_init(&g->timer, on_timer);
    g->timer.data = g;
    return g;
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
    struct gate *g;
    if (!all)
        return;
    while ((g = SLIST_FIRST(&all->list))) {
        SLIST_REMOVE_HEAD(&all->list, link);
        ev_timer_stop(all->loop, &g->timer);
        free(g->lane_model);
        free(g->group);
        free(g);
    }
    free(all);
}

struct gate *gates_find(struct gates *all, struct span lane_model)
{
    struct gate *g;
    SLIST_FOREACH(g, &all->list, link)
    if (span_is(lane_model, g->lane_model))
        return g;
    if ((g = gate_new(all, lane_model)))
        SLIST_INSERT_HEAD(&all->list, g, link);
    return g;
}

unsigned gate_room(struct gate *g, unsigned want)
{
    int64_t now = clock_boot_us();
    if (now < g->closed_us)
        return 0;
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
    p->waiting = true;
    if (g->n_waiting++ == 0)
        again(g, 0);
}

void gate_leave(struct gate *g, struct gate_pass *p)
{
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
        gate_leave(g, p);
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

static void on_refused(void *ctx, enum err e, const struct limit_grant *grant)
{
    (void)e;
    struct gate *g = ctx;
    if (grant)
        note_reason(g, grant);
}

void gate_refused(struct gate *g, double seconds, int64_t sent_us, bool rate)
{
    if (seconds > 0)
        gate_shut(g, seconds);
    enum err e = limit_refused(g->all->redis, TIMEOUT, gate_group(g), (int64_t)(seconds * 1e6),
                               sent_us + g->offset_us, rate, on_refused, g);
    (void)e; // this host waits in any case
}

void gate_end(struct gate *g, struct gate_pass *p, const struct gate_outcome *o)
{
    if (!p->through)
        return;
    p->through = false;
    g->held--;
    if (o) {
        g->extra.tokens += o->took.tokens - p->takes.tokens;
        g->extra.micro += o->took.micro - p->takes.micro;
        if (o->went_well && o->sent_us > g->went_well_us)
            g->went_well_us = o->sent_us;
    }
    g->probing = false;
    if (g->n_waiting > 0)
        again(g, 0);
    else if (g->counts_flight)
        again(g, HORIZON_US / 2);
}

struct span gate_group(const struct gate *g)
{
    return span_of(g->group);
}
