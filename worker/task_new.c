// task_new.c - what a task is made of: a job as it was claimed, and checked again.
#include <stdlib.h>

#include "worker/provider.h"
#include "worker/task_private.h"

static bool copy(struct buf *to, struct span from)
{
    *to = (struct buf){.max = from.len + 1};
    buf_add(to, from);
    return !to->err;
}

static uint32_t digest_of_input(struct span input)
{
    uint32_t d = 0;
    for (size_t i = 0; i < 4 && i < input.len; i++)
        d = d << 8 | (unsigned char)input.ptr[i];
    return d;
}

// The job as the client wrote it. It is checked again, whoever wrote it.
static void read_job(struct task *t)
{
    struct span id, map;
    t->invalid.max = 1000;
    t->id.max = 2 * JOB_MAX_ID;
    if (job_input_read(buf_span(&t->input), &id, &map) != OK)
        buf_add_str(&t->invalid, "the job as it is kept in the queue cannot be read");
    else if (job_decode(&t->job, map, &t->invalid) != OK && t->invalid.len == 0)
        buf_add_str(&t->invalid, "the job as it is kept in the queue is malformed");
    if (t->invalid.len == 0 && id.len)
        buf_add(&t->id, id);
    else
        job_show_id(&t->id, &t->job, t->ticket.index);
}

// It is sent as what it was admitted as: limits, prices and quotas are those of the list's
// model.
static void check_model(struct task *t, struct span model)
{
    if (t->invalid.len == 0 && !span_equal(t->job.model, model))
        buf_add_str(&t->invalid, "the job's model is not that of the list it was in");
}

static struct route *route_of(const struct task_host *h, const struct queue_claimed *c)
{
    struct buf lane_model = {.max = 2 * JOB_MAX_NAME + 2};
    buf_add(&lane_model, c->lane);
    buf_add_byte(&lane_model, '/');
    buf_add(&lane_model, c->model);
    struct route *r = lane_model.err ? NULL : route_find(h->gates, buf_span(&lane_model));
    buf_free(&lane_model);
    return r;
}

static bool copy_claimed(struct task *t, const struct queue_claimed *c)
{
    return copy(&t->batch, c->batch) && copy(&t->nonce, c->nonce) && copy(&t->user, c->user) &&
           copy(&t->input, c->input);
}

struct task *task_new(struct task_host *h, uint64_t seq, const struct queue_claimed *c)
{
    struct task *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->host = h;
    t->field = (struct queue_field){seq, c->slot};
    t->ticket = c->ticket;
    t->total = c->total;
    t->digest = digest_of_input(c->input);
    task_init_timer(t);
    task_init_pass(t);
    t->route = route_of(h, c);
    if (!t->route || !copy_claimed(t, c)) {
        task_free(t);
        return NULL;
    }
    read_job(t);
    check_model(t, c->model);
    // It would be taken for another, or for valid.
    if (t->id.err || t->invalid.err == ERR_NOMEM) {
        task_free(t);
        return NULL;
    }
    task_read_times(t, c);
    return t;
}

void task_free(struct task *t)
{
    struct buf *all[] = {&t->batch, &t->nonce,   &t->user,      &t->input,
                         &t->id,    &t->invalid, &t->say.detail};
    ev_timer_stop(t->host->loop, &t->timer);
    gate_leave(&t->pass);
    gate_end(&t->pass, NULL);
    if (t->call)
        t->host->provider->ops->cancel(t->host->provider, t->call);
    parcel_free(t->parcel);
    task_close_purse(t, NULL);
    task_report_free(t);
    task_share_free(t);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_free(all[i]);
    for (unsigned i = 0; i < QUEUE_MAX_EVENTS; i++)
        buf_free(&t->say.events[i]);
    free(t);
}
