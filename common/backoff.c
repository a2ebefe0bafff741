// backoff.c - see backoff.h.
#include "common/backoff.h"

#include <math.h>

#include "common/digest.h"

double backoff_delay(unsigned tries, double base, double cap, double floor)
{
    unsigned doublings = tries > 1 ? tries - 1 : 0;
    double top = ldexp(base, doublings < 1000 ? (int)doublings : 1000); // infinite is fine
    double delay = random_unit() * (top < cap ? top : cap);
    return delay > floor ? delay : floor;
}
