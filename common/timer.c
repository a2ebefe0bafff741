// timer.c - see timer.h.
#include "common/timer.h"

void timer_restart(struct ev_loop *loop, ev_timer *t, double seconds)
{
    ev_timer_stop(loop, t);
    ev_timer_set(t, seconds > 0 ? seconds : 0., 0.);
    ev_timer_start(loop, t);
}

void timer_ensure(struct ev_loop *loop, ev_timer *t, double seconds)
{
    if (!ev_is_active(t))
        timer_restart(loop, t, seconds);
}
