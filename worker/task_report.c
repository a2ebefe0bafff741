// task_report.c - calls that no settle counts: of a worker that lost its lease meanwhile, and
// those that stored what another one found. Each is counted once, by the id of the call.
#include <stdlib.h>
#include <string.h>

#include "common/backoff.h"
#include "common/digest.h"
#include "common/log.h"
#include "worker/lease.h"
#include "worker/task_private.h"

#define MAX_INC 200

struct task_report {
    struct queue_figures figures;
    struct buf detail; // for the ledger
    uint8_t call_id[8];
    char inc[MAX_INC];
    uint64_t number;
    bool while_open;
    unsigned failures;
    void (*then)(struct task *t);
};

void task_report_free(struct task *t)
{
    if (t->report)
        buf_free(&t->report->detail);
    free(t->report);
    t->report = NULL;
}

static void finish(struct task *t)
{
    void (*then)(struct task *) = t->report->then;
    task_report_free(t);
    then(t);
}

static void on_reported(void *ctx, enum err e, int64_t counted)
{
    struct task *t = ctx;
    char hex[2 * sizeof t->report->call_id + 1];
    if (err_retryable(e)) {
        task_timer(t, backoff_delay(++t->report->failures, 0.2, 5., 0.1));
        return;
    }
    digest_hex(t->report->call_id, sizeof t->report->call_id, hex);
    if (e == OK && counted)
        log_warn("a call counted apart from its job", "batch=%s index=%u call=%s",
                 buf_str(&t->batch), t->ticket.index, hex);
    finish(t);
}

void task_report_again(struct task *t)
{
    struct task_report *r = t->report;
    struct queue_orphan o = {.batch = buf_span(&t->batch),
                             .nonce = buf_span(&t->nonce),
                             .call_id = {(char *)r->call_id, sizeof r->call_id},
                             .figures = r->figures,
                             .detail = buf_span(&r->detail),
                             .inc = span_of(r->inc),
                             .number = r->number,
                             .while_open = r->while_open,
                             .index = t->ticket.index,
                             .run = t->ticket.run};
    struct buf lane_model = {.max = 2 * JOB_MAX_NAME};
    buf_addf(&lane_model, "%s/%.*s", job_lane_name(t->job.lane), (int)t->job.model.len,
             t->job.model.ptr);
    o.lane_model = buf_span(&lane_model);
    t->state = TASK_REPORTING;
    enum err e =
        lane_model.err ? lane_model.err : queue_orphan(t->host->queue, &o, on_reported, t);
    buf_free(&lane_model);
    if (e != OK)
        on_reported(t, e, 0);
}

bool task_costs(const struct queue_figures *f)
{
    return f->cost_micro != 0 || f->input_tokens != 0 || f->output_tokens != 0;
}

// That the calls were made, and that their outcome was unknown, is counted by whoever takes the
// jobs of a lost worker back; images by the settle that completes the job.
static struct queue_figures money_of(const struct queue_figures *f)
{
    return (struct queue_figures){.cost_micro = f->cost_micro,
                                  .input_tokens = f->input_tokens,
                                  .output_tokens = f->output_tokens};
}

void task_unsettled(struct task *t, uint64_t number)
{
    struct queue_figures f = money_of(&t->say.figures);
    struct span inc = lease_incarnation(t->host->lease);
    bool counts = task_costs(&f) && !t->host->remote;
    struct task_report *r = counts ? calloc(1, sizeof *r) : NULL;
    t->lost = true;
    ev_timer_stop(t->host->loop, &t->timer); // of its next try: it would report a second time
    if (!r) {
        task_gone(t);
        return;
    }
    r->figures = f;
    r->detail.max = t->say.detail.max;
    buf_add(&r->detail, buf_span(&t->say.detail));
    r->number = number;
    r->then = task_gone;
    memcpy(r->call_id, t->call_id, sizeof r->call_id);
    memcpy(r->inc, inc.ptr, inc.len < MAX_INC ? inc.len : MAX_INC - 1);
    t->report = r;
    task_report_again(t);
}

void task_adopt(struct task *t, const struct record *found, const struct event *e,
                void (*then)(struct task *t))
{
    bool made = found->call_id.len == sizeof t->call_id && !e->deduped_of.len;
    struct task_report *r = made ? calloc(1, sizeof *r) : NULL; // else no call was
    if (!r) {
        then(t);
        return;
    }
    r->figures = (struct queue_figures){
        .cost_micro = e->cost_micro,
        .input_tokens = (uint32_t)e->input_tokens,
        .output_tokens = (uint32_t)e->output_tokens,
    };
    r->while_open = true;
    r->then = then;
    memcpy(r->call_id, found->call_id.ptr, sizeof r->call_id);
    task_enter_found(t, found, e, &r->detail);
    t->report = r;
    task_report_again(t);
}
