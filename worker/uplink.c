// uplink.c - see uplink.h.
#include "worker/uplink.h"

#include "common/clock.h"
#include "common/digest.h"

#define ENOUGH 3    // calls in a row
#define SHARE  0.25 // of the time it has been closed
#define LEAST  1.0  // seconds
#define MOST   30.0
#define JITTER 0.2

double uplink_failed(struct uplink *u)
{
    int64_t now = clock_boot_us();
    if (u->down_us == 0 && ++u->failed < ENOUGH)
        return 0;
    if (u->down_us == 0)
        u->down_us = now;
    double wait = (double)(now - u->down_us) / 1e6 * SHARE;
    wait = wait < LEAST ? LEAST : wait > MOST ? MOST : wait;
    return wait * (1 + JITTER * random_unit());
}

void uplink_reached(struct uplink *u, int64_t sent_us)
{
    if (u->down_us > 0 && sent_us < u->down_us)
        return;
    *u = (struct uplink){0};
}
