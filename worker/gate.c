// gate.c - see gate.h.
#include "worker/gate.h"

#include <ev.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/code.h"
#include "broker/job.h"
#include "broker/limit.h"
#include "broker/tier.h"
#include "common/clock.h"
#include "common/digest.h"
#include "worker/gate_private.h"
#include "worker/keyring.h"

#define RECHECK_US 50000 // how long "no limit is set" is believed while calls go out
#define MAX_LIMIT  4096  // bytes
#define JITTER     0.1   // of a wait that ends for all workers at once

static void send_away(struct gate *g);

void gate_again(struct gate *g, int64_t us)
{
    ev_timer_stop(g->all->loop, &g->timer);
    ev_timer_set(&g->timer, us > 0 ? (double)us / 1e6 : 0., 0.);
    ev_timer_start(g->all->loop, &g->timer);
}

// No slots are given for the time of a cool-down; with no limit set all would wake at once.
void gate_close_for(struct gate *g, int64_t us, bool jitter)
{
    int64_t until = clock_boot_us() + us;
    if (jitter)
        until += (int64_t)((double)us * JITTER * random_unit());
    if (until > g->closed_us)
        g->closed_us = until;
}

void gate_close_far(struct gate *g, int64_t us)
{
    int64_t again_us = gate_far_again();
    gate_close_for(g, us < again_us ? us - 2 * HORIZON_US : again_us, false);
    g->far = true;
}

// It may take more, or less, than the slot was granted for: others waited when that was asked.
static void let_through(struct gate *g, const struct gate_slot *slot)
{
    struct gate_pass *p = TAILQ_FIRST(&g->waiting);
    gate_leave(p);
    p->through = true;
    p->opened_us = clock_boot_us();
    p->slot = slot ? *slot : (struct gate_slot){0};
    if (slot)
        gate_add_extra(g, &p->takes, &slot->charged);
    g->held++;
    p->open(p, p->slot.us);
}

static bool is_probed(const struct gate *g)
{
    return g->blocked && g->probing;
}

static bool is_near(const struct gate *g, int64_t now)
{
    return g->n_slots > 0 && g->slots[g->first].us - g->all->lead_us <= now;
}

// When there is something to do; slots that nobody waits for are given back when they are over.
static int64_t next_us(const struct gate *g)
{
    int64_t next = INT64_MAX;
    if (g->n_slots > 0)
        next = g->slots[g->first].us +
               (g->n_waiting > 0 ? -g->all->lead_us : LIMIT_SLACK_US + 1000);
    if (g->n_waiting > g->n_slots && g->ask_us < next)
        next = g->ask_us;
    return next;
}

// Lets through everyone whose slot is near; sleeps until the next one is.
static void advance_slots(struct gate *g, int64_t now)
{
    gate_miss_slots(g, now);
    while (!is_probed(g) && g->n_waiting > 0 && is_near(g, now)) {
        struct gate_slot s = gate_take_slot(g);
        g->probing = g->blocked;
        let_through(g, &s);
    }
    if (is_probed(g)) // its end comes here again
        return;
    if (g->n_waiting > g->n_slots && now >= g->ask_us)
        gate_ask(g, g->n_waiting - g->n_slots);
    else if (g->n_waiting <= g->n_slots && gate_has_news(g))
        gate_ask(g, 0);
    int64_t next = g->under_way && g->n_slots == 0 ? INT64_MAX : next_us(g);
    if (next < INT64_MAX)
        gate_again(g, next - now);
    if (g->n_waiting < gate_ahead(g))
        g->all->options.room(g->all->options.ctx);
    route_balance(g);
}

// What is closed is asked about now and then where somebody may open it.
static void stay_closed(struct gate *g, int64_t now)
{
    int64_t left = g->closed_us - now, look = gate_far_again();
    send_away(g);
    gate_again(g, g->blocked && look < left ? look : left);
    if (gate_has_news(g) || (g->blocked && now - g->asked_us >= FAR_AGAIN_US / 2))
        gate_ask(g, 0);
}

