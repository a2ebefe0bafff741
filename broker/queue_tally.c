// queue_tally.c - counts of the queue, and what they are counts of; see check.h.
#include <stdlib.h>

#include "broker/queue_call.h"

static const struct reply_outcome codes[] = {{1, OK}, {0, ERR_MISSING}};

static void read_batches(const struct queue_call *c, enum err e, const redisReply *r)
{
    uint64_t next = 0;
    size_t n = reply_page(r, 1, &next, &e);
    struct span *names = calloc(n + 1, sizeof *names);
    if (e == OK && !names)
        e = ERR_NOMEM;
    for (size_t i = 0; e == OK && i < n; i++)
        if (!reply_str(reply_at(reply_at(r, 2), i), &names[i]))
            e = ERR_FORMAT;
    c->done.page(c->ctx, e, next, names, e == OK ? n : 0);
    free(names);
}

enum err check_batches(struct queue *q, uint64_t cursor, bool open_only, check_names_done *done,
                       void *ctx)
{
    struct args *a = script_args(q, 3, ARGS_INT);
    args_str(a, "batches");
    args_uint(a, cursor);
    args_str(a, open_only ? "1" : "0");
    return call_script(
        q, SCRIPT_TALLY, a,
        &(struct queue_call){.read = read_batches, .done.page = done, .ctx = ctx});
}

static void read_counts(const struct queue_call *c, enum err e, const redisReply *r)
{
    uint64_t next = 0;
    size_t n = reply_page(r, 3, &next, &e);
    const redisReply *items = reply_at(r, 2);
    struct check_count *all = calloc(n + 1, sizeof *all);
    if (e == OK && !all)
        e = ERR_NOMEM;
    for (size_t i = 0; e == OK && i < n; i++)
        if (!reply_str(reply_at(items, 3 * i), &all[i].name) ||
            !reply_int(reply_at(items, 3 * i + 1), &all[i].is) ||
            !reply_int(reply_at(items, 3 * i + 2), &all[i].told))
            e = ERR_FORMAT;
    c->done.counts(c->ctx, e, next, all, e == OK ? n : 0);
    free(all);
}

enum err check_counts(struct queue *q, enum check_tally what, uint64_t cursor, size_t n,
                      const struct span *names, check_counts_done *done, void *ctx)
{
    static const char *const words[] = {[CHECK_JOBS] = "jobs",
                                        [CHECK_RESERVED] = "reserved",
                                        [CHECK_IMAGES] = "images",
                                        [CHECK_SPARES] = "spares"};
    if (n > QUEUE_MAX_JOBS)
        return ERR_RANGE;
    struct args *a = script_args(q, 2 + n, ARGS_INT);
    args_str(a, words[what]);
    if (what != CHECK_JOBS)
        args_uint(a, cursor);
    for (size_t i = 0; i < n; i++)
        args_add(a, names[i]);
    return call_script(
        q, SCRIPT_TALLY, a,
        &(struct queue_call){.read = read_counts, .done.counts = done, .ctx = ctx});
}

enum err check_set_count(struct queue *q, const struct check_count *c, queue_done *done,
                         void *ctx)
{
    struct args *a = script_args(q, 4, 2 * ARGS_INT);
    args_str(a, "set");
    args_add(a, c->name);
    args_int(a, c->told);
    args_int(a, c->is);
    return call_value(q, SCRIPT_TALLY, a, CALL_CODES(codes), done, ctx);
}
