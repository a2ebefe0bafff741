// rate.h - how many a second, over the last half minute. Times in ms of clock_mono_ms(), never
// going back.
#ifndef CLIENT_RATE_H
#define CLIENT_RATE_H

#include <stdint.h>

#define RATE_S 30 // the window

struct rate {           // {.start_ms = -1}: nothing yet
    int64_t start_ms;   // of the first look; -1 before
    int64_t second;     // the newest one in the ring, by the clock
    uint32_t n[RATE_S]; // by second, a ring
};
// Moves on to the present second, from which time counts, whether anything comes or not.
void rate_look(struct rate *r, int64_t mono_ms);
void rate_add(struct rate *r, uint32_t n); // at the time of the last look
// A second; 0: none. What is older than the window does not count.
double rate_of(const struct rate *r, int64_t mono_ms);
#endif
