// skew.h - what the server's clock says less ours, from answers that say what it was when they
// left. Each is late by the time it took to come, so the quickest of the last seconds is
// believed: what is agreed for an instant of the server's then does not shift with every slow
// answer. Ours is taken for a clock that never jumps; the server's may, and both drift.
#ifndef WORKER_SKEW_H
#define WORKER_SKEW_H

#include <stdint.h>

#define SKEW_WINDOW_US 5000000 // the quickest of one to two of these is believed
#define SKEW_STEP_US   250000  // later than that by the last one: the clock was set

struct skew {            // {0} knows nothing yet
    int64_t ahead_us[2]; // by the quickest answer of this window, and of the one before
    int64_t since_us;    // when this window began, by our clock; 0: never
};
// An answer of `server_us` came at `local_us`, above 0.
void skew_note(struct skew *s, int64_t server_us, int64_t local_us);
int64_t
skew_us(const struct skew *s); // to be added to a time of ours; 0 before the first answer
#endif
