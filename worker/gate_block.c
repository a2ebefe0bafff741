// gate_block.c - groups that can send nothing until somebody mends something, and who was told.
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "worker/gate_private.h"

bool gate_block(struct gate *g, enum code code, double seconds)
{
    (void)code;
    bool news = !g->blocked;
    g->blocked = true;
    g->probing = false;
    gate_shut(g, seconds);
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
