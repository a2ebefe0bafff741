// queue_jobs.c - looking at the jobs of a batch: events, inputs, states. Plain commands.
#include <inttypes.h>
#include <stdlib.h>

#include "broker/queue_call.h"

// --- Events ---------------------------------------------------------------------------------

// ["17-0", ["e", bytes]]
static enum err read_event(const redisReply *r, struct queue_event *out)
{
    const redisReply *pair = reply_at(r, 1);
    if (!reply_str(reply_at(r, 0), &out->event_id) || reply_count(pair) != 2 ||
        !reply_str(reply_at(pair, 1), &out->bytes) ||
        reply_event_id(out->event_id, &out->number) != OK)
        return ERR_FORMAT;
    return OK;
}

// [[key, [event, ...]]], or nil
static void read_events(const struct queue_call *c, enum err e, const redisReply *r)
{
    const redisReply *list = reply_at(reply_at(r, 0), 1);
    size_t n = reply_count(list);
    struct queue_event *events = calloc(n + 1, sizeof *events);
    if (e == OK && !events)
        e = ERR_NOMEM;
    if (e == OK && !reply_nil(r) && (reply_count(r) != 1 || !list))
        e = ERR_FORMAT;
    for (size_t i = 0; e == OK && i < n; i++)
        e = read_event(reply_at(list, i), &events[i]);
    c->done.events(c->ctx, e, events, e == OK ? n : 0);
    free(events);
}

enum err queue_events(struct queue *q, struct span batch, uint64_t after, unsigned most,
                      double block, queue_events_done *done, void *ctx)
{
    struct buf key = {.max = ARGS_KEY}, from = {.max = 64};
    struct args *a = args_new(8, 2 * ARGS_INT);
    queue_key(q, &key, "ev:", batch);
    buf_addf(&from, "%" PRIu64 "-0", after);
    args_str(a, "XREAD");
    args_str(a, "COUNT");
    args_uint(a, most ? most : 1);
    if (block > 0) {
        args_str(a, "BLOCK");
        args_int(a, block < 0.001 ? 1 : (int64_t)(block * 1000)); // 0 would be for ever
    }
    args_str(a, "STREAMS");
    args_buf(a, &key);
    args_buf(a, &from);
    enum err e = call_command(
        q, block > 0 ? block + 2 : queue_timeout(q), a,
        &(struct queue_call){.read = read_events, .done.events = done, .ctx = ctx});
    buf_free(&key);
    buf_free(&from);
    return e;
}

// --- Inputs and states ----------------------------------------------------------------------

static void read_inputs(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct span *inputs = e == OK ? call_strings(r, true, &e) : NULL;
    if (e == OK && reply_count(r) != c->n)
        e = ERR_FORMAT;
    c->done.inputs(c->ctx, e, inputs, e == OK ? c->n : 0);
    free(inputs);
}

enum err queue_inputs(struct queue *q, struct span batch, size_t n, const uint32_t *indexes,
                      queue_inputs_done *done, void *ctx)
{
    struct buf key;
    if (n < 1 || n > QUEUE_MAX_JOBS)
        return ERR_RANGE;
    struct args *a = args_of_key(q, &key, "HMGET", "in:", batch, n, n * ARGS_INT);
    for (size_t i = 0; i < n; i++)
        args_uint(a, indexes[i]);
    enum err e = call_command(
        q, queue_timeout(q), a,
        &(struct queue_call){.read = read_inputs, .done.inputs = done, .ctx = ctx, .n = n});
    buf_free(&key);
    return e;
}

// Two bits a job, the first in the highest bits. What was never written is 0, open.
static void unpack(struct span bytes, uint32_t first, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        size_t job = first % 4 + i;
        unsigned char byte = job / 4 < bytes.len ? (unsigned char)bytes.ptr[job / 4] : 0;
        out[i] = byte >> (6 - 2 * (job % 4)) & 3;
    }
}

static void read_states(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct span bytes = {0};
    uint8_t *states = e == OK ? malloc(c->n) : NULL;
    if (e == OK && !states)
        e = ERR_NOMEM;
    if (e == OK && !reply_str(r, &bytes))
        e = ERR_FORMAT;
    if (e == OK)
        unpack(bytes, c->first, c->n, states);
    c->done.states(c->ctx, e, states, e == OK ? c->n : 0);
    free(states);
}

enum err queue_states(struct queue *q, struct span batch, uint32_t first, size_t n,
                      queue_states_done *done, void *ctx)
{
    struct buf key;
    if (n < 1 || n > QUEUE_MAX_INDEX || first > QUEUE_MAX_INDEX)
        return ERR_RANGE;
    struct args *a = args_of_key(q, &key, "GETRANGE", "st:", batch, 2, 2 * ARGS_INT);
    args_uint(a, first / 4);
    args_uint(a, (first + n - 1) / 4);
    enum err e = call_command(
        q, queue_timeout(q), a,
        &(struct queue_call){
            .read = read_states, .done.states = done, .ctx = ctx, .n = n, .first = first});
    buf_free(&key);
    return e;
}
