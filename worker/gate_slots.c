// gate_slots.c - send slots in hand: kept until their time, used, missed, or given back.
#include <string.h>

#include "common/clock.h"
#include "worker/gate_private.h"

void gate_keep_slots(struct gate *g, const struct limit_grant *grant)
{
    int64_t then = grant->server_us - skew_us(&g->skew); // by our clock
    memmove(g->slots, g->slots + g->first, g->n_slots * sizeof g->slots[0]);
    g->first = 0;
    for (size_t i = 0; i < grant->n && i < GATE_WANT && g->n_slots < GATE_SLOTS; i++)
        g->slots[g->n_slots++] =
            (struct gate_slot){.us = then + grant->slots_us[i],
                               .server_us = grant->server_us + grant->slots_us[i],
                               .day_ends_us = grant->day_ends_us,
                               .charged = g->asking[i]};
    g->last_n = (unsigned)grant->n;
    if (grant->n == 0)
        return;
    g->grant_from_us = grant->server_us + grant->slots_us[0];
    g->grant_to_us = grant->server_us + grant->slots_us[grant->n - 1];
    if (grant->n > 1)
        g->spacing_us = (g->grant_to_us - g->grant_from_us) / (int64_t)(grant->n - 1);
}

// Of a day that is over nothing is given back.
static void count_back(struct gate *g, const struct gate_slot *s)
{
    struct limit_back *b = &g->news.back;
    if (s->day_ends_us > b->day_ends_us) {
        b->day_ends_us = s->day_ends_us;
        b->n = 0;
    }
    b->n += s->day_ends_us == b->day_ends_us;
}

// Only behind the last slot that was granted nobody else's calls can stand.
static void give_back_run(struct gate *g, int64_t from_us, const struct gate_slot *last)
{
    struct limit_back *b = &g->news.back;
    if (last->server_us != g->grant_to_us)
        return;
    b->from_us = from_us;
    b->to_us = last->server_us;
    b->last = last->charged;
    g->ask_us = 0; // it may be granted again at once
}

void gate_unused_slot(struct gate *g, const struct gate_slot *s)
{
    count_back(g, s);
    give_back_run(g, s->server_us, s);
}

void gate_miss_slots(struct gate *g, int64_t now)
{
    while (g->n_slots > 0 && g->slots[g->first].us + LIMIT_SLACK_US < now) {
        struct gate_slot s = gate_take_slot(g);
        gate_unused_slot(g, &s);
    }
}

void gate_drop_slots(struct gate *g)
{
    const struct gate_slot *in_hand = g->slots + g->first;
    for (unsigned i = 0; i < g->n_slots; i++)
        count_back(g, &in_hand[i]);
    for (unsigned i = 0; i < g->n_slots; i++) {
        if (in_hand[i].server_us < g->grant_from_us)
            continue;
        give_back_run(g, in_hand[i].server_us, &in_hand[g->n_slots - 1]);
        break;
    }
    g->n_slots = g->first = 0;
}

void gate_withdraw_slots(struct gate *g)
{
    g->shut_us = clock_boot_us();
    gate_drop_slots(g);
}

struct gate_slot gate_take_slot(struct gate *g)
{
    struct gate_slot s = g->slots[g->first++];
    if (--g->n_slots == 0)
        g->first = 0;
    return s;
}

void gate_add_extra(struct gate *g, const struct limit_units *took,
                    const struct limit_units *less)
{
    struct limit_units *extra = &g->news.extra;
    extra->images += took->images - less->images;
    extra->tokens += took->tokens - less->tokens;
    extra->micro += took->micro - less->micro;
}
