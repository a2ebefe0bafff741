// queue_lead.c - asking who makes a request that several jobs share.
#include <stdlib.h>

#include "broker/queue_call.h"

static const struct reply_outcome lease_codes[] = {{1, OK}, {-1, ERR_LOST}};

static enum err read_number(const redisReply *r, uint32_t *out)
{
    int64_t v;
    if (!reply_int(r, &v) || v < 0 || v > UINT32_MAX)
        return ERR_FORMAT;
    *out = (uint32_t)v;
    return OK;
}

// 'd' and 'L': batch, index, nonce, digest of the input
static enum err read_source(const redisReply *r, struct queue_answer *a)
{
    if (!reply_str(reply_at(r, 1), &a->batch) || !job_name_ok(a->batch) ||
        !reply_str(reply_at(r, 3), &a->nonce) || read_number(reply_at(r, 2), &a->index) != OK)
        return ERR_FORMAT;
    return a->index < QUEUE_MAX_INDEX ? read_number(reply_at(r, 4), &a->input) : ERR_FORMAT;
}

// Where to look is data that somebody may have forged: without one that can be used, the call
// is made.
static enum err read_answer(const redisReply *r, struct queue_answer *a)
{
    struct span role;
    if (!reply_str(reply_at(r, 0), &role) || role.len != 1)
        return ERR_FORMAT;
    *a = (struct queue_answer){.role = (enum queue_role)role.ptr[0]};
    switch (a->role) {
    case QUEUE_LEADS:
    case QUEUE_FOLLOWS:
    case QUEUE_NOT_OURS: return OK;
    case QUEUE_SHARES_REFUSAL:
        return reply_str(reply_at(r, 1), &a->event) && reply_str(reply_at(r, 2), &a->batch)
                   ? OK
                   : ERR_FORMAT;
    case QUEUE_LEADS_LOOKING:
    case QUEUE_SHARES:
        if (read_source(r, a) != OK)
            *a = (struct queue_answer){.role = QUEUE_LEADS};
        return OK;
    }
    return ERR_FORMAT;
}

static void read_answers(const struct queue_call *c, enum err e, const redisReply *r)
{
    size_t n = reply_count(r) ? reply_count(r) - 1 : 0;
    struct queue_answer *answers = calloc(n + 1, sizeof *answers);
    int64_t none;
    if (e == OK)
        e = answers ? reply_outcome(r, lease_codes, 2, &none) : ERR_NOMEM;
    if (e == OK && n != 0 && n != c->n)
        e = ERR_FORMAT;
    for (size_t i = 0; e == OK && i < n; i++)
        e = read_answer(reply_at(r, i + 1), &answers[i]);
    c->done.answers(c->ctx, e, answers, e == OK ? n : 0);
    free(answers);
}

enum err queue_lead(struct queue *q, struct span inc, uint64_t number, size_t n,
                    const struct queue_asked *asked, queue_lead_done *done, void *ctx)
{
    if (n < 1 || n > QUEUE_MAX_ASKED)
        return ERR_RANGE;
    struct args *a = script_args(q, 2 + 5 * n, (1 + 4 * n) * ARGS_INT);
    args_add(a, inc);
    args_uint(a, number);
    for (size_t i = 0; i < n; i++) {
        args_field(a, &asked[i].field);
        args_add(a, asked[i].digest);
        args_int(a, asked[i].within_ms);
        args_uint(a, asked[i].input);
        args_add(a, asked[i].gone);
    }
    return call_script(
        q, SCRIPT_LEAD, a,
        &(struct queue_call){.read = read_answers, .done.answers = done, .ctx = ctx, .n = n});
}
