// backoff.h - how long to wait before trying again.
#ifndef COMMON_BACKOFF_H
#define COMMON_BACKOFF_H

// Seconds to wait after `tries` failed tries (1 or more): full jitter between 0 and
// min(cap, base * 2^(tries-1)), but never less than what the server asked for, `floor`.
// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
double backoff_delay(unsigned tries, double base, double cap, double floor);
#endif
