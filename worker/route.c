// route.c - see route.h. Among gates with room the one is chosen that is farthest behind its
// weight (smooth weighted round robin, as nginx chooses among servers).
#include "worker/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/projects.h"
#include "common/clock.h"
#include "worker/gate_private.h"
#include "worker/keyring.h"

#define SOONER_US 50000 // a call moves to another gate only where it goes so much sooner

struct route *route_find(struct gates *all, struct span lane_model)
{
    struct route *r;
    SLIST_FOREACH(r, &all->list, link)
    if (span_is(lane_model, r->lane_model))
        return r;
    if (!(r = calloc(1, sizeof *r)))
        return NULL;
    r->all = all;
    r->lane_model = strndup(lane_model.ptr, lane_model.len);
    while (r->lane_model && r->n < all->options.n_keyrings &&
           (r->gates[r->n] = gate_new(r, all->options.keyrings[r->n])))
        r->n++;
    if (r->n < all->options.n_keyrings || r->n == 0) {
        route_free(r);
        return NULL;
    }
    SLIST_INSERT_HEAD(&all->list, r, link);
    if (all->options.news)
        all->options.news(all->options.ctx);
    return r;
}

void route_free(struct route *r)
{
    for (size_t i = 0; i < r->n; i++)
        gate_free(r->gates[i]);
    free(r->lane_model);
    free(r);
}

unsigned route_room(struct route *r, unsigned want)
{
    unsigned room = 0;
    for (size_t i = 0; i < r->n && room < want; i++)
        room += gate_room(r->gates[i], want - room);
    return room;
}

// --- Which project --------------------------------------------------------------------------

static unsigned weight(const struct gate *g)
{
    return gate_project(g)->weight;
}

static struct gate *next_with_room(struct route *r)
{
    struct gate *best = NULL;
    int64_t sum = 0;
    for (size_t i = 0; i < r->n; i++) {
        struct gate *g = r->gates[i];
        if (gate_room(g, 1) == 0)
            continue;
        g->credit += weight(g);
        sum += weight(g);
        if (!best || g->credit > best->credit)
            best = g;
    }
    if (best)
        best->credit -= sum;
    return best;
}

static bool shorter(const struct gate *a, const struct gate *b)
{
    return (uint64_t)a->n_waiting * weight(b) < (uint64_t)b->n_waiting * weight(a);
}

// Nobody has room at once: the one with the shortest queue, else the one that opens first.
static struct gate *least_bad(struct route *r)
{
    int64_t now = clock_boot_us();
    struct gate *open = NULL, *first = r->gates[0];
    for (size_t i = 0; i < r->n; i++) {
        struct gate *g = r->gates[i];
        if (!g->blocked && g->closed_us <= now && (!open || shorter(g, open)))
            open = g;
        if (g->closed_us < first->closed_us)
            first = g;
    }
    return open ? open : first;
}

void route_enter(struct route *r, struct gate_pass *p)
{
    struct gate *g = r->n > 1 ? next_with_room(r) : r->gates[0];
    gate_enter(g ? g : least_bad(r), p);
}

struct gate *route_gate(struct route *r, struct span project)
{
    for (size_t i = 0; i < r->n; i++)
        if (span_is(project, gate_project(r->gates[i])->name))
            return r->gates[i];
    return r->gates[0];
}

// Blocked ones are looked at again when their time is over.
struct gate *route_choose(struct route *r)
{
    int64_t now = clock_boot_us(), sum = 0;
    struct gate *best = NULL;
    for (size_t i = 0; i < r->n; i++) {
        struct gate *g = r->gates[i];
        if (g->closed_us > now)
            continue;
        g->credit += weight(g);
        sum += weight(g);
        if (!best || g->credit > best->credit)
            best = g;
    }
    if (best)
        best->credit -= sum;
    return best;
}

// When the next call that comes could go out.
static int64_t next_us(const struct gate *g, int64_t now)
{
    int64_t next = g->n_slots > 0 ? g->slots[g->first].us : g->unlimited ? now : g->ask_us;
    if (g->asked_us == 0)
        next = INT64_MAX;
    if (next < g->closed_us)
        next = g->closed_us;
    return next > now ? next : now;
}

void route_balance(struct gate *to)
{
    struct route *r = to->route;
    int64_t now = clock_boot_us(), next = next_us(to, now);
    if (r->n == 1 || to->n_waiting > 0 || to->blocked || to->closed_us > now ||
        next > now + SOONER_US)
        return;
    for (size_t i = 0; i < r->n; i++) {
        struct gate *from = r->gates[i];
        if (from == to || from->n_waiting <= from->n_slots ||
            next_us(from, now) < next + SOONER_US)
            continue;
        struct gate_pass *p = TAILQ_LAST(&from->waiting, pass_list);
        gate_leave(p);
        gate_enter(to, p);
        return;
    }
}

// --- Being closed ---------------------------------------------------------------------------

bool route_blocked(const struct route *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (!r->gates[i]->blocked)
            return false;
    return true;
}

static int64_t wait_us(const struct route *r)
{
    int64_t least = INT64_MAX, now = clock_boot_us();
    bool blocked = route_blocked(r);
    for (size_t i = 0; i < r->n; i++) {
        const struct gate *g = r->gates[i];
        int64_t left = g->closed_us > now ? g->closed_us - now : 0;
        if ((blocked || !g->blocked) && left < least)
            least = left;
    }
    return least;
}

double route_wait(const struct route *r)
{
    return (double)wait_us(r) / 1e6;
}

int64_t route_closed_until_ms(const struct route *r)
{
    int64_t left = wait_us(r);
    return left > 0 ? clock_wall_ms() + left / 1000 : 0;
}

// --- Who was told ---------------------------------------------------------------------------

static size_t find_told(const struct route *r, struct span batch)
{
    size_t i = 0;
    while (i < r->n_told && !span_is(batch, r->told[i]))
        i++;
    return i;
}

bool route_tell(struct route *r, struct span batch)
{
    if (find_told(r, batch) < r->n_told || r->n_told == MAX_TOLD || batch.len > JOB_MAX_NAME)
        return false;
    snprintf(r->told[r->n_told++], sizeof r->told[0], "%.*s", (int)batch.len, batch.ptr);
    return true;
}

bool route_told(struct route *r, struct span batch)
{
    size_t i = route_blocked(r) ? r->n_told : find_told(r, batch);
    if (i == r->n_told)
        return false;
    memmove(r->told[i], r->told[r->n_told - 1], sizeof r->told[0]);
    r->n_told--;
    return true;
}