static void advance(struct gate *g)
{
    int64_t now = clock_boot_us();
    gate_tell(g);
    if (now < g->closed_us) {
        stay_closed(g, now);
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
        gate_ask(g, 0); // held until the answer: the group may have been cooled by another host
        return;
    }
    if (!g->unlimited) {
        advance_slots(g, now);
        return;
    }
    if (g->n_waiting == 0 && gate_has_news(g))
        gate_ask(g, 0);
    while (g->n_waiting > 0 && !is_probed(g)) {
        g->probing = g->blocked;
        let_through(g, NULL);
    }
    route_balance(g);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    advance(w->data);
}

// A model that has no such tier is not limited.
static enum err take_limit(struct gate *g, const char *model)
{
    enum err e =
        tier_resolve(g->all->options.catalogue, span_of(model),
                     project_limit(gate_project(g), span_of(g->route->lane_model)), &g->limit);
    if (e == OK)
        g->spec = buf_span(&g->limit);
    return e;
}

struct gate *gate_new(struct route *r, struct keyring *keys)
{
    struct gate *g = calloc(1, sizeof *g);
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
    g->limit.max = g->learnt.max = MAX_LIMIT;
    TAILQ_INIT(&g->waiting);
    ev_init(&g->timer, on_timer);
    ev_init(&g->flight, gate_on_flight);
    g->timer.data = g->flight.data = g;
    if (take_limit(g, slash + 1) == ERR_NOMEM) { // it must not go without
        gate_free(g);
        return NULL;
    }
    return g;
}

void gate_free(struct gate *g)
{
    ev_timer_stop(g->all->loop, &g->timer);
    ev_timer_stop(g->all->loop, &g->flight);
    free(g->group);
    buf_free(&g->limit);
    buf_free(&g->learnt);
    free(g);
}

struct gates *gates_new(struct ev_loop *loop, struct redis *r, const struct gates_options *o)
{
    struct gates *g = calloc(1, sizeof *g);
    uint64_t teller;
    if (!g)
        return NULL;
    g->loop = loop;
    g->redis = r;
    g->options = *o;
    g->lead_us = LEAD_US;
    random_bytes(&teller, sizeof teller);
    snprintf(g->teller, sizeof g->teller, "%016" PRIx64, teller);
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
        gate_ask(g, 0);
        return 0;
    }
    if (g->unlimited)
        return want;
    unsigned most = gate_ahead(g), may = g->n_waiting < most ? most - g->n_waiting : 0;
    return may < want ? may : want;
}

void gate_enter(struct gate *g, struct gate_pass *p)
{
    TAILQ_INSERT_TAIL(&g->waiting, p, link);
    p->gate = g;
    p->waiting = true;
    if (g->n_waiting++ == 0)
        gate_again(g, 0);
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
    gate_close_for(g, (int64_t)(seconds * 1e6), false);
    gate_withdraw_slots(g);
    send_away(g);
    gate_again(g, 0);
}

static void count_outcome(struct gate *g, const struct gate_pass *p,
                          const struct gate_outcome *o)
{
    gate_add_extra(g, &o->took, &p->takes);
    g->news.did.calls++;
    g->news.did.refused += o->refused;
    g->news.did.micro += o->took.micro;
    if (o->went_well && o->sent_us + skew_us(&g->skew) > g->news.went_well_us)
        g->news.went_well_us = o->sent_us + skew_us(&g->skew);
}

// Its slot is as if it had never been used.
static void never_sent(struct gate *g, const struct gate_pass *p)
{
    if (!p->slot.us)
        return;
    gate_add_extra(g, &p->slot.charged, &p->takes);
    gate_unused_slot(g, &p->slot);
}

bool gate_stops(const struct gate_pass *p)
{
    return p->through && p->opened_us <= p->gate->shut_us;
}

void gate_end(struct gate_pass *p, const struct gate_outcome *o)
{
    struct gate *g = p->gate;
    if (!p->through)
        return;
    p->through = false;
    g->held--;
    if (o)
        count_outcome(g, p, o);
    else
        never_sent(g, p);
    g->probing = false;
    if (g->n_waiting > 0)
        gate_again(g, 0);
    else if (gate_has_news(g))
        gate_again(g, HORIZON_US / 2);
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
