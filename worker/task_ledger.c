// task_ledger.c - what the ledger says of a task's calls, beside the figures.
#include "broker/ledger.h"
#include "broker/projects.h"
#include "worker/provider.h"
#include "worker/task_private.h"

// Of what was found only the worker's own project is known, where it has but one.
const char *task_project(const struct task *t)
{
    return t->pass.gate ? gate_project(t->pass.gate)->name : t->host->project;
}

static struct ledger_call about(const struct task *t)
{
    const struct task_host *h = t->host;
    return (struct ledger_call){.outcome = span_of(code_name(t->made.outcome)),
                                .user = buf_span(&t->user),
                                .batch = buf_span(&t->batch),
                                .id = buf_span(&t->id),
                                .index = t->ticket.index,
                                .run = t->ticket.run,
                                .attempt = t->made.attempt,
                                .provider = span_of(h->provider->name),
                                .project = span_of(task_project(t)),
                                .model = t->job.model,
                                .lane = span_of(job_lane_name(t->job.lane)),
                                .operation = SPAN("generate"),
                                .endpoint = span_of(h->provider->endpoint)};
}

static void encode(const struct task *t, struct buf *out, const struct ledger_call *c)
{
    buf_clear(out);
    out->max = LEDGER_MAX_DETAIL;
    if (t->host->ledger)
        ledger_detail(out, c);
    if (out->err)
        buf_clear(out); // names as long as that are not entered: it is counted all the same
}

void task_enter(struct task *t)
{
    const struct queue_figures *f = &t->say.figures;
    struct ledger_call c = about(t);
    if (f->calls == 0 && f->images == 0 && f->bytes == 0 && !task_costs(f))
        return;
    if (f->calls > 0) {
        c.latency_ms = t->made.latency_ms;
        c.bytes_sent = t->made.bytes_sent;
        c.bytes_received = t->made.bytes_received;
        c.call_id = (struct span){(const char *)t->call_id, sizeof t->call_id};
    }
    encode(t, &t->say.detail, &c);
}

void task_enter_found(struct task *t, const struct record *r, const struct event *e,
                      struct buf *out)
{
    struct ledger_call c = about(t);
    c.outcome = span_of(code_name(CODE_OK));
    c.attempt = e->attempts;
    c.latency_ms = e->latency_ms;
    c.call_id = r->call_id;
    encode(t, out, &c);
}

void task_made(struct task *t, const struct provider_result *r)
{
    t->made.outcome = r->code;
    t->made.attempt = t->ticket.attempts + 1u;
    t->made.latency_ms = r->latency_ms;
    t->made.bytes_sent = r->bytes_sent;
    t->made.bytes_received = r->bytes_received;
}
