// queue_produce.c - batches and their jobs on the way in.
#include "broker/queue_call.h"

static const struct reply_outcome create_codes[] = {
    {1, OK}, {0, ERR_EXISTS}, {-2, ERR_LIMIT}, {-3, ERR_LIMIT}};

// {1, nonce, jobs in}: the value is the third element, not the second.
static void read_created(const struct queue_call *c, enum err e, const redisReply *r)
{
    int64_t value = 0;
    if (e == OK)
        e = reply_outcome(r, create_codes, sizeof create_codes / sizeof *create_codes, &value);
    if (e == OK && !reply_int(reply_at(r, 2), &value))
        e = ERR_FORMAT;
    if (e == ERR_LIMIT && reply_int_or_zero(reply_at(r, 0)) == -3)
        value = ~value;
    c->done.value(c->ctx, e, value);
}

enum err queue_create(struct queue *q, const struct batch_options *o, queue_done *done,
                      void *ctx)
{
    if (!job_name_ok(o->batch) || (o->user.len && !job_name_ok(o->user)) || !o->digest.len ||
        !o->nonce || o->total < -1 || o->total > QUEUE_MAX_INDEX || o->keep < 0 ||
        o->max_queue < 0 || o->bytes < 0 || o->max_bytes < 0)
        return ERR_RANGE;
    struct args *a = script_args(q, 13, 8 * ARGS_INT);
    args_add(a, o->batch);
    args_add(a, (struct span){(const char *)o->nonce, 16});
    args_add(a, o->digest);
    args_int(a, o->total);
    args_add(a, o->user.len ? o->user : SPAN("default"));
    args_int(a, o->keep);
    args_str(a, o->fail_unknown ? "fail" : "retry");
    args_add(a, o->options.len ? o->options : SPAN("\x80"));
    args_int(a, o->max_queue);
    args_int(a, o->bytes);
    args_int(a, o->max_bytes);
    args_int(a, o->budget);
    args_int(a, o->cheapest);
    return call_script(
        q, SCRIPT_CREATE, a,
        &(struct queue_call){.read = read_created, .done.value = done, .ctx = ctx});
}

static const struct reply_outcome chunk_codes[] = {
    {1, OK}, {0, ERR_MISSING}, {-1, ERR_EXISTS}, {-2, ERR_ORDER}, {-3, ERR_ORDER}};

enum err queue_chunk(struct queue *q, struct span batch, uint32_t first, size_t n,
                     const struct queue_input *in, queue_done *done, void *ctx)
{
    if (n < 1 || n > QUEUE_MAX_JOBS || first > QUEUE_MAX_INDEX || first + n > QUEUE_MAX_INDEX)
        return ERR_RANGE;
    struct args *a = script_args(q, 3 + 2 * n, 2 * ARGS_INT);
    args_add(a, batch);
    args_uint(a, first);
    args_uint(a, n);
    for (size_t i = 0; i < n; i++) {
        args_str(a, in[i].route);
        args_add(a, in[i].bytes);
    }
    return call_value(q, SCRIPT_CHUNK, a, CALL_CODES(chunk_codes), done, ctx);
}

void queue_route(struct buf *out, const struct job *j)
{
    buf_addf(out, "%u/%s/", (unsigned)j->priority, job_lane_name(j->lane));
    buf_add(out, j->model);
}

static const struct reply_outcome seal_codes[] = {{1, OK}, {0, ERR_MISSING}, {-1, ERR_ORDER}};

enum err queue_seal(struct queue *q, struct span batch, uint32_t total, queue_done *done,
                    void *ctx)
{
    struct args *a = script_args(q, 2, ARGS_INT);
    args_add(a, batch);
    args_uint(a, total);
    return call_value(q, SCRIPT_SEAL, a, CALL_CODES(seal_codes), done, ctx);
}
