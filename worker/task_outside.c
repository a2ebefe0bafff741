// task_outside.c - what others do to a task: a drain, a cancellation, the loss of its lease.
#include "common/clock.h"
#include "worker/provider.h"
#include "worker/purse.h"
#include "worker/task_private.h"

static void give_back(struct task *t)
{
    ev_timer_stop(t->host->loop, &t->timer);
    gate_leave(&t->pass);
    task_release(t);
    task_say(t, QUEUE_REQUEUE, 0);
}

void task_drain(struct task *t)
{
    if (t->state == TASK_BACKLOG || t->state == TASK_GATE || t->state == TASK_PARKED ||
        t->state == TASK_GATHERED) {
        give_back(t);
    } else if (t->state == TASK_WAITING && t->noted) {
        double left = ev_timer_remaining(t->host->loop, &t->timer);
        ev_timer_stop(t->host->loop, &t->timer);
        task_say(t, QUEUE_REQUEUE, left > 0 ? (int64_t)(left * 1000) : 0);
    } else if (t->state == TASK_WAITING) {
        t->rested = true; // goes back as soon as the note is over
    }
}

static void cancelled(struct task *t, bool sent)
{
    struct event e = task_event(t, EVENT_CANCELLED);
    if (sent) {
        struct event u = task_event(t, EVENT_UNKNOWN);
        u.code = CODE_CANCELLED;
        u.message = SPAN("cancelled while the call was under way");
        u.policy = SPAN("fail");
        task_made(
            t, &(struct provider_result){.code = CODE_CANCELLED,
                                         .latency_ms = (clock_boot_us() - t->sent_us) / 1000});
        t->say.figures.unknown++;
        t->say.figures.calls++;
        task_add_event(t, &u);
    }
    task_add_event(t, &e);
    task_say(t, QUEUE_CANCELLED, 0);
}

void task_abort(struct task *t)
{
    bool sent = false;
    switch (t->state) {
    case TASK_CALLING:
        sent = t->host->provider->ops->cancel(t->host->provider, t->call);
        t->call = NULL;
        task_close_purse(t, &(struct purse_took){.sent = sent, .unknown = sent});
        gate_end(&t->pass,
                 sent ? &(struct gate_outcome){.sent_us = t->sent_us, .took = t->pass.takes}
                      : NULL);
        break;
    case TASK_WAITING:
        if (!t->noted)
            return;
        break;
    case TASK_ROW: t->over = true; return; // what its batch makes of it is still to come
    case TASK_LOOK_WAIT:
    case TASK_BACKLOG:
    case TASK_PARKED:
    case TASK_GATHERED:
    case TASK_GATE: gate_leave(&t->pass); break;
    case TASK_PURSE: gate_end(&t->pass, NULL); break;
    default:
        return; // it ends by itself: images in hand are stored, the settle finds it cancelled
    }
    ev_timer_stop(t->host->loop, &t->timer);
    task_release(t);
    cancelled(t, sent);
}

void task_lost(struct task *t)
{
    t->lost = true;
    switch (t->state) {
    case TASK_CALLING:
        if (t->call && !t->host->provider->ops->sent(t->call))
            break; // and never will be: somebody else makes it
        return;
    case TASK_CHECKING:
    case TASK_STORING:
    case TASK_STORE_WAIT:
    case TASK_REPORTING:
    case TASK_SEEKING:
    case TASK_LOOKUP: return; // ends when that has: what was paid for is stored
    default: break;
    }
    gate_leave(&t->pass);
    task_release(t);
    task_gone(t);
}
