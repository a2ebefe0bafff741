// queue_work.c - what workers do: leases, claims, and what became of jobs.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/queue_call.h"

// --- Leases
// ------------------------------------------------------------------------------------

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
    return call_script(q, SCRIPT_REGISTER, a,
                       &(struct queue_call){.read = call_read_value,
                                            .done.value = done,
                                            .ctx = ctx,
                                            CALL_TABLE(register_codes)});
}

enum err queue_leave(struct queue *q, struct span inc, queue_done *done, void *ctx)
{
    struct args *a = script_args(q, 1, 0);
    args_add(a, inc);
    return call_script(q, SCRIPT_LEAVE, a,
                       &(struct queue_call){.read = call_read_value,
                                            .done.value = done,
                                            .ctx = ctx,
                                            CALL_TABLE(register_codes)});
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
                     queue_renew_done *done, void *ctx)
{
    struct args *a = script_args(q, 3, 2 * ARGS_INT);
    args_add(a, inc);
    args_int(a, lease_ms);
    args_uint(a, flight);
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

enum err queue_tick(struct queue *q, int64_t lease_ms, unsigned most, queue_done *done,
                    void *ctx)
{
    struct args *a = script_args(q, 2, 2 * ARGS_INT);
    args_int(a, lease_ms);
    args_uint(a, most < 1 ? 1 : most > 500 ? 500 : most);
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
    args_add(a, buf_span(&key));
    args_add(a, (struct span){text, (size_t)n});
    enum err e =
        call_command(q, ms / 1000.0 + 2, a,
                     &(struct queue_call){.read = read_woken, .done.value = done, .ctx = ctx});
    buf_free(&key);
    return e;
}

// --- Claims
// ------------------------------------------------------------------------------------

#define VISIT_HEAD 5 // list, user, nonce, total, created; then slot, ticket, input a job

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
    for (size_t i = 0; e == OK && i < reply_count(visits); i++)
        e = read_visit(reply_at(visits, i), jobs, &out->n_jobs);
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

// --- What became of them
// -----------------------------------------------------------------------

static void read_marks(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct span marks = {0};
    int64_t none;
    if (e == OK)
        e = reply_outcome(r, LEASE_CODES, &none);
    if (e == OK && (!reply_str(reply_at(r, 1), &marks) || marks.len != c->n))
        e = ERR_FORMAT;
    c->done.marks(c->ctx, e, e == OK ? marks : (struct span){0});
}

enum err queue_sent(struct queue *q, struct span inc, size_t n,
                    const struct queue_field *fields, queue_marks_done *done, void *ctx)
{
    if (n < 1 || n > QUEUE_MAX_JOBS)
        return ERR_RANGE;
    struct args *a = script_args(q, 1 + n, n * 2 * ARGS_INT);
    args_add(a, inc);
    for (size_t i = 0; i < n; i++)
        args_field(a, &fields[i]);
    return call_script(
        q, SCRIPT_SENT, a,
        &(struct queue_call){.read = read_marks, .done.marks = done, .ctx = ctx, .n = n});
}

#define FIGURES_SIZE 24

static char *put_be(char *p, uint64_t v, unsigned bytes)
{
    while (bytes-- > 0)
        *p++ = (char)(v >> (8 * bytes));
    return p;
}

// cost i64, in_tokens u32, out_tokens u32, bytes u32, images u16, unknown u8, retries u8
static void add_figures(struct args *a, const struct queue_figures *f)
{
    static const struct queue_figures none;
    char *p;
    if (memcmp(f, &none, sizeof none) == 0) {
        args_add(a, SPAN(""));
        return;
    }
    if (!(p = args_bytes(a, FIGURES_SIZE)))
        return;
    p = put_be(p, (uint64_t)f->cost_micro, 8);
    p = put_be(p, f->input_tokens, 4);
    p = put_be(p, f->output_tokens, 4);
    p = put_be(p, f->bytes, 4);
    p = put_be(p, f->images, 2);
    p = put_be(p, f->unknown, 1);
    put_be(p, f->retries, 1);
}

static void add_settle(struct args *a, const struct queue_settle *s)
{
    char *ticket;
    args_field(a, &s->field);
    char *op = args_bytes(a, 1);
    if (op)
        *op = (char)s->op;
    args_int(a, s->delay_ms);
    if ((ticket = args_bytes(a, TICKET_SIZE)))
        ticket_write(&s->ticket, ticket);
    add_figures(a, &s->figures);
    args_uint(a, s->n_events);
    for (unsigned i = 0; i < s->n_events; i++)
        args_add(a, s->events[i]);
}

// Jobs of `s` that stand together and are of one batch.
static size_t group_size(size_t n, const struct queue_settle *s)
{
    size_t i = 1;
    while (i < n && span_equal(s[i].batch, s[0].batch))
        i++;
    return i;
}

static size_t count_groups(size_t n, const struct queue_settle *s)
{
    size_t groups = 0;
    for (size_t i = 0; i < n; i += group_size(n - i, s + i))
        groups++;
    return groups;
}

// All is checked here, before the script writes anything: it could not take it back.
static enum err check_settle(size_t n, const struct queue_settle *s)
{
    if (n < 1 || n > QUEUE_MAX_JOBS)
        return ERR_RANGE;
    for (size_t i = 0; i < n; i++)
        if (s[i].n_events > QUEUE_MAX_EVENTS || !memchr("CFXRN", s[i].op, 5) ||
            s[i].delay_ms < 0 || !job_name_ok(s[i].batch))
            return ERR_RANGE;
    return OK;
}

enum err queue_settle(struct queue *q, struct span inc, uint64_t number, size_t n,
                      const struct queue_settle *s, queue_marks_done *done, void *ctx)
{
    enum err e = check_settle(n, s);
    if (e != OK)
        return e;
    size_t groups = count_groups(n, s);
    struct args *a = script_args(q, 3 + 2 * groups + (6 + QUEUE_MAX_EVENTS) * n,
                                 (2 + groups) * ARGS_INT +
                                     n * (4 * ARGS_INT + 1 + TICKET_SIZE + FIGURES_SIZE));
    args_add(a, inc);
    args_uint(a, number);
    args_uint(a, groups);
    for (size_t i = 0; i < n;) {
        size_t size = group_size(n - i, s + i);
        args_add(a, s[i].batch);
        args_uint(a, size);
        for (size_t end = i + size; i < end; i++)
            add_settle(a, &s[i]);
    }
    return call_script(
        q, SCRIPT_SETTLE, a,
        &(struct queue_call){.read = read_marks, .done.marks = done, .ctx = ctx, .n = n});
}
