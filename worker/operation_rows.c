// operation_rows.c - the answers of a batch, row by row, and what becomes of the rows that have
// none.
#include <stdio.h>
#include <string.h>

#include "common/digest.h"
#include "common/log.h"
#include "common/text.h"
#include "worker/operation_private.h"
#include "worker/sink.h"
#include "worker/task_batch.h"

#define IN_HAND 8 // rows that are checked or stored at a time

// Of the call that makes the job in this slot: the same whoever asks.
static void call_id_of(const struct op *o, unsigned slot, uint8_t out[static QUEUE_CALL_ID])
{
    uint8_t digest[DIGEST_SIZE];
    char text[64];
    snprintf(text, sizeof text, "%s.%u", o->id, slot);
    digest_of(span_of(text), digest);
    memcpy(out, digest, QUEUE_CALL_ID);
}

static void each_waiting(struct op *o, void (*act)(struct op *o, struct task *t))
{
    struct task *t = tasks_next(&o->tasks, NULL), *next;
    o->busy = true; // the last of them must not end it under our feet
    for (; t; t = next) {
        next = tasks_next(&o->tasks, t);
        if (task_row_waits(t))
            act(o, t);
    }
    o->busy = false;
}

static void answer_with_verdict(struct op *o, struct task *t)
{
    struct provider_result r = o->verdict;
    uint8_t call_id[QUEUE_CALL_ID];
    if (task_row_is_over(t)) {
        task_row_back(t, r.unknown);
        return;
    }
    call_id_of(o, task_field(t).slot, call_id);
    task_row(t, call_id, &r);
}

static void give_back(struct op *o, struct task *t)
{
    task_row_back(t, o->verdict.unknown);
}

static void settle_rest(struct op *o, void (*act)(struct op *o, struct task *t))
{
    ev_timer_stop(o->host.loop, &o->due);
    o->settling = true;
    each_waiting(o, act);
    op_look_if_done(o);
}

// Whether the provider has made more than it has given us.
static bool made_more(const struct op *o)
{
    return o->good < 0 || (uint64_t)o->good > o->delivered;
}

// All there will ever be of the rows has come.
void op_finish(struct op *o)
{
    static const struct {
        enum code code;
        const char *message;
    } why[] = {
        [REMOTE_WAITING] = {CODE_TIMEOUT, "the batch did not end"},
        [REMOTE_SUCCEEDED] = {CODE_BAD_RESPONSE, "the batch ended without an answer for it"},
        [REMOTE_FAILED] = {CODE_SERVER_ERROR, "the batch failed"},
        [REMOTE_CANCELLED] = {CODE_SERVER_ERROR, "the batch was cancelled at the provider"},
        [REMOTE_EXPIRED] = {CODE_TIMEOUT, "the batch expired before it was done"},
    };
    o->verdict = (struct provider_result){.code = why[o->state].code,
                                          .retry = RETRY_YES,
                                          .sent = true,
                                          .unknown = o->doubt || made_more(o),
                                          .message = span_of(why[o->state].message)};
    settle_rest(o, o->stop ? give_back : answer_with_verdict);
}

// Nothing was made of it at all.
void op_finish_unmade(struct op *o)
{
    o->verdict = (struct provider_result){0};
    settle_rest(o, give_back);
}

// It was refused: each job is told so.
void op_refused(struct op *o, const struct remote_reply *r)
{
    o->verdict = r->why;
    o->verdict.sent = o->verdict.unknown = false; // of the rows nothing was made
    log_warn("a batch was refused", "operation=%s code=%s why=\"%.*s\"", o->id,
             code_name(r->why.code), (int)r->why.message.len,
             r->why.message.len ? r->why.message.ptr : "");
    settle_rest(o, answer_with_verdict);
}

// --- Answers ---------------------------------------------------------------------------------

static unsigned in_hand(const struct op *o)
{
    const struct task *t = NULL;
    unsigned n = 0;
    while ((t = tasks_next(&o->tasks, t)))
        n += !task_row_waits(t);
    return n;
}

static bool has_room(struct op *o)
{
    struct buf why = {.max = 8192};
    unsigned n = in_hand(o);
    bool room = o->host.stuck == 0 && n < IN_HAND &&
                o->host.sink->ops->room(o->host.sink, n, 1, true, &why) > 0;
    buf_free(&why);
    return room;
}

static void go_on(struct op *o)
{
    if (!o->paused || !o->call)
        return;
    if (!has_room(o)) {
        op_after(o, 0.3, go_on);
        return;
    }
    o->paused = false;
    op_remote(o)->pause(o->call, false);
}

// The row of one key; NULL: it is none of ours, or was settled before.
static struct task *row_of(struct op *o, struct span key)
{
    size_t n = strlen(o->id);
    uint64_t slot;
    if (key.len < n + 2 || memcmp(key.ptr, o->id, n) != 0 || key.ptr[n] != '.' ||
        text_uint((struct span){key.ptr + n + 1, key.len - n - 1}, 1, QUEUE_MAX_JOBS, &slot) !=
            OK)
        return NULL;
    struct task *t = tasks_find(&o->tasks, (struct queue_field){1, (unsigned)slot});
    return t && task_row_waits(t) ? t : NULL;
}

static void on_row(void *ctx, struct span key, struct provider_result *r)
{
    struct op *o = ctx;
    uint8_t call_id[QUEUE_CALL_ID];
    struct task *t = row_of(o, key);
    o->delivered += r->has_usage;
    if (!t || o->lost)
        return;
    call_id_of(o, task_field(t).slot, call_id);
    r->latency_ms = (int64_t)(op_server_now(o) * 1000) - o->made_ms;
    task_row(t, call_id, r);
    if (!o->paused && !has_room(o)) {
        o->paused = true;
        op_remote(o)->pause(o->call, true);
        op_after(o, 0.3, go_on);
    }
}

static void on_fetched(void *ctx, const struct remote_reply *r)
{
    struct op *o = ctx;
    o->call = NULL;
    o->paused = false;
    ev_timer_stop(o->host.loop, &o->timer);
    if (op_stops(o))
        return;
    if (r->why.code == CODE_OK) {
        op_finish(o);
    } else if (r->gone || (o->stop && r->why.code != CODE_STORAGE)) {
        o->doubt = true;
        op_finish(o);
    } else {
        log_warn("the answers of a batch did not come whole", "operation=%s why=\"%.*s\"",
                 o->id, (int)r->why.message.len, r->why.message.len ? r->why.message.ptr : "");
        op_after(o, op_pause(o), op_fetch);
    }
}

void op_fetch(struct op *o)
{
    o->delivered = 0;
    if (!has_room(o))
        op_after(o, 1., op_fetch);
    else if (op_remote(o)->fetch(o->host.provider, o->keys, span_of(o->result), on_row,
                                 on_fetched, o, &o->call) != OK)
        op_after(o, op_pause(o), op_fetch);
}
