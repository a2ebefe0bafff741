// gate.c - see gate.h.
#include "worker/gate.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/job.h"
#include "broker/limit.h"
#include "common/clock.h"

#define LEAD_US    4000    // a call is let through this long before its slot, to be marked sent
#define HORIZON_US 1000000 // slots farther away are left to others
#define TIMEOUT    5.0     // seconds, of one request to the limiter
#define RECHECK_US 1000000 // how long "no limit is set" is believed
#define MAX_TOLD   64      // batches that are told of a block

TAILQ_HEAD(pass_list, gate_pass);

struct gate {
    struct gates *all;
    SLIST_ENTRY(gate) link;
    char *lane_model, *group;
    struct pass_list waiting;
    unsigned n_waiting;
    bool unlimited;                 // no limit was set when last asked
    int64_t asked_us;               // when that was; 0: never
    bool under_way;                 // a request to the limiter
    int64_t slots[LIMIT_MAX_SLOTS]; // of clock_boot_us(), rising, from `first`
    unsigned first, n_slots;
    unsigned wanted;       // slots that claims would like, beyond those who wait
    int64_t closed_us;     // nothing goes through before; 0: open
    bool blocked, probing; // blocked: one probe at a time
    ev_timer timer;
    bool told_differs;
    char told[MAX_TOLD][JOB_MAX_NAME + 1]; // batches that were told of the block
    size_t n_told;
};

struct gates {
    struct ev_loop *loop;
    struct redis *redis;
    struct gates_options options;
    SLIST_HEAD(, gate) list;
};

static void advance(struct gate *g);

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

static void note_limit(struct gate *g, const struct limit_grant *grant)
{
    const struct gates_options *o = &g->all->options;
    g->unlimited = grant->spec.len == 0;
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
    bool had_room = g->unlimited || g->n_slots > g->n_waiting;
    g->asked_us = now;
    note_limit(g, grant);
    keep_slots(g, grant, now);
    g->wanted = 0;
    if (grant->n == 0 && !g->unlimited && grant->next_us > 0)
        again(g, grant->next_us > HORIZON_US ? grant->next_us - HORIZON_US : 50000);
    else
        again(g, 0);
    if (!had_room && (g->unlimited || g->n_slots > g->n_waiting))
        g->all->options.room(g->all->options.ctx);
}

static void ask(struct gate *g, unsigned want)
{
    if (g->under_way)
        return;
    struct limit_request l = {.group = gate_group(g),
                              .want = want < LIMIT_MAX_SLOTS / 2 ? want : LIMIT_MAX_SLOTS / 2,
                              .horizon_us = HORIZON_US,
                              .spec = g->all->options.spec};
    g->under_way = limit_ask(g->all->redis, TIMEOUT, &l, on_grant, g) == OK;
    if (!g->under_way)
        again(g, 200000);
}

static void let_through(struct gate *g, int64_t slot)
{
    struct gate_pass *p = TAILQ_FIRST(&g->waiting);
    gate_leave(g, p);
    p->open(p, slot);
}

// Lets through everyone whose slot is near; sleeps until the next one is.
static void advance_slots(struct gate *g, int64_t now)
{
    forget_missed(g, now);
    while (g->n_waiting > 0 && g->n_slots > 0 && g->slots[g->first] - LEAD_US <= now) {
        g->n_slots--;
        let_through(g, g->slots[g->first++]);
    }
    if (g->n_waiting > 0 && g->n_slots > 0)
        again(g, g->slots[g->first] - LEAD_US - now);
    if (g->n_waiting + g->wanted > g->n_slots)
        ask(g, g->n_waiting + g->wanted - g->n_slots);
}

static void advance(struct gate *g)
{
    int64_t now = clock_boot_us();
    if (now < g->closed_us) {
        again(g, g->closed_us - now);
        return;
    }
    if (g->closed_us) {
        g->closed_us = 0;
        g->all->options.room(g->all->options.ctx);
    }
    if (g->asked_us == 0 ||
        (g->unlimited && now - g->asked_us > RECHECK_US && g->n_waiting > 0)) {
        ask(g, 0);
        if (g->asked_us == 0)
            return;
    }
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
    forget_missed(g, now);
    unsigned have = g->n_slots > g->n_waiting ? g->n_slots - g->n_waiting : 0;
    if (have >= want)
        return want;
    g->wanted = want - have;
    ask(g, g->wanted);
    return have;
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

void gate_cool(struct gate *g, double seconds)
{
    int64_t until = clock_boot_us() + (int64_t)(seconds * 1e6);
    if (until > g->closed_us)
        g->closed_us = until;
    again(g, g->closed_us - clock_boot_us());
}

bool gate_block(struct gate *g, enum code code, double seconds)
{
    (void)code;
    bool news = !g->blocked;
    g->blocked = true;
    g->probing = false;
    gate_cool(g, seconds);
    return news;
}

bool gate_unblock(struct gate *g)
{
    bool was = g->blocked;
    g->blocked = g->probing = false;
    if (was)
        g->all->options.room(g->all->options.ctx);
    return was;
}

void gate_missed(struct gate *g)
{
    g->probing = false;
    if (g->n_waiting > 0)
        again(g, 0);
}

static size_t find_told(const struct gate *g, struct span batch)
{
    size_t i = 0;
    while (i < g->n_told && !span_is(batch, g->told[i]))
        i++;
    return i;
}

bool gate_tell(struct gate *g, struct span batch)
{
    if (find_told(g, batch) < g->n_told || g->n_told == MAX_TOLD || batch.len > JOB_MAX_NAME)
        return false;
    snprintf(g->told[g->n_told++], sizeof g->told[0], "%.*s", (int)batch.len, batch.ptr);
    return true;
}

bool gate_told(struct gate *g, struct span batch)
{
    size_t i = g->blocked ? g->n_told : find_told(g, batch);
    if (i == g->n_told)
        return false;
    memmove(g->told[i], g->told[g->n_told - 1], sizeof g->told[0]);
    g->n_told--;
    return true;
}

bool gate_blocked(const struct gate *g)
{
    return g->blocked;
}

int64_t gate_closed_until_ms(const struct gate *g)
{
    int64_t left = g->closed_us - clock_boot_us();
    return left > 0 ? clock_wall_ms() + left / 1000 : 0;
}

struct span gate_group(const struct gate *g)
{
    return span_of(g->group);
}
