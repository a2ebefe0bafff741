// queue_call.c - see queue_call.h.
#include "broker/queue_call.h"

#include <stdlib.h>

struct args *args_of_key(struct queue *q, struct buf *key, const char *command,
                         const char *kind, struct span rest, size_t max, size_t texts)
{
    struct args *a = args_new(max + 2, texts);
    *key = (struct buf){.max = ARGS_KEY};
    queue_key(q, key, kind, rest);
    args_str(a, command);
    args_buf(a, key);
    return a;
}

struct span *call_strings(const redisReply *r, bool holes, enum err *e)
{
    size_t n = reply_count(r);
    struct span *out = calloc(n + 1, sizeof *out);
    if (!out)
        *e = ERR_NOMEM;
    else if (!r || r->type != REDIS_REPLY_ARRAY)
        *e = ERR_FORMAT;
    for (size_t i = 0; *e == OK && i < n; i++) {
        const redisReply *s = reply_at(r, i);
        if (!reply_str(s, &out[i]) && !(holes && reply_nil(s)))
            *e = ERR_FORMAT;
    }
    return out;
}

void call_read_names(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct span *names = e == OK ? call_strings(r, false, &e) : NULL;
    c->done.names(c->ctx, e, names, e == OK ? reply_count(r) : 0);
    free(names);
}

static void read_value(const struct queue_call *c, enum err e, const redisReply *r)
{
    int64_t value = 0;
    if (e == OK)
        e = reply_outcome(r, c->table, c->n_table, &value);
    c->done.value(c->ctx, e, value);
}

static const struct reply_outcome marks_codes[] = {{1, OK}, {-1, ERR_LOST}};

void call_read_marks(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct span marks = {0};
    int64_t none;
    if (e == OK)
        e = reply_outcome(r, marks_codes, 2, &none);
    if (e == OK && (!reply_str(reply_at(r, 1), &marks) || marks.len != c->n))
        e = ERR_FORMAT;
    c->done.marks(c->ctx, e, e == OK ? marks : (struct span){0});
}

// An answer that carries an error is told as that error; what is in it stays in the log of the
// connection.
static void answered(void *ctx, enum err e, const redisReply *r)
{
    struct queue_call *c = ctx;
    c->read(c, e, e == OK ? r : NULL);
    free(c);
}

// What the answer is told by; takes `a` when it fails.
static enum err copy(const struct queue_call *c, struct args *a, struct queue_call **out)
{
    enum err e = !a ? ERR_NOMEM : a->err;
    *out = e == OK ? malloc(sizeof **out) : NULL;
    if (*out) {
        **out = *c;
        return OK;
    }
    free(a);
    return e == OK ? ERR_NOMEM : e;
}

static enum err finish(enum err e, struct queue_call *copy, struct args *a)
{
    if (e != OK)
        free(copy);
    free(a);
    return e;
}

enum err call_script(struct queue *q, enum queue_script s, struct args *a,
                     const struct queue_call *c)
{
    struct queue_call *told;
    enum err e = copy(c, a, &told);
    if (e != OK)
        return e;
    e = redis_eval(queue_redis(q), queue_timeout(q), answered, told, queue_script(s), 2, a->n,
                   a->v);
    return finish(e, told, a);
}

enum err call_command(struct queue *q, double timeout, struct args *a,
                      const struct queue_call *c)
{
    struct queue_call *told;
    enum err e = copy(c, a, &told);
    if (e != OK)
        return e;
    return finish(redis_call(queue_redis(q), timeout, answered, told, a->n, a->v), told, a);
}

enum err call_value(struct queue *q, enum queue_script s, struct args *a,
                    const struct reply_outcome *codes, size_t n_codes, queue_done *done,
                    void *ctx)
{
    return call_script(q, s, a,
                       &(struct queue_call){.read = read_value,
                                            .done.value = done,
                                            .ctx = ctx,
                                            .table = codes,
                                            .n_table = n_codes});
}
