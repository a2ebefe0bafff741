// queue_lease.c - what workers do beside jobs: leases, housekeeping, waiting for work.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/queue_call.h"

// --- Leases ---------------------------------------------------------------------------------

static const struct reply_outcome register_codes[] = {{1, OK}, {0, ERR_ORDER}};

enum err queue_register(struct queue *q, struct span inc, int64_t lease_ms, size_t n,
                        const struct queue_fact *facts, queue_done *done, void *ctx)
{
    struct args *a = script_args(q, 2 + 2 * n, ARGS_INT);
    args_add(a, inc);
    args_int(a, lease_ms);
    for (size_t i = 0; i < n; i++) {
        args_str(a, facts[i].name);
        args_add(a, facts[i].value);
    }
    return call_value(q, SCRIPT_REGISTER, a, CALL_CODES(register_codes), done, ctx);
}

enum err queue_leave(struct queue *q, struct span inc, queue_done *done, void *ctx)
{
    struct args *a = script_args(q, 1, 0);
    args_add(a, inc);
    return call_value(q, SCRIPT_LEAVE, a, CALL_CODES(register_codes), done, ctx);
}

enum err queue_void(struct queue *q, size_t n, const struct span *incs, queue_done *done,
                    void *ctx)
{
    struct args *a = script_args(q, n, 0);
    for (size_t i = 0; i < n; i++)
        args_add(a, incs[i]);
    return call_value(q, SCRIPT_VOID, a, CALL_CODES(register_codes), done, ctx);
}

static const struct reply_outcome lease_codes[] = {{1, OK}, {-1, ERR_LOST}};
#define LEASE_CODES lease_codes, sizeof lease_codes / sizeof *lease_codes

// {1, server ms, active jobs, ready pairs, cancelled batches}
static enum err read_renewal(const redisReply *r, struct queue_renewed *out,
                             struct queue_ready *ready, struct span *cancelled)
{
    const redisReply *names = reply_at(r, 4);
    enum err e = reply_outcome(r, LEASE_CODES, &out->server_ms);
    if (e != OK)
        return e;
    if (!reply_int(reply_at(r, 2), &out->active) || !names || names->type != REDIS_REPLY_ARRAY)
        return ERR_FORMAT;
    if ((e = reply_ready(reply_at(r, 3), ready, &out->n_ready)) != OK)
        return e;
    for (out->n_cancelled = 0; out->n_cancelled < reply_count(names); out->n_cancelled++)
        if (!reply_str(reply_at(names, out->n_cancelled), &cancelled[out->n_cancelled]))
            return ERR_FORMAT;
    return OK;
}

static void read_renewed(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct queue_renewed out = {0};
    size_t n_ready = reply_count(reply_at(r, 3)) / 2, n_names = reply_count(reply_at(r, 4));
    struct queue_ready *ready = calloc(n_ready + 1, sizeof *ready);
    struct span *names = calloc(n_names + 1, sizeof *names);
    if (e == OK)
        e = ready && names ? read_renewal(r, &out, ready, names) : ERR_NOMEM;
    out.ready = ready;
    out.cancelled = names;
    c->done.renewed(c->ctx, e, e == OK ? &out : NULL);
    free(ready);
    free(names);
}

enum err queue_renew(struct queue *q, struct span inc, int64_t lease_ms, unsigned flight,
                     struct span limits, queue_renew_done *done, void *ctx)
{
    struct args *a = script_args(q, 4, 2 * ARGS_INT);
    args_add(a, inc);
    args_int(a, lease_ms);
    args_uint(a, flight);
    args_add(a, limits);
    return call_script(
        q, SCRIPT_RENEW, a,
        &(struct queue_call){.read = read_renewed, .done.renewed = done, .ctx = ctx});
}

// {1, server ms, promoted, reaped, cancelled, purged}
static void read_tick(const struct queue_call *c, enum err e, const redisReply *r)
{
    int64_t sum = 0, n = 0;
    if (e == OK)
        e = reply_outcome(r, LEASE_CODES, &n);
    for (size_t i = 2; e == OK && i < 6; i++) {
        if (!reply_int(reply_at(r, i), &n) || n < 0 || n > INT32_MAX)
            e = ERR_FORMAT;
        else
            sum += n;
    }
    c->done.value(c->ctx, e, e == OK ? sum : 0);
}

enum err queue_tick(struct queue *q, unsigned most, queue_done *done, void *ctx)
{
    struct args *a = script_args(q, 2, 2 * ARGS_INT);
    args_uint(a, most < 1 ? 1 : most > 500 ? 500 : most);
    args_int(a, queue_ledger(q));
    return call_script(q, SCRIPT_TICK, a,
                       &(struct queue_call){.read = read_tick, .done.value = done, .ctx = ctx});
}

static void read_woken(const struct queue_call *c, enum err e, const redisReply *r)
{
    c->done.value(c->ctx, e, e == OK && !reply_nil(r));
}

enum err queue_wait(struct queue *q, double seconds, queue_done *done, void *ctx)
{
    struct buf key = {.max = 1024};
    struct args *a = args_new(3, 64);
    queue_key(q, &key, "wake", (struct span){0});
    unsigned ms = seconds >= 3600 ? 3600 * 1000u : (unsigned)(fmax(seconds, 0.01) * 1000);
    char text[32]; // never 0, which would be for ever; no %f, which follows the locale
    int n = snprintf(text, sizeof text, "%u.%03u", ms / 1000, ms % 1000);
    args_str(a, "BLPOP");
    args_buf(a, &key);
    args_add(a, (struct span){text, (size_t)n});
    enum err e =
        call_command(q, ms / 1000.0 + 2, a,
                     &(struct queue_call){.read = read_woken, .done.value = done, .ctx = ctx});
    buf_free(&key);
    return e;
}
