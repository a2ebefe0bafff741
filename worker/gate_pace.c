// gate_pace.c - how early things are begun where Redis may be far away: how far ahead slots are
// asked for, how many calls wait for them, and how long before its slot a call is let through.
#include "common/clock.h"
#include "common/digest.h"
#include "worker/gate_private.h"

#define PAUSE_US  20000  // between requests that get nothing
#define TRIP_MAX  150000 // of an answer's way that is reckoned with
#define MIN_AHEAD 4

// --- How far ahead --------------------------------------------------------------------------

void gate_came_back(struct gate *g)
{
    g->trip_us += (clock_boot_us() - g->sent_us - g->trip_us) / 4;
}

int64_t gate_horizon(const struct gate *g)
{
    int64_t trip = g->trip_us < TRIP_MAX ? g->trip_us : TRIP_MAX;
    return HORIZON_US + g->all->lead_us + trip;
}

// Each worker asks at a time of its own.
int64_t gate_far_again(void)
{
    return (int64_t)(FAR_AGAIN_US * (0.5 + 0.5 * random_unit()));
}

int64_t gate_until_next(const struct gate *g, int64_t wait_us)
{
    int64_t near = gate_horizon(g);
    int64_t us = wait_us > near ? wait_us - near + HORIZON_US / 2 : wait_us > 0 ? PAUSE_US : 0;
    return us < FAR_AGAIN_US ? us : FAR_AGAIN_US;
}

// --- How many -------------------------------------------------------------------------------

// What is not asked for while it lies ahead of now and the lead is lost, so a worker far from
// Redis waits for all slots that lie within the way there and back, too, and for those of a
// lead more: claims take about as long.
static int64_t coming(const struct gate *g)
{
    int64_t span = gate_horizon(g) + g->all->lead_us, twice = 2 * (int64_t)g->last_n;
    int64_t n = g->spacing_us > 0 ? span / g->spacing_us : 0;
    n = n > twice ? n : twice;
    return n > MIN_AHEAD ? n : MIN_AHEAD;
}

unsigned gate_ahead(const struct gate *g)
{
    int64_t n = coming(g), concurrency = g->all->options.concurrency;
    int64_t most = concurrency * gate_horizon(g) / HORIZON_US / 4;
    if (most > concurrency / 2)
        most = concurrency / 2;
    return (unsigned)(n < most ? n : most > 0 ? most : 1);
}

// --- How early ------------------------------------------------------------------------------

// One slow answer of Redis does not make all that follow early; many do, a few calls later.
void gate_ready(struct gate_pass *p)
{
    if (!p->through || !p->slot.us)
        return;
    int64_t *lead = &p->gate->all->lead_us, took = clock_boot_us() - p->opened_us;
    int64_t want = took + took / 4 + 1000;
    *lead = want > 2 * *lead ? 2 * *lead : want > *lead ? want : *lead - (*lead - want) / 32;
    *lead = *lead < LEAD_US ? LEAD_US : *lead > LEAD_MAX ? LEAD_MAX : *lead;
}
