// queue.c - the queue's name, its keys, and tickets.
#include "broker/queue.h"

#include <stdlib.h>

#include "broker/queue_call.h"

struct queue {
    struct redis *redis; // borrowed
    double timeout;      // seconds, of one call
    struct buf prefix;   // genfarm:{NAME}:
    struct buf config;   // KEYS[1] of every script
    struct buf none;     // KEYS[2], which never exists
    int64_t ledger;      // bytes it may have
};

#define MAX_KEY (4 * JOB_MAX_NAME)

struct queue *queue_new(struct redis *r, struct span name, double timeout)
{
    struct queue *q = malloc(sizeof *q);
    if (!q)
        return NULL;
    *q = (struct queue){.redis = r,
                        .timeout = timeout,
                        .ledger = LEDGER_BYTES,
                        .prefix = {.max = MAX_KEY},
                        .config = {.max = MAX_KEY},
                        .none = {.max = MAX_KEY}};
    buf_add_str(&q->prefix, "genfarm:{");
    buf_add(&q->prefix, name);
    buf_add_str(&q->prefix, "}:");
    buf_add(&q->config, buf_span(&q->prefix));
    buf_add_str(&q->config, "cfg");
    buf_add(&q->none, buf_span(&q->prefix));
    buf_add_str(&q->none, "none");
    if (q->prefix.err || q->config.err || q->none.err) {
        queue_free(q);
        return NULL;
    }
    redis_home(r, buf_span(&q->config));
    return q;
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    buf_free(&q->prefix);
    buf_free(&q->config);
    buf_free(&q->none);
    free(q);
}

struct redis *queue_redis(struct queue *q)
{
    return q->redis;
}

void queue_keep_ledger(struct queue *q, int64_t bytes)
{
    q->ledger = bytes;
}

int64_t queue_ledger(const struct queue *q)
{
    return q->ledger;
}

double queue_timeout(const struct queue *q)
{
    return q->timeout;
}

void queue_key(const struct queue *q, struct buf *out, const char *kind, struct span rest)
{
    buf_add(out, buf_span(&q->prefix));
    buf_add_str(out, kind);
    buf_add(out, rest);
}

struct args *script_args(struct queue *q, size_t max, size_t texts)
{
    struct args *a = args_new(max + 2, texts);
    args_add(a, buf_span(&q->config));
    args_add(a, buf_span(&q->none));
    return a;
}

static void write_be(char *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (char)(v >> (8 * (bytes - 1 - i)));
}

static uint32_t read_be(const char *p, unsigned bytes)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

void ticket_write(const struct ticket *t, char out[static TICKET_SIZE])
{
    write_be(out, t->index, 4);
    write_be(out + 4, t->run, 2);
    write_be(out + 6, t->attempts, 1);
    write_be(out + 7, t->lost, 1);
    write_be(out + 8, t->limited, 2);
}

struct ticket ticket_read(const char in[static TICKET_SIZE])
{
    return (struct ticket){.index = read_be(in, 4),
                           .run = (uint16_t)read_be(in + 4, 2),
                           .attempts = (uint8_t)read_be(in + 6, 1),
                           .lost = (uint8_t)read_be(in + 7, 1),
                           .limited = (uint16_t)read_be(in + 8, 2)};
}
