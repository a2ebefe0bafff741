// gate_block.c - groups that can send nothing until somebody mends something.
#include "worker/gate_private.h"

bool gate_block(struct gate *g, double seconds)
{
    bool news = !g->blocked || g->presumed;
    g->blocked = true;
    g->presumed = g->probing = false;
    gate_shut(g, seconds);
    return news;
}

bool gate_unblock(struct gate *g)
{
    bool was = g->blocked;
    g->blocked = g->presumed = g->probing = false;
    if (was)
        g->all->options.room(g->all->options.ctx);
    return was;
}

bool gate_blocked(const struct gate *g)
{
    return g->blocked;
}
