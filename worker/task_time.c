// task_time.c - what time a task has: until its deadlines, by the server's clock, and for a
// call.
#include "common/clock.h"
#include "worker/task_batch.h"
#include "worker/task_private.h"

#define CALL_S    180.0 // one call
#define CALL_4K_S 600.0

int64_t task_host_now_ms(const struct task_host *h)
{
    return clock_wall_ms() + h->server_offset_ms;
}

static double server_now(const struct task *t)
{
    return (double)task_host_now_ms(t->host) / 1000;
}

// The lane is that of the list, where a job may be that wanted another one at first.
void task_read_times(struct task *t, const struct queue_claimed *c)
{
    enum job_lane lane;
    double from =
        t->job.deadline_from > 0 ? t->job.deadline_from : (double)c->created_ms / 1000;
    if (job_lane_parse(c->lane, &lane) == OK)
        t->job.lane = lane;
    if (c->created_ms <= 0)
        return;
    if (t->job.deadline > 0 && t->ticket.run == 1) // who asks again has the time
        t->expires = from + t->job.deadline;
    if (t->job.batch_deadline > 0)
        t->batch_due = from + t->job.batch_deadline;
}

bool task_past(const struct task *t, double when)
{
    return when > 0 && server_now(t) >= when;
}

double task_due(const struct task *t)
{
    if (t->batch_due > 0 && (t->expires <= 0 || t->batch_due < t->expires))
        return t->batch_due;
    return t->expires;
}

void task_too_late(struct task *t)
{
    task_failed(t, CODE_EXPIRED, SPAN(""), SPAN("its deadline passed before it was done"),
                true);
}

double task_call_seconds(const struct task *t)
{
    double most = t->job.timeout > 0                 ? t->job.timeout
                  : span_is(t->job.image_size, "4K") ? CALL_4K_S
                                                     : CALL_S;
    double left = t->expires - server_now(t);
    return t->expires > 0 && left < most ? left : most;
}
