// queue_claim.c - taking jobs, and asking what is held.
#include <stdlib.h>
#include <string.h>

#include "broker/queue_call.h"

static const struct reply_outcome lease_codes[] = {{1, OK}, {-1, ERR_LOST}};
#define LEASE_CODES lease_codes, sizeof lease_codes / sizeof *lease_codes

#define VISIT_HEAD 5 // list, user, nonce, total, created; then slot, ticket, input a job

// Jobs of a visit that is malformed are not told of; whoever holds them finds that it does not
// know them, and hands them back.
static enum err read_visit(const redisReply *v, struct queue_claimed *jobs, size_t *n)
{
    struct queue_claimed head = {0};
    int64_t total, slot;
    struct span ticket;
    if (!reply_str(reply_at(v, 0), &head.list) || !reply_str(reply_at(v, 1), &head.user) ||
        !reply_str(reply_at(v, 2), &head.nonce) || !reply_int(reply_at(v, 3), &total) ||
        total < 0 || total > QUEUE_MAX_INDEX || reply_list(head.list, &head) != OK)
        return ERR_FORMAT;
    head.total = (uint32_t)total;
    head.created_ms = reply_int_or_zero(reply_at(v, 4));
    for (size_t i = VISIT_HEAD; i + 2 < reply_count(v); i += 3) {
        struct queue_claimed *job = &jobs[(*n)++];
        *job = head;
        if (!reply_int(reply_at(v, i), &slot) || slot < 0 || slot > UINT32_MAX ||
            !reply_str(reply_at(v, i + 1), &ticket) || ticket.len != TICKET_SIZE ||
            !reply_str(reply_at(v, i + 2), &job->input))
            return ERR_FORMAT;
        job->slot = (unsigned)slot;
        job->ticket = ticket_read(ticket.ptr);
    }
    return OK;
}

static size_t count_jobs(const redisReply *visits)
{
    size_t n = 0;
    for (size_t i = 0; i < reply_count(visits); i++) {
        size_t elements = reply_count(reply_at(visits, i));
        n += elements > VISIT_HEAD ? (elements - VISIT_HEAD) / 3 : 0;
    }
    return n;
}

// {1, server ms, ready pairs, visits}
static enum err read_claim(const redisReply *r, struct queue_claims *out,
                           struct queue_claimed *jobs, struct queue_ready *ready)
{
    const redisReply *visits = reply_at(r, 3);
    enum err e = reply_outcome(r, LEASE_CODES, &out->server_ms);
    if (e == OK)
        e = reply_ready(reply_at(r, 2), ready, &out->n_ready);
    if (e == OK && (!visits || visits->type != REDIS_REPLY_ARRAY))
        e = ERR_FORMAT;
    for (size_t i = 0; e == OK && i < reply_count(visits); i++) {
        size_t before = out->n_jobs;
        if (read_visit(reply_at(visits, i), jobs, &out->n_jobs) != OK)
            out->n_jobs = before;
    }
    return e;
}

static void read_claims(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct queue_claims out = {0};
    size_t n_jobs = count_jobs(reply_at(r, 3)), n_ready = reply_count(reply_at(r, 2)) / 2;
    struct queue_claimed *jobs = calloc(n_jobs + 1, sizeof *jobs);
    struct queue_ready *ready = calloc(n_ready + 1, sizeof *ready);
    if (e == OK)
        e = jobs && ready ? read_claim(r, &out, jobs, ready) : ERR_NOMEM;
    out.jobs = jobs;
    out.ready = ready;
    c->done.claims(c->ctx, e, e == OK ? &out : NULL);
    free(jobs);
    free(ready);
}

enum err queue_claim(struct queue *q, struct span inc, uint64_t seq, unsigned want, size_t n,
                     const struct span *lane_models, queue_claim_done *done, void *ctx)
{
    if (want > QUEUE_MAX_JOBS)
        return ERR_RANGE;
    struct args *a = script_args(q, 3 + n, 2 * ARGS_INT);
    args_add(a, inc);
    args_uint(a, seq);
    args_uint(a, want);
    for (size_t i = 0; i < n; i++)
        args_add(a, lane_models[i]);
    return call_script(
        q, SCRIPT_CLAIM, a,
        &(struct queue_call){.read = read_claims, .done.claims = done, .ctx = ctx});
}

// --- What is held ---------------------------------------------------------------------------

static void read_fields(const struct queue_call *c, enum err e, const redisReply *r)
{
    const redisReply *all = reply_at(r, 1);
    size_t n = reply_count(all);
    struct queue_field *fields = calloc(n + 1, sizeof *fields);
    struct span text;
    int64_t none;
    if (e == OK)
        e = fields ? reply_outcome(r, LEASE_CODES, &none) : ERR_NOMEM;
    for (size_t i = 0; e == OK && i < n; i++)
        if (!reply_str(reply_at(all, i), &text))
            e = ERR_FORMAT;
        else
            e = reply_field(text, &fields[i]);
    c->done.fields(c->ctx, e, fields, e == OK ? n : 0);
    free(fields);
}

enum err queue_mine(struct queue *q, struct span inc, queue_fields_done *done, void *ctx)
{
    struct args *a = script_args(q, 2, ARGS_INT);
    args_add(a, inc);
    args_uint(a, QUEUE_MAX_JOBS);
    return call_script(
        q, SCRIPT_MINE, a,
        &(struct queue_call){.read = read_fields, .done.fields = done, .ctx = ctx});
}

enum err queue_open(struct queue *q, struct span inc, size_t n,
                    const struct queue_field *fields, queue_marks_done *done, void *ctx)
{
    if (n < 1 || n > QUEUE_MAX_JOBS)
        return ERR_RANGE;
    struct args *a = script_args(q, 2 + n, (n + 1) * 2 * ARGS_INT);
    args_add(a, inc);
    args_uint(a, 0);
    for (size_t i = 0; i < n; i++)
        args_field(a, &fields[i]);
    return call_script(
        q, SCRIPT_MINE, a,
        &(struct queue_call){.read = call_read_marks, .done.marks = done, .ctx = ctx, .n = n});
}

enum err queue_handback(struct queue *q, struct span inc, size_t n,
                        const struct queue_field *fields, queue_done *done, void *ctx)
{
    if (n < 1 || n > QUEUE_MAX_JOBS)
        return ERR_RANGE;
    struct args *a = script_args(q, 1 + n, n * 2 * ARGS_INT);
    args_add(a, inc);
    for (size_t i = 0; i < n; i++)
        args_field(a, &fields[i]);
    return call_value(q, SCRIPT_HANDBACK, a, CALL_CODES(lease_codes), done, ctx);
}
