// timer.h - libev's timers as they are used here: once, so and so long from now. The caller has
// given them their callback, and stops them before they go.
#ifndef COMMON_TIMER_H
#define COMMON_TIMER_H

#include <ev.h>

// `seconds` from now, at once when below 0; whatever it was set to before is void.
void timer_restart(struct ev_loop *loop, ev_timer *t, double seconds);
// The same, unless it is set already.
void timer_ensure(struct ev_loop *loop, ev_timer *t, double seconds);
#endif
