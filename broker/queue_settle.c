// queue_settle.c - sent marks, and what became of jobs.
#include <stdlib.h>
#include <string.h>

#include "broker/queue_call.h"

enum err queue_sent(struct queue *q, struct span inc, uint64_t number, size_t n,
                    const struct queue_mark *calls, queue_marks_done *done, void *ctx)
{
    if (n < 1 || n > QUEUE_MAX_JOBS)
        return ERR_RANGE;
    struct args *a = script_args(q, 2 + 4 * n, (1 + n * 3) * ARGS_INT);
    args_add(a, inc);
    args_uint(a, number);
    for (size_t i = 0; i < n; i++) {
        args_field(a, &calls[i].field);
        args_int(a, calls[i].worst);
        args_add(a, calls[i].project);
        args_str(a, calls[i].fail_unknown ? "f" : "s");
    }
    return call_script(
        q, SCRIPT_SENT, a,
        &(struct queue_call){.read = call_read_marks, .done.marks = done, .ctx = ctx, .n = n});
}

#define FIGURES_SIZE 25

static char *put_be(char *p, uint64_t v, unsigned bytes)
{
    while (bytes-- > 0)
        *p++ = (char)(v >> (8 * bytes));
    return p;
}

static char *put(char *p, struct span s)
{
    if (s.len)
        memcpy(p, s.ptr, s.len);
    return p + s.len;
}

// cost i64, in_tokens u32, out_tokens u32, bytes u32, images u16, unknown, retries, calls u8,
// id; with a detail behind it always one, of zeros where there is none
static void add_figures(struct args *a, const struct queue_figures *f, struct span call_id,
                        struct span detail)
{
    static const struct queue_figures none;
    static const char no_id[QUEUE_CALL_ID];
    char *p;
    if (memcmp(f, &none, sizeof none) == 0) {
        args_add(a, SPAN(""));
        return;
    }
    if (detail.len && call_id.len == 0)
        call_id = (struct span){no_id, sizeof no_id};
    if (!(p = args_bytes(a, FIGURES_SIZE + call_id.len + detail.len)))
        return;
    p = put_be(p, (uint64_t)f->cost_micro, 8);
    p = put_be(p, f->input_tokens, 4);
    p = put_be(p, f->output_tokens, 4);
    p = put_be(p, f->bytes, 4);
    p = put_be(p, f->images, 2);
    p = put_be(p, f->unknown, 1);
    p = put_be(p, f->retries, 1);
    p = put_be(p, f->calls, 1);
    put(put(p, call_id), detail);
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
    add_figures(a, &s->figures, s->call_id, s->detail);
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
        if (s[i].n_events > QUEUE_MAX_EVENTS || !memchr("CFBXRNSA", s[i].op, 8) ||
            s[i].delay_ms < 0 || s[i].call_id.len > QUEUE_CALL_ID || !job_name_ok(s[i].batch) ||
            s[i].detail.len > LEDGER_MAX_DETAIL ||
            (s[i].detail.len && s[i].call_id.len % QUEUE_CALL_ID))
            return ERR_RANGE;
    return OK;
}

static size_t sum_details(size_t n, const struct queue_settle *s)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += s[i].detail.len;
    return sum;
}

enum err queue_settle(struct queue *q, struct span inc, uint64_t number, size_t n,
                      const struct queue_settle *s, queue_marks_done *done, void *ctx)
{
    enum err e = check_settle(n, s);
    if (e != OK)
        return e;
    size_t groups = count_groups(n, s);
    size_t texts = 4 * ARGS_INT + 1 + TICKET_SIZE + FIGURES_SIZE + QUEUE_CALL_ID; // of a job
    struct args *a = script_args(q, 3 + 2 * groups + (6 + QUEUE_MAX_EVENTS) * n,
                                 (2 + groups) * ARGS_INT + n * texts + sum_details(n, s));
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
        &(struct queue_call){.read = call_read_marks, .done.marks = done, .ctx = ctx, .n = n});
}

static const struct reply_outcome orphan_codes[] = {{1, OK}, {0, ERR_MISSING}};

enum err queue_orphan(struct queue *q, const struct queue_orphan *o, queue_done *done,
                      void *ctx)
{
    struct args *a = script_args(q, 10, 3 * ARGS_INT + FIGURES_SIZE);
    args_add(a, o->batch);
    args_add(a, o->nonce);
    args_add(a, o->call_id);
    add_figures(a, &o->figures, SPAN(""), SPAN(""));
    args_add(a, o->inc);
    args_uint(a, o->number);
    if (o->while_open) {
        args_uint(a, o->index);
        args_uint(a, o->run);
    } else {
        args_str(a, "");
        args_str(a, "");
    }
    args_add(a, o->lane_model);
    args_add(a, o->detail);
    return call_value(q, SCRIPT_ORPHAN, a, CALL_CODES(orphan_codes), done, ctx);
}
