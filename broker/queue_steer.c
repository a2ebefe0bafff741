// queue_steer.c - cancelling, opening again, pausing.
#include "broker/queue_call.h"

#define CANCEL_CHUNK 500 // jobs of a whole batch that end in one call
#define MAX_REOPEN   400

static const struct reply_outcome found_codes[] = {{1, OK}, {0, ERR_MISSING}};

// {1, cancelled now, 1 when more is left}
static void read_cancelled(const struct queue_call *c, enum err e, const redisReply *r)
{
    int64_t n = 0;
    if (e == OK)
        e = reply_outcome(r, found_codes, sizeof found_codes / sizeof *found_codes, &n);
    if (e == OK && (n < 0 || !reply_at(r, 2)))
        e = ERR_FORMAT;
    if (e == OK && reply_int_or_zero(reply_at(r, 2)) == 1)
        n = ~n;
    c->done.value(c->ctx, e, n);
}

enum err queue_cancel(struct queue *q, struct span batch, size_t n, const uint32_t *indexes,
                      queue_done *done, void *ctx)
{
    if (n > QUEUE_MAX_JOBS)
        return ERR_RANGE;
    struct args *a = script_args(q, 2 + n, (1 + n) * ARGS_INT);
    args_add(a, batch);
    args_uint(a, CANCEL_CHUNK);
    for (size_t i = 0; i < n; i++)
        args_uint(a, indexes[i]);
    return call_script(
        q, SCRIPT_CANCEL, a,
        &(struct queue_call){.read = read_cancelled, .done.value = done, .ctx = ctx});
}

static const struct reply_outcome retry_codes[] = {{1, OK}, {0, ERR_MISSING}, {-1, ERR_ORDER}};

enum err queue_retry(struct queue *q, struct span batch, uint16_t run, size_t n,
                     const struct queue_reopen *jobs, queue_done *done, void *ctx)
{
    if (n < 1 || n > MAX_REOPEN)
        return ERR_RANGE;
    struct args *a = script_args(q, 2 + 2 * n, (1 + n) * ARGS_INT);
    args_add(a, batch);
    args_uint(a, run);
    for (size_t i = 0; i < n; i++) {
        args_uint(a, jobs[i].index);
        args_str(a, jobs[i].route);
    }
    return call_value(q, SCRIPT_RETRY, a, CALL_CODES(retry_codes), done, ctx);
}

enum err queue_pause(struct queue *q, struct span batch, bool on, queue_done *done, void *ctx)
{
    struct args *a = script_args(q, 2, 0);
    args_add(a, batch);
    args_str(a, on ? "1" : "0");
    return call_value(q, SCRIPT_PAUSE, a, CALL_CODES(found_codes), done, ctx);
}

static const struct reply_outcome budget_codes[] = {{1, OK}, {0, ERR_MISSING}};

enum err queue_budget(struct queue *q, struct span batch, int64_t micro, queue_done *done,
                      void *ctx)
{
    if (!job_name_ok(batch) || micro < 0)
        return ERR_RANGE;
    struct args *a = script_args(q, 2, ARGS_INT);
    args_add(a, batch);
    args_int(a, micro);
    return call_value(q, SCRIPT_BUDGET, a, CALL_CODES(budget_codes), done, ctx);
}

enum err queue_held(struct queue *q, struct span batch, struct span nonce, struct span account,
                    struct span limit, int64_t until_ms, struct span event, queue_done *done,
                    void *ctx)
{
    struct args *a = script_args(q, 7, ARGS_INT);
    args_str(a, "hold");
    args_add(a, batch);
    args_add(a, nonce);
    args_add(a, account);
    args_add(a, limit);
    args_int(a, until_ms);
    args_add(a, event);
    return call_value(q, SCRIPT_HELD, a, CALL_CODES(found_codes), done, ctx);
}

enum err queue_unheld(struct queue *q, struct span account, queue_done *done, void *ctx)
{
    struct args *a = script_args(q, 2, 0);
    args_str(a, "free");
    args_add(a, account);
    return call_value(q, SCRIPT_HELD, a, CALL_CODES(found_codes), done, ctx);
}
