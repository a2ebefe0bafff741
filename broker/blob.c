// blob.c - see blob.h.
#include "broker/blob.h"

#include <inttypes.h>
#include <stdlib.h>

#include "broker/queue_call.h"

#define MAX_KEY   1024
#define MAX_IMAGE 64
#define TEMP_LIFE "3600" // seconds
#define TRIM_JOBS 100    // whose images go in one call

void blob_name(struct buf *out, struct span batch, uint32_t index)
{
    buf_add(out, batch);
    buf_addf(out, "/%" PRIu32, index);
}

// A plain command on the key o:NAME.
static struct args *key_args(struct queue *q, struct buf *key, const char *command,
                             struct span name, size_t max, size_t texts)
{
    struct args *a = args_new(max + 2, texts);
    queue_key(q, key, "o:", name);
    args_str(a, command);
    args_buf(a, key);
    return a;
}

static const struct reply_outcome push_codes[] = {{1, OK}};

enum err blob_push(struct queue *q, struct span temp, struct span chunk, queue_done *done,
                   void *ctx)
{
    struct args *a = script_args(q, 3, 0);
    args_add(a, temp);
    args_add(a, chunk);
    args_str(a, TEMP_LIFE);
    return call_value(q, SCRIPT_BLOB_PUSH, a, CALL_CODES(push_codes), done, ctx);
}

static void read_kept(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct span record = {0};
    int64_t code = 0;
    if (e == OK && (!reply_int(reply_at(r, 0), &code) ||
                    (code == 0 && !reply_str(reply_at(r, 1), &record))))
        e = ERR_FORMAT;
    c->done.blob(c->ctx, e, record);
}

enum err blob_keep(struct queue *q, struct span name, struct span record, int64_t bytes,
                   int64_t spare_s, size_t n, const struct span *temps, blob_done *done,
                   void *ctx)
{
    if (n > MAX_IMAGE)
        return ERR_RANGE;
    struct args *a = script_args(q, 4 + n, 2 * ARGS_INT);
    args_add(a, name);
    args_add(a, record);
    args_int(a, bytes);
    args_int(a, spare_s);
    for (size_t i = 0; i < n; i++)
        args_add(a, temps[i]);
    return call_script(q, SCRIPT_BLOB, a,
                       &(struct queue_call){.read = read_kept, .done.blob = done, .ctx = ctx});
}

static void read_found(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct span record = {0};
    if (e == OK && reply_nil(r))
        e = ERR_MISSING;
    else if (e == OK && !reply_str(r, &record))
        e = ERR_FORMAT;
    c->done.blob(c->ctx, e, record);
}

enum err blob_find(struct queue *q, struct span name, blob_done *done, void *ctx)
{
    struct buf key = {.max = MAX_KEY};
    struct args *a = key_args(q, &key, "GET", name, 0, 0);
    enum err e =
        call_command(q, queue_timeout(q), a,
                     &(struct queue_call){.read = read_found, .done.blob = done, .ctx = ctx});
    buf_free(&key);
    return e;
}

static void read_chunks(const struct queue_call *c, enum err e, const redisReply *r)
{
    size_t n = reply_count(r);
    struct span *chunks = calloc(n + 1, sizeof *chunks);
    if (e == OK && !chunks)
        e = ERR_NOMEM;
    if (e == OK && r->type != REDIS_REPLY_ARRAY)
        e = ERR_FORMAT;
    for (size_t i = 0; e == OK && i < n; i++)
        if (!reply_str(reply_at(r, i), &chunks[i]))
            e = ERR_FORMAT;
    c->done.chunks(c->ctx, e, chunks, e == OK ? n : 0);
    free(chunks);
}

enum err blob_read(struct queue *q, struct span name, unsigned image, uint32_t first,
                   unsigned most, blob_chunks_done *done, void *ctx)
{
    struct buf of = {.max = MAX_KEY};
    buf_add(&of, name);
    buf_addf(&of, "/%u", image);
    struct buf key = {.max = MAX_KEY, .err = of.err};
    struct args *a = key_args(q, &key, "LRANGE", buf_span(&of), 2, 2 * ARGS_INT);
    args_uint(a, first);
    args_uint(a, (uint64_t)first + (most ? most : 1) - 1);
    enum err e = call_command(
        q, queue_timeout(q), a,
        &(struct queue_call){.read = read_chunks, .done.chunks = done, .ctx = ctx});
    buf_free(&key);
    buf_free(&of);
    return e;
}

static const struct reply_outcome copy_codes[] = {{1, OK}, {0, ERR_MISSING}};

enum err blob_copy(struct queue *q, struct span name, unsigned image, struct span temp,
                   queue_done *done, void *ctx)
{
    struct buf of = {.max = MAX_KEY};
    buf_add(&of, name);
    buf_addf(&of, "/%u", image);
    struct args *a = script_args(q, 3, 0);
    args_buf(a, &of);
    args_add(a, temp);
    args_str(a, TEMP_LIFE);
    enum err e = call_value(q, SCRIPT_BLOB_COPY, a, CALL_CODES(copy_codes), done, ctx);
    buf_free(&of);
    return e;
}

static void read_dropped(const struct queue_call *c, enum err e, const redisReply *r)
{
    int64_t code = 0;
    if (e == OK && !reply_int(reply_at(r, 0), &code))
        e = ERR_FORMAT;
    c->done.value(c->ctx, e, code);
}

enum err blob_drop(struct queue *q, struct span name, queue_done *done, void *ctx)
{
    struct args *a = script_args(q, 1, 0);
    args_add(a, name);
    return call_script(
        q, SCRIPT_BLOB_DROP, a,
        &(struct queue_call){.read = read_dropped, .done.value = done, .ctx = ctx});
}

static void read_stock(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct blob_stock s = {0};
    int64_t *const numbers[] = {&s.stored, &s.ended, &s.jobs, &s.bytes};
    int64_t code = 0;
    if (e == OK && (!reply_int(reply_at(r, 0), &code) || code != 1 ||
                    !reply_str(reply_at(r, 5), &s.batch)))
        e = ERR_FORMAT;
    for (size_t i = 0; e == OK && i < sizeof numbers / sizeof *numbers; i++)
        if (!reply_int(reply_at(r, i + 1), numbers[i]))
            e = ERR_FORMAT;
    if (e != OK)
        s = (struct blob_stock){0};
    c->done.stock(c->ctx, e, &s);
}

enum err blob_trim(struct queue *q, const struct blob_bounds *b, blob_stock_done *done,
                   void *ctx)
{
    struct args *a = script_args(q, 5, 5 * ARGS_INT);
    args_int(a, b->keep_ms);
    args_int(a, b->most_ended);
    args_int(a, b->most_stored);
    args_int(a, b->calm_ms);
    args_int(a, TRIM_JOBS);
    return call_script(
        q, SCRIPT_BLOB_TRIM, a,
        &(struct queue_call){.read = read_stock, .done.stock = done, .ctx = ctx});
}
