// gate_block.c - groups that can send nothing until somebody mends something.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/code.h"
#include "common/clock.h"
#include "worker/gate_private.h"
#include "worker/keyring.h"

#define LASTS_US \
    2000000 // what limited so long ago is still told: between two slots nothing does

static void tell(struct gate *g)
{
    if (g->all->options.news)
        g->all->options.news(g->all->options.ctx);
}

bool gate_block(struct gate *g, const char *code, double seconds)
{
    bool news = !g->blocked || g->presumed || strcmp(g->blocked_by, code) != 0;
    if (!g->blocked)
        g->blocked_us = clock_boot_us();
    g->blocked = true;
    g->presumed = g->probing = false;
    snprintf(g->blocked_by, sizeof g->blocked_by, "%s", code);
    gate_shut(g, seconds);
    if (news)
        tell(g);
    return news;
}

void gate_block_project(struct gate *g, const char *code, double seconds)
{
    struct route *r;
    SLIST_FOREACH(r, &g->all->list, link)
    for (size_t i = 0; i < r->n; i++) {
        struct gate *it = r->gates[i];
        if (it == g || it->keys != g->keys || it->blocked)
            continue;
        gate_block(it, code, seconds);
        it->presumed = true;
    }
}

void gate_edited(struct gate *g)
{
    if (!g->blocked)
        return;
    keyring_retry(g->keys);
    g->closed_us = 0;
    g->all->options.room(g->all->options.ctx);
}

bool gate_unblock(struct gate *g, int64_t sent_us)
{
    bool was = g->blocked;
    if (was && sent_us < g->blocked_us)
        return false; // it left before, and says nothing of now
    g->blocked = g->presumed = g->probing = false;
    if (was) {
        g->all->options.room(g->all->options.ctx);
        tell(g);
    }
    return was;
}

bool gate_blocked_by(const struct gate *g, enum code code)
{
    return g->blocked && strcmp(g->blocked_by, code_name(code)) == 0;
}

bool gate_blocked(const struct gate *g)
{
    return g->blocked;
}

const char *gate_limited_by(const struct gate *g)
{
    int64_t now = clock_boot_us(), lasts = g->limited_us + LASTS_US;
    return g->limited_us && now < (g->until_us > lasts ? g->until_us : lasts) ? g->last_reason
                                                                              : "";
}

static void say(const struct gate *g, struct buf *out)
{
    const char *reason = g->blocked ? "blocked" : gate_limited_by(g);
    int64_t left = (g->blocked ? g->closed_us : g->until_us) - clock_boot_us();
    int64_t until = *reason ? clock_wall_ms() + (left > 0 ? left / 1000 : 0) : 0;
    char line[2 * JOB_MAX_NAME + 200];
    size_t n = (size_t)snprintf(line, sizeof line, "%s\t%s\t%s\t%" PRId64 "\n", g->group,
                                reason, g->blocked ? g->blocked_by : "", until);
    if (n < sizeof line && out->len + n < out->max)
        buf_add(out, (struct span){line, n});
}

void gates_say(const struct gates *all, struct buf *out)
{
    const struct route *r;
    SLIST_FOREACH(r, &all->list, link)
    for (size_t i = 0; i < r->n; i++)
        say(r->gates[i], out);
}
