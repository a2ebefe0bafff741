// collect_batch.c - see collect_batch.h.
#include "client/collect_batch.h"

#include "broker/job.h"
#include "client/output.h"
#include "client/patience.h"
#include "client/session.h"
#include "common/digest.h"

#define READ  500 // inputs at once
#define NONCE 16  // bytes

struct status_call {
    bool done;
    enum err err;
    struct collect_batch *to;
};

static enum err all_found_room(const struct collect_batch *b)
{
    const struct buf *all[] = {&b->options, &b->user, &b->paused_by, &b->blocked_by};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i]->err == ERR_NOMEM)
            return ERR_NOMEM;
    return OK;
}

static void on_status(void *ctx, enum err e, const struct queue_batch *b)
{
    struct status_call *c = ctx;
    c->done = true;
    c->err = e;
    if (e != OK)
        return;
    *c->to = (struct collect_batch){.options = {.max = 1u << 20},
                                    .user = {.max = JOB_MAX_NAME},
                                    .paused_by = {.max = 64},
                                    .blocked_by = {.max = 512},
                                    .total = b->total >= 0 ? b->total : b->in,
                                    .in = b->in,
                                    .open = b->open,
                                    .completed = b->completed,
                                    .failed = b->failed,
                                    .cancelled = b->cancelled,
                                    .refused = b->refused,
                                    .expected = b->expected,
                                    .cost_micro = b->cost_micro,
                                    .possible_double_bill = b->possible_double_bill,
                                    .images_gone = b->images_gone,
                                    .calls = b->calls,
                                    .budget_micro = b->budget_micro,
                                    .reserved_micro = b->reserved_micro,
                                    .spent_micro = b->spent_micro,
                                    .created_ms = b->created_ms,
                                    .done_ms = b->done_ms,
                                    .last_event = b->last_event,
                                    .sealed = b->sealed,
                                    .paused = b->paused,
                                    .cancelling = b->cancelling,
                                    .pushed = b->pushed};
    buf_add(&c->to->options, b->options);
    buf_add(&c->to->user, b->user);
    if (b->nonce.len == NONCE)
        digest_hex((const uint8_t *)b->nonce.ptr, NONCE, c->to->nonce);
    buf_add(&c->to->paused_by, b->paused_by);
    buf_add(&c->to->blocked_by, b->blocked_by);
    c->err = all_found_room(c->to);
    if (c->err != OK)
        collect_batch_free(c->to);
}

enum err collect_status_patiently(struct patience *p, struct span batch,
                                  struct collect_batch *b)
{
    enum err e;
    do {
        struct status_call c = {.to = b};
        e = queue_status(session_queue(p->session), batch, on_status, &c);
        e = session_finish(p->session, e, &c.done, &c.err);
    } while (patience_again(p, &e));
    return e;
}

enum err collect_status(struct session *s, struct span batch, struct collect_batch *b)
{
    return collect_status_patiently(&(struct patience){.session = s}, batch, b);
}

void collect_explain(enum err e, struct span batch, struct buf *why)
{
    if (e == ERR_MISSING)
        buf_addf(why, "there is no batch %.*s in this queue (or it has expired)",
                 (int)batch.len, batch.ptr);
    else if (e == ERR_FORMAT)
        buf_addf(why, "what the server keeps of batch %.*s is malformed; see genfarm fsck",
                 (int)batch.len, batch.ptr);
}

bool collect_is_there(struct session *s, struct span batch)
{
    struct collect_batch b = {0};
    enum err e = collect_status(s, batch, &b);
    collect_batch_free(&b);
    return e == OK;
}

void collect_batch_free(struct collect_batch *b)
{
    buf_free(&b->options);
    buf_free(&b->user);
    buf_free(&b->paused_by);
    buf_free(&b->blocked_by);
}

struct inputs_call {
    bool done;
    enum err err;
    struct output *output;
    const uint32_t *indexes;
};

static void on_inputs(void *ctx, enum err e, const struct span *inputs, size_t n)
{
    struct inputs_call *c = ctx;
    struct span id, map;
    c->done = true;
    for (size_t i = 0; e == OK && i < n; i++)
        if (inputs[i].len && job_input_read(inputs[i], &id, &map) == OK)
            e = output_input(c->output, c->indexes[i], map);
    c->err = e;
}

static enum err some_inputs(struct patience *p, struct span batch, struct output *o, size_t n,
                            const uint32_t *indexes)
{
    enum err e;
    do {
        struct inputs_call c = {.output = o, .indexes = indexes};
        e = queue_inputs(session_queue(p->session), batch, n, indexes, on_inputs, &c);
        e = session_finish(p->session, e, &c.done, &c.err);
    } while (patience_again(p, &e));
    return e;
}

enum err collect_inputs(struct session *s, struct span batch, struct output *o)
{
    return collect_inputs_patiently(&(struct patience){.session = s}, batch, o);
}

enum err collect_inputs_patiently(struct patience *p, struct span batch, struct output *o)
{
    uint32_t indexes[READ], total = output_counts(o).total, next = 0;
    enum err e = OK;
    while (e == OK && next < total) {
        size_t n = 0;
        for (; next < total && n < READ; next++)
            if (!output_has_input(o, next))
                indexes[n++] = next;
        if (n > 0)
            e = some_inputs(p, batch, o, n, indexes);
    }
    return e;
}
