// queue_watch.c - looking at batches, workers and what is ready. Plain commands, but one.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/queue_call.h"

#define MAX_NUMBER (1ll << 53) // what Lua counts to

// --- Batches --------------------------------------------------------------------------------

static const struct field {
    const char *name;
    size_t offset;
    // JOBS: how many; TOTAL: that, or -1; PRESENT: true when the field is there
    // MAYBE: a text, empty when it is not there
    enum { TEXT, MAYBE, NUMBER, JOBS, TOTAL, FLAG, PRESENT } kind;
} fields[] = {
#define F(name, kind, member)                            \
    {                                                    \
        name, offsetof(struct queue_batch, member), kind \
    }
    F("nonce", TEXT, nonce),
    F("user", TEXT, user),
    F("options", TEXT, options),
    F("digest", TEXT, digest),
    F("total", TOTAL, total),
    F("hw", JOBS, in),
    F("open", JOBS, open),
    F("completed", JOBS, completed),
    F("failed", JOBS, failed),
    F("cancelled", JOBS, cancelled),
    F("refused", JOBS, refused),
    F("seal_at", JOBS, expected),
    F("cost", NUMBER, cost_micro),
    F("calls", NUMBER, calls),
    F("images", NUMBER, images),
    F("in_tokens", NUMBER, input_tokens),
    F("out_tokens", NUMBER, output_tokens),
    F("bytes", NUMBER, bytes),
    F("retries", NUMBER, retries),
    F("unknown", NUMBER, possible_double_bill),
    F("budget", NUMBER, budget_micro),
    F("reserved", NUMBER, reserved_micro),
    F("spent", NUMBER, spent_micro),
    F("created", NUMBER, created_ms),
    F("done_at", NUMBER, done_ms),
    F("gone", NUMBER, images_gone),
    F("ev", NUMBER, last_event),
    F("run", NUMBER, run),
    F("sealed", FLAG, sealed),
    F("inbox", PRESENT, pushed),
    F("paused", PRESENT, paused),
    F("paused", MAYBE, paused_by),
    F("blocked_by", MAYBE, blocked_by),
    F("cancel", PRESENT, cancelling),
#undef F
};
#define N_FIELDS (sizeof fields / sizeof *fields)

static enum err read_field(const redisReply *r, const struct field *f, struct queue_batch *b)
{
    void *at = (char *)b + f->offset;
    int64_t v = 0;
    switch (f->kind) {
    case TEXT: return reply_str(r, at) ? OK : ERR_FORMAT;
    case MAYBE: return reply_nil(r) || reply_str(r, at) ? OK : ERR_FORMAT;
    case PRESENT: *(bool *)at = !reply_nil(r); return OK;
    default: break;
    }
    if (!reply_nil(r) && !reply_int(r, &v))
        return ERR_FORMAT;
    bool jobs = f->kind == JOBS || f->kind == TOTAL;
    int64_t most = jobs ? QUEUE_MAX_INDEX : MAX_NUMBER;
    if (v > most || v < (f->kind == JOBS ? 0 : f->kind == TOTAL ? -1 : -most))
        return ERR_FORMAT;
    if (f->kind == FLAG)
        *(bool *)at = v != 0;
    else
        *(int64_t *)at = v;
    return OK;
}

static enum err read_batch(const redisReply *r, struct queue_batch *b)
{
    if (reply_count(r) != N_FIELDS)
        return ERR_FORMAT;
    if (reply_nil(reply_at(r, 0)))
        return ERR_MISSING;
    for (size_t i = 0; i < N_FIELDS; i++) {
        enum err e = read_field(reply_at(r, i), &fields[i], b);
        if (e != OK)
            return e;
    }
    return OK;
}

static void read_status(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct queue_batch b = {.batch = {c->name, c->name_len}};
    if (e == OK)
        e = read_batch(r, &b);
    c->done.batch(c->ctx, e, e == OK ? &b : NULL);
}

enum err queue_status(struct queue *q, struct span batch, queue_batch_done *done, void *ctx)
{
    struct buf key;
    struct queue_call c = {.read = read_status, .done.batch = done, .ctx = ctx};
    if (!job_name_ok(batch))
        return ERR_RANGE;
    c.name_len = batch.len;
    memcpy(c.name, batch.ptr, batch.len);
    struct args *a = args_of_key(q, &key, "HMGET", "b:", batch, N_FIELDS, 0);
    for (size_t i = 0; i < N_FIELDS; i++)
        args_str(a, fields[i].name);
    enum err e = call_command(q, queue_timeout(q), a, &c);
    buf_free(&key);
    return e;
}

