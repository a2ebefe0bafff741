// task_call.c - how a task comes to its call: through the gate, past the purse and marked as
// sent, at the time of its send slot.
#include <stddef.h>

#include "broker/limit.h"
#include "common/clock.h"
#include "common/digest.h"
#include "worker/lease.h"
#include "worker/provider.h"
#include "worker/task_private.h"

#define WITHHELD_MS 1000 // until a job whose call was not made may be claimed

static void too_late(struct task *t)
{
    task_release(t);
    task_too_late(t);
}

void task_go(struct task *t)
{
    if (task_past(t, t->expires)) {
        too_late(t);
        return;
    }
    t->state = TASK_GATE;
    t->worst = task_worst(t);
    t->pass.takes = task_estimate(t);
    route_enter(t->route, &t->pass);
}

static void on_open(struct gate_pass *p, int64_t slot_us)
{
    struct task *t = (struct task *)((char *)p - offsetof(struct task, pass));
    t->slot_us = slot_us;
    task_enter_purse(t);
}

void task_mark(struct task *t)
{
    t->state = TASK_MARKING;
    pump_add(t->host->marks, &t->mark);
}

static void on_shut(struct gate_pass *p, double seconds)
{
    struct task *t = (struct task *)((char *)p - offsetof(struct task, pass));
    double wait = route_wait(t->route);
    if (wait <= 0) { // another project takes it
        route_enter(t->route, p);
        return;
    }
    task_park(t, wait < seconds ? wait : seconds);
}

void task_park(struct task *t, double seconds)
{
    t->state = TASK_PARKED;
    task_release(t);
    task_timer(t, seconds);
}

// A worker that cannot renew sends nothing, however long it took until it could have sent.
static bool may_send(void *ctx)
{
    const struct task *t = ctx;
    return !t->lost && lease_holds(t->host->lease);
}

void task_unsent(struct task *t)
{
    gate_end(&t->pass, NULL);
    task_release(t);
}

void task_withhold(struct task *t)
{
    task_unsent(t);
    task_say(t, QUEUE_REQUEUE, WITHHELD_MS);
}

static void call_now(struct task *t)
{
    const struct task_host *h = t->host;
    t->state = TASK_CALLING;
    random_bytes(t->call_id, sizeof t->call_id);
    t->sent_us = clock_boot_us();
    if (task_past(t, t->expires)) {
        gate_end(&t->pass, NULL);
        too_late(t);
    } else if (!may_send(t) ||
               h->provider->ops->start(h->provider, &t->job, gate_keys(t->pass.gate),
                                       task_call_seconds(t), may_send, task_result, t,
                                       &t->call) != OK) {
        task_withhold(t);
    }
}

void task_enter_again(struct task *t)
{
    gate_end(&t->pass, NULL);
    task_close_purse(t, NULL);
    t->state = TASK_GATE;
    route_enter(t->route, &t->pass);
}

void task_marked(struct task *t, char mark)
{
    int64_t now = clock_boot_us();
    gate_ready(&t->pass);
    if (mark == 'b' && !t->lost) { // waits for calls under way, or for a larger budget
        task_unsent(t);
        task_say(t, QUEUE_REQUEUE, TASK_ROOM_WAIT_MS);
    } else if (mark == 'B' && !t->lost) { // others of its batch may fit
        task_unsent(t);
        task_say(t, QUEUE_ASIDE, t->worst);
    } else if (mark == 'u' && !t->lost) {
        task_unsent(t);
        task_unpriced(t);
    } else if ((mark != '1' && mark != 'r') ||
               t->lost) { // no longer ours: cancelled, or the lease was lost
        task_unsent(t);
        task_gone(t);
    } else if (t->slot_us && (now > t->slot_us + LIMIT_SLACK_US || gate_stops(&t->pass))) {
        task_enter_again(t);
    } else if (t->slot_us && now < t->slot_us) {
        t->state = TASK_SLOT;
        task_timer(t, (double)(t->slot_us - now) / 1e6);
    } else {
        call_now(t);
    }
}

void task_slot_time(struct task *t)
{
    // Somebody may have been refused since it was let through.
    if (clock_boot_us() > t->slot_us + LIMIT_SLACK_US || gate_stops(&t->pass))
        task_enter_again(t);
    else
        call_now(t);
}

void task_init_pass(struct task *t)
{
    t->pass.open = on_open;
    t->pass.shut = on_shut;
}
