// backoff.c - see backoff.h.
#include "common/backoff.h"

#include "common/digest.h"

double backoff_delay(unsigned tries, double base, double cap, double floor)
{
    double top = base;
    for (unsigned i = 1; i < tries && top < cap; i++)
        top *= 2;
    double delay = random_unit() * (top < cap ? top : cap);
    return delay > floor ? delay : floor;
}