static void read_number(const struct queue_call *c, enum err e, const redisReply *r)
{
    int64_t value = 0;
    if (e == OK && !reply_int(r, &value))
        e = ERR_FORMAT;
    c->done.value(c->ctx, e, value);
}

enum err queue_is_paused(struct queue *q, queue_done *done, void *ctx)
{
    struct buf key;
    struct args *a = args_of_key(q, &key, "HEXISTS", "cfg", SPAN(""), 1, 0);
    args_str(a, "paused");
    enum err e =
        call_command(q, queue_timeout(q), a,
                     &(struct queue_call){.read = read_number, .done.value = done, .ctx = ctx});
    buf_free(&key);
    return e;
}

enum err queue_list(struct queue *q, unsigned most, queue_names_done *done, void *ctx)
{
    struct buf key;
    struct args *a = args_of_key(q, &key, "ZREVRANGE", "batches", SPAN(""), 2, ARGS_INT);
    args_str(a, "0");
    args_int(a, most ? (int64_t)most - 1 : 0);
    enum err e = call_command(
        q, queue_timeout(q), a,
        &(struct queue_call){.read = call_read_names, .done.names = done, .ctx = ctx});
    buf_free(&key);
    return e;
}

enum err queue_usage(struct queue *q, int64_t day, queue_names_done *done, void *ctx)
{
    struct buf key;
    char name[24];
    snprintf(name, sizeof name, "%" PRId64, day);
    struct args *a = args_of_key(q, &key, "HGETALL", "use:", span_of(name), 0, 0);
    enum err e = call_command(
        q, queue_timeout(q), a,
        &(struct queue_call){.read = call_read_names, .done.names = done, .ctx = ctx});
    buf_free(&key);
    return e;
}

// --- Workers --------------------------------------------------------------------------------

// [inc, lease's end, host, pid, concurrency, flight, version, sink, since, limits, projects];
// nil where unknown
static enum err read_worker(const redisReply *r, struct queue_worker *w)
{
    struct span *texts[] = {&w->host,   &w->pid,     &w->concurrency,
                            &w->flight, &w->version, &w->sink};
    if (!reply_str(reply_at(r, 0), &w->inc) || !reply_int(reply_at(r, 1), &w->lease_ends_ms))
        return ERR_FORMAT;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!reply_str(reply_at(r, 2 + i), texts[i]) && !reply_nil(reply_at(r, 2 + i)))
            return ERR_FORMAT;
    if (w->flight.len == 0) // told by the first renewal only
        w->flight = SPAN("0");
    w->since_ms = reply_int_or_zero(reply_at(r, 8));
    if (!reply_str(reply_at(r, 9), &w->limits) && !reply_nil(reply_at(r, 9)))
        return ERR_FORMAT;
    if (!reply_str(reply_at(r, 10), &w->projects) && !reply_nil(reply_at(r, 10)))
        return ERR_FORMAT;
    return OK;
}

static void read_workers(const struct queue_call *c, enum err e, const redisReply *r)
{
    size_t n = reply_count(r);
    struct queue_worker *w = calloc(n + 1, sizeof *w);
    if (e == OK && !w)
        e = ERR_NOMEM;
    if (e == OK && r->type != REDIS_REPLY_ARRAY)
        e = ERR_FORMAT;
    for (size_t i = 0; e == OK && i < n; i++)
        e = read_worker(reply_at(r, i), &w[i]);
    c->done.workers(c->ctx, e, w, e == OK ? n : 0);
    free(w);
}

enum err queue_workers(struct queue *q, queue_workers_done *done, void *ctx)
{
    return call_script(
        q, SCRIPT_WORKERS, script_args(q, 0, 0),
        &(struct queue_call){.read = read_workers, .done.workers = done, .ctx = ctx});
}

static void read_counts(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct queue_claims out = {0};
    struct queue_ready *ready = calloc(reply_count(r) / 2 + 1, sizeof *ready);
    if (e == OK)
        e = ready ? reply_ready(r, ready, &out.n_ready) : ERR_NOMEM;
    out.ready = ready;
    c->done.claims(c->ctx, e, e == OK ? &out : NULL);
    free(ready);
}

enum err queue_ready_counts(struct queue *q, queue_claim_done *done, void *ctx)
{
    struct buf key;
    struct args *a = args_of_key(q, &key, "HGETALL", "ready", SPAN(""), 0, 0);
    enum err e = call_command(
        q, queue_timeout(q), a,
        &(struct queue_call){.read = read_counts, .done.claims = done, .ctx = ctx});
    buf_free(&key);
    return e;
}
