// rate.c - see rate.h.
#include "client/rate.h"

#include <string.h>

void rate_look(struct rate *r, int64_t mono_ms)
{
    int64_t now = mono_ms / 1000;
    if (r->start_ms < 0) {
        r->start_ms = mono_ms;
        r->second = now;
    }
    for (int i = 0; i < RATE_S && r->second < now; i++)
        r->n[++r->second % RATE_S] = 0;
    if (r->second < now) { // away for longer than the window: all of it is empty by now
        r->second = now;
        memset(r->n, 0, sizeof r->n);
    }
}

void rate_add(struct rate *r, uint32_t n)
{
    r->n[r->second % RATE_S] += n;
}

double rate_of(const struct rate *r, int64_t mono_ms)
{
    int64_t now = mono_ms / 1000, from = now - RATE_S + 1;
    if (r->start_ms < 0)
        return 0;
    uint64_t n = 0;
    for (int64_t s = r->second; s > r->second - RATE_S && s >= from && s >= 0; s--)
        n += r->n[s % RATE_S];
    int64_t since = from * 1000 > r->start_ms ? from * 1000 : r->start_ms;
    int64_t ms = mono_ms - since;
    return ms > 0 ? (double)n * 1000 / (double)ms : 0;
}
