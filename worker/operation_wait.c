// operation_wait.c - waiting for the end of a batch at the provider, or ending it before.
#include "common/clock.h"
#include "common/log.h"
#include "worker/operation_private.h"
#include "worker/task_batch.h"

#define MOST_S   60.0 // between looks
#define CANCEL_S 15.0 // until a batch that does not end is given up

static void cancel(struct op *o);

// The younger, the more often; a day's batch once a minute.
static double look_delay(const struct op *o)
{
    double age = op_server_now(o) - (double)o->made_ms / 1000, delay = age / 10;
    if (o->stop)
        return 0.5;
    return delay < 0.3 ? 0.3 : delay > MOST_S ? MOST_S : delay;
}

void op_still_waiting(struct op *o)
{
    o->stop = o->stop || op_all_over(o);
    if (o->stop && o->cancel_until_us == 0) {
        o->cancel_until_us = clock_boot_us() + (int64_t)(CANCEL_S * 1e6);
        cancel(o);
    } else if (o->stop && clock_boot_us() > o->cancel_until_us) {
        o->doubt = true;
        op_finish(o);
    } else {
        op_after(o, look_delay(o), op_look);
    }
}

static void ended(struct op *o, const struct remote_reply *r)
{
    o->state = r->state;
    o->good = r->good;
    op_take_name(o->result, r->result);
    log_info("a batch ended", "operation=%s name=%s state=%d good=%lld", o->id, o->name,
             (int)r->state, (long long)r->good);
    if (o->result[0])
        op_fetch(o);
    else
        op_finish(o);
}

static void on_looked(void *ctx, const struct remote_reply *r)
{
    struct op *o = ctx;
    o->call = NULL;
    if (op_stops(o))
        return;
    if (r->why.code == CODE_OK)
        o->failures = 0;
    if (r->why.code == CODE_OK && r->state != REMOTE_WAITING) {
        ended(o, r);
    } else if (r->gone) {
        o->doubt = true;
        op_finish(o);
    } else if (r->why.code == CODE_OK || (o->stop && o->cancel_until_us)) {
        op_still_waiting(o);
    } else {
        if (o->failures == 0)
            log_warn("a batch cannot be looked at", "operation=%s code=%s why=\"%.*s\"", o->id,
                     code_name(r->why.code), (int)r->why.message.len,
                     r->why.message.len ? r->why.message.ptr : "");
        op_after(o, op_pause(o), op_look);
    }
}

void op_look(struct op *o)
{
    if (op_remote(o)->look(o->host.provider, o->keys, span_of(o->name), on_looked, o,
                           &o->call) != OK) {
        o->call = NULL;
        op_after(o, op_pause(o), op_look);
    }
}

static void on_cancelled(void *ctx, const struct remote_reply *r)
{
    struct op *o = ctx;
    (void)r; // whether it went well, its state will tell
    o->call = NULL;
    if (!op_stops(o))
        op_after(o, 0.2, op_look);
}

static void cancel(struct op *o)
{
    log_info("cancelling a batch", "operation=%s name=%s", o->id, o->name);
    if (op_remote(o)->cancel(o->host.provider, o->keys, span_of(o->name), on_cancelled, o,
                             &o->call) != OK) {
        o->call = NULL;
        op_after(o, 1., op_look);
    }
}
