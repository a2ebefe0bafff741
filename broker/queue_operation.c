// queue_operation.c - see operation.h.
#include <stdlib.h>

#include "broker/queue_call.h"

static const struct reply_outcome begin_codes[] = {{1, OK}, {0, ERR_LIMIT}, {-1, ERR_LOST}};
static const struct reply_outcome lease_codes[] = {{1, OK}, {-1, ERR_LOST}};

// {1, marks, incarnation}
static void read_begun(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct span marks = {0}, inc = {0};
    int64_t none;
    if (e == OK)
        e = reply_outcome(r, begin_codes, 3, &none);
    if (e == OK && (!reply_str(reply_at(r, 1), &marks) || marks.len != c->n ||
                    !reply_str(reply_at(r, 2), &inc)))
        e = ERR_FORMAT;
    if (e != OK)
        marks = inc = (struct span){0};
    c->done.begun(c->ctx, e, marks, inc);
}

enum err operation_begin(struct queue *q, const struct operation_new *o,
                         operation_begun_done *done, void *ctx)
{
    if (o->n < 1 || o->n > QUEUE_MAX_JOBS)
        return ERR_RANGE;
    struct args *a = script_args(q, 9 + 3 * o->n, (4 + o->n * 3) * ARGS_INT);
    args_add(a, o->inc);
    args_add(a, o->op);
    args_int(a, o->lease_ms);
    args_int(a, o->keep_ms);
    args_uint(a, o->most);
    args_add(a, o->batch);
    args_add(a, o->model);
    args_add(a, o->project);
    args_int(a, o->day);
    for (size_t i = 0; i < o->n; i++) {
        args_field(a, &o->calls[i].field);
        args_int(a, o->calls[i].worst);
        args_str(a, o->calls[i].fail_unknown ? "f" : "s");
    }
    return call_script(
        q, SCRIPT_OP_BEGIN, a,
        &(struct queue_call){.read = read_begun, .done.begun = done, .ctx = ctx, .n = o->n});
}

// {1, operation, incarnation, state, name, file, batch, model, project, created, until, made,
// jobs}
static enum err read_operation(const redisReply *r, struct operation *o)
{
    struct span *const texts[] = {&o->op,   &o->inc,   &o->state, &o->name,
                                  &o->file, &o->batch, &o->model, &o->project};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!reply_str(reply_at(r, i + 1), texts[i]))
            return ERR_FORMAT;
    o->created_ms = reply_int_or_zero(reply_at(r, 9));
    o->until_ms = reply_int_or_zero(reply_at(r, 10));
    o->made_ms = reply_int_or_zero(reply_at(r, 11));
    o->jobs = reply_int_or_zero(reply_at(r, 12));
    return o->op.len && o->inc.len ? OK : ERR_FORMAT;
}

static void read_taken(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct operation o = {0};
    int64_t none;
    if (e == OK)
        e = reply_outcome(r, lease_codes, 2, &none);
    bool there = e == OK && reply_count(r) > 1;
    if (there)
        e = read_operation(r, &o);
    c->done.taken(c->ctx, e, e == OK && there ? &o : NULL);
}

enum err operation_take(struct queue *q, struct span inc, int64_t lease_ms, size_t n,
                        const struct span *projects, operation_taken_done *done, void *ctx)
{
    struct args *a = script_args(q, 2 + n, ARGS_INT);
    args_add(a, inc);
    args_int(a, lease_ms);
    for (size_t i = 0; i < n; i++)
        args_add(a, projects[i]);
    return call_script(
        q, SCRIPT_OP_TAKE, a,
        &(struct queue_call){.read = read_taken, .done.taken = done, .ctx = ctx});
}

enum err operation_note(struct queue *q, struct span inc, struct span op, size_t n,
                        const struct queue_fact *facts, queue_done *done, void *ctx)
{
    struct args *a = script_args(q, 2 + 2 * n, 0);
    args_add(a, inc);
    args_add(a, op);
    for (size_t i = 0; i < n; i++) {
        args_str(a, facts[i].name);
        args_add(a, facts[i].value);
    }
    return call_value(q, SCRIPT_OP_NOTE, a, CALL_CODES(lease_codes), done, ctx);
}

enum err operation_end(struct queue *q, struct span inc, struct span op, bool leave,
                       queue_done *done, void *ctx)
{
    struct args *a = script_args(q, 3, 0);
    args_add(a, inc);
    args_add(a, op);
    args_str(a, leave ? "free" : "end");
    return call_value(q, SCRIPT_OP_END, a, CALL_CODES(lease_codes), done, ctx);
}

static enum err read_listed(const redisReply *r, struct operation *o)
{
    struct span *const texts[] = {&o->op,    &o->inc,   &o->state,  &o->name,
                                  &o->batch, &o->model, &o->project};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!reply_str(reply_at(r, i), texts[i]))
            return ERR_FORMAT;
    o->created_ms = reply_int_or_zero(reply_at(r, 7));
    o->made_ms = reply_int_or_zero(reply_at(r, 8));
    o->jobs = reply_int_or_zero(reply_at(r, 9));
    return OK;
}

static void read_list(const struct queue_call *c, enum err e, const redisReply *r)
{
    size_t n = reply_count(r);
    struct operation *o = calloc(n + 1, sizeof *o);
    if (e == OK && !o)
        e = ERR_NOMEM;
    if (e == OK && r->type != REDIS_REPLY_ARRAY)
        e = ERR_FORMAT;
    for (size_t i = 0; e == OK && i < n; i++)
        e = read_listed(reply_at(r, i), &o[i]);
    c->done.operations(c->ctx, e, o, e == OK ? n : 0);
    free(o);
}

enum err operation_list(struct queue *q, operation_list_done *done, void *ctx)
{
    return call_script(
        q, SCRIPT_OP_LIST, script_args(q, 0, 0),
        &(struct queue_call){.read = read_list, .done.operations = done, .ctx = ctx});
}
