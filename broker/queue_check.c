// queue_check.c - see check.h.
#include "broker/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/queue_call.h"
#include "common/text.h"

static const struct reply_outcome codes[] = {{1, OK}, {0, ERR_MISSING}};

// --- Problems -------------------------------------------------------------------------------

static void read_problems(const struct queue_call *c, enum err e, const redisReply *r)
{
    uint64_t next = 0;
    size_t n = reply_page(r, 2, &next, &e);
    struct check_problem *all = calloc(n + 1, sizeof *all);
    if (e == OK && !all)
        e = ERR_NOMEM;
    for (size_t i = 0; e == OK && i < n; i++) {
        struct span mended;
        if (!reply_str(reply_at(reply_at(r, 2), 2 * i), &all[i].text) ||
            !reply_str(reply_at(reply_at(r, 2), 2 * i + 1), &mended))
            e = ERR_FORMAT;
        else
            all[i].mended = span_is(mended, "1");
    }
    c->done.problems(c->ctx, e, next, all, e == OK ? n : 0);
    free(all);
}

static enum err problems(struct queue *q, const char *what, bool mend, struct span arg,
                         check_problems_done *done, void *ctx)
{
    struct args *a = script_args(q, 3, 0);
    args_str(a, what);
    args_str(a, mend ? "1" : "0");
    args_add(a, arg);
    return call_script(
        q, SCRIPT_FSCK, a,
        &(struct queue_call){.read = read_problems, .done.problems = done, .ctx = ctx});
}

enum err check_keys(struct queue *q, uint64_t cursor, bool mend, check_problems_done *done,
                    void *ctx)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, cursor);
    return problems(q, "keys", mend, span_of(text), done, ctx);
}

enum err check_batch(struct queue *q, struct span batch, bool mend, check_problems_done *done,
                     void *ctx)
{
    return problems(q, "batch", mend, batch, done, ctx);
}

// --- Where jobs are -------------------------------------------------------------------------

static void read_tickets(const struct queue_call *c, enum err e, const redisReply *r)
{
    uint64_t next = 0;
    size_t n = reply_page(r, 2, &next, &e);
    struct check_ticket *all = calloc(n + 1, sizeof *all);
    if (e == OK && !all)
        e = ERR_NOMEM;
    for (size_t i = 0; e == OK && i < n; i++) {
        struct span ticket;
        if (!reply_str(reply_at(reply_at(r, 2), 2 * i), &all[i].batch) ||
            !reply_str(reply_at(reply_at(r, 2), 2 * i + 1), &ticket) ||
            ticket.len != TICKET_SIZE)
            e = ERR_FORMAT;
        else
            all[i].ticket = ticket_read(ticket.ptr);
    }
    c->done.tickets(c->ctx, e, next, all, e == OK ? n : 0);
    free(all);
}

enum err check_tickets(struct queue *q, enum check_place where, struct span name,
                       uint64_t cursor, check_tickets_done *done, void *ctx)
{
    static const char *const names[] = {[CHECK_READY] = "ready",
                                        [CHECK_DELAYED] = "delayed",
                                        [CHECK_ACTIVE] = "active",
                                        [CHECK_LOST] = "lost"};
    struct args *a = script_args(q, 3, ARGS_INT);
    args_str(a, names[where]);
    args_add(a, name);
    args_uint(a, cursor);
    return call_script(
        q, SCRIPT_TICKETS, a,
        &(struct queue_call){.read = read_tickets, .done.tickets = done, .ctx = ctx});
}

// --- Names ----------------------------------------------------------------------------------

static enum err names(struct queue *q, const char *command, const char *kind, struct span rest,
                      bool range, queue_names_done *done, void *ctx)
{
    struct buf key = {.max = 1024};
    struct args *a = args_new(4, 0);
    queue_key(q, &key, kind, rest);
    args_str(a, command);
    args_buf(a, &key);
    if (range) {
        args_str(a, "0");
        args_str(a, "-1");
    }
    enum err e = call_command(
        q, queue_timeout(q), a,
        &(struct queue_call){.read = call_read_names, .done.names = done, .ctx = ctx});
    buf_free(&key);
    return e;
}

enum err check_lists(struct queue *q, struct span batch, queue_names_done *done, void *ctx)
{
    return names(q, "SMEMBERS", "ls:", batch, false, done, ctx);
}

enum err check_holders(struct queue *q, queue_names_done *done, void *ctx)
{
    return names(q, "ZRANGE", "leases", SPAN(""), true, done, ctx);
}

enum err check_runs(struct queue *q, struct span batch, queue_names_done *done, void *ctx)
{
    return names(q, "HGETALL", "rn:", batch, false, done, ctx);
}

// --- Mending --------------------------------------------------------------------------------

static enum err mend(struct queue *q, struct args *a, queue_done *done, void *ctx)
{
    return call_value(q, SCRIPT_MEND, a, CALL_CODES(codes), done, ctx);
}

static enum err mend_held(struct queue *q, const char *what, const struct check_hold *h,
                          size_t n, const struct check_job *jobs, queue_done *done, void *ctx)
{
    struct args *a = script_args(q, 4 + 2 * n, (1 + n) * ARGS_INT);
    args_add(a, h->batch);
    args_str(a, what);
    args_add(a, h->token);
    args_int(a, h->ms);
    for (size_t i = 0; i < n; i++) {
        args_uint(a, jobs[i].index);
        args_str(a, jobs[i].route);
    }
    return mend(q, a, done, ctx);
}

enum err check_hold(struct queue *q, const struct check_hold *h, queue_done *done, void *ctx)
{
    return mend_held(q, "hold", h, 0, NULL, done, ctx);
}

enum err check_release(struct queue *q, const struct check_hold *h, queue_done *done, void *ctx)
{
    return mend_held(q, "release", h, 0, NULL, done, ctx);
}

enum err check_mend_places(struct queue *q, const struct check_hold *h, size_t n,
                           const struct check_job *jobs, queue_done *done, void *ctx)
{
    if (n > QUEUE_MAX_JOBS)
        return ERR_RANGE;
    return mend_held(q, "places", h, n, jobs, done, ctx);
}

enum err check_mend_counters(struct queue *q, struct span batch,
                             const struct check_counters *is, queue_done *done, void *ctx)
{
    struct args *a = script_args(q, 7, 5 * ARGS_INT);
    args_add(a, batch);
    args_str(a, "counters");
    args_int(a, is->ev);
    for (int i = 0; i < 3; i++)
        args_int(a, is->ended[i]);
    args_int(a, is->unknown);
    return mend(q, a, done, ctx);
}
