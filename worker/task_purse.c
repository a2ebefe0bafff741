// task_purse.c - a task and what its user and its project may use: once the gate has said whose
// project it is, and after the call.
#include <string.h>

#include "worker/purse.h"
#include "worker/route.h"
#include "worker/task_private.h"

static void on_held(void *ctx, enum err e, int64_t now)
{
    (void)ctx, (void)e, (void)now; // else it is found again by the next call that is refused
}

// Nobody claims of the batch until there may be room again; its jobs wait, attempts untouched.
static void hold_batch(struct task *t, const struct purse_refusal *why)
{
    struct event e = task_event(t, EVENT_BLOCKED);
    struct buf words = {.max = 512}, encoded = {.max = 4096};
    bool usd = why->limit.len > 4 && memcmp(why->limit.ptr, "usd/", 4) == 0;
    buf_addf(&words, "%.*s has no room for one more call: %.*s", (int)why->account.len,
             why->account.ptr, (int)why->limit.len, why->limit.ptr);
    e.group = why->account;
    e.code = usd ? CODE_BUDGET : CODE_QUOTA_EXHAUSTED;
    e.message = buf_span(&words);
    e.until_ms = why->until_ms;
    event_encode(&encoded, &e);
    enum err held = encoded.err;
    if (held == OK)
        held =
            queue_held(t->host->queue, buf_span(&t->batch), buf_span(&t->nonce), why->account,
                       why->limit, why->until_ms, buf_span(&encoded), on_held, NULL);
    (void)held; // as in on_held()
    buf_free(&words);
    buf_free(&encoded);
}

// The project of this call has no room: others may. How long it is passed over.
#define PROJECT_S 60.0

static bool other_project(struct task *t, const struct purse_refusal *why)
{
    if (t->host->project[0] || span_is(why->account, "") || why->account.ptr[0] != 'p')
        return false; // it has but one, or it is the user's
    gate_shut(t->pass.gate, PROJECT_S);
    return route_wait(t->route) <= 0;
}

static void go_back(struct task *t)
{
    task_unsent(t);
    task_say(t, QUEUE_REQUEUE, TASK_ROOM_WAIT_MS);
}

static void told(void *ctx, enum purse_answer a, const struct purse_refusal *why)
{
    struct task *t = ctx;
    if (a == PURSE_OPEN) {
        task_mark(t);
        return;
    }
    t->purse = NULL;
    if (a == PURSE_SHUT && other_project(t, why)) {
        task_enter_again(t);
        return;
    }
    if (a == PURSE_UNPRICED) {
        task_unsent(t);
        task_unpriced(t);
        return;
    }
    if (a == PURSE_SHUT)
        hold_batch(t, why);
    go_back(t);
}

void task_enter_purse(struct task *t)
{
    bool open = false;
    t->state = TASK_PURSE;
    t->purse = purse_enter(t->host->purse, buf_span(&t->user), span_of(task_project(t)),
                           t->worst, &open, told, t);
    if (open)
        task_mark(t);
    else if (!t->purse)
        go_back(t);
}

void task_close_purse(struct task *t, const struct purse_took *took)
{
    static const struct purse_took worst = {.sent = true, .unknown = true};
    struct purse_call *c = t->purse;
    if (!took && t->named)
        took = &worst; // an operation may have begun with it: who has that tells more
    t->purse = NULL;
    t->named = t->affordable = false;
    purse_end(t->host->purse, c, took);
}

// --- Operations -----------------------------------------------------------------------------

static void told_gathered(void *ctx, enum purse_answer a, const struct purse_refusal *why)
{
    struct task *t = ctx;
    t->affordable = a == PURSE_OPEN;
    if (t->affordable)
        return;
    t->purse = NULL;
    if (a == PURSE_SHUT)
        hold_batch(t, why);
    task_release(t);
    if (a == PURSE_UNPRICED)
        task_unpriced(t);
    else
        task_say(t, QUEUE_REQUEUE, TASK_ROOM_WAIT_MS);
}

#define DAY_MS 86400000

// What it has room in is a day that is over.
static bool is_stale(const struct task *t)
{
    int64_t day = t->affordable && !t->named ? purse_day(t->purse) : 0;
    return day > 0 && day < task_host_now_ms(t->host) / DAY_MS;
}

void task_gather_purse(struct task *t)
{
    if (is_stale(t))
        task_close_purse(t, NULL);
    struct gate *g = t->purse ? NULL : route_choose(t->route);
    if (!g)
        return; // it is asked for, or all projects are closed: at the next look
    t->pass.gate = g;
    t->worst = task_worst(t);
    t->purse = purse_enter(t->host->purse, buf_span(&t->user), span_of(task_project(t)),
                           t->worst, &t->affordable, told_gathered, t);
}

// Of a worker that ends with the row in hand, nothing is told: who has the row next tells it.
void task_correct_purse(struct task *t, const struct purse_took *took)
{
    t->corrects = !took->unknown;
    t->took = *took;
}

void task_purse_settled(struct task *t)
{
    if (t->corrects)
        purse_correct(t->host->purse, buf_span(&t->user), span_of(task_project(t)),
                      task_worst(t), t->begun_ms / DAY_MS, &t->took);
    t->corrects = false;
}
