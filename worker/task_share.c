// task_share.c - identical requests that are made once: who makes the call, and how the others
// come by what it gave. Who leads and who follows is decided by lead.lua; a follower leaves the
// worker with the answer, and is delivered again when its leader has ended.
#include <stdlib.h>
#include <string.h>

#include "broker/request.h"
#include "common/digest.h"
#include "common/log.h"
#include "worker/lease.h"
#include "worker/provider.h"
#include "worker/task_private.h"

#define AGAIN_MS 1000 // until what failed for a passing reason is tried again

struct task_share {
    char digest[DIGEST_HEX];
    bool leads;                  // our call is made for others as well
    enum queue_role role;        // as it was answered
    struct buf batch, nonce, of; // whose image it is; `of`: BATCH/ID
    struct buf gone;             // BATCH/INDEX of an image that was not to be had
    struct buf refusal;          // the event of one that was refused
    uint32_t index, input;
};

void task_share_free(struct task *t)
{
    struct task_share *s = t->share;
    if (!s)
        return;
    struct buf *all[] = {&s->batch, &s->nonce, &s->of, &s->gone, &s->refusal};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_free(all[i]);
    free(s);
    t->share = NULL;
}

bool task_leads(const struct task *t)
{
    return t->share && t->share->leads;
}

struct span task_shared_of(const struct task *t)
{
    return t->share && t->parcel && parcel_is_shared(t->parcel) ? buf_span(&t->share->of)
                                                                : SPAN("");
}

static struct task_share *share_new(const struct task *t)
{
    struct task_share *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->batch.max = s->nonce.max = 2 * JOB_MAX_NAME;
    s->gone.max = 4 * JOB_MAX_NAME;
    s->of.max = 4 * JOB_MAX_ID;
    s->refusal.max = 1u << 16;
    request_digest(&t->job, s->digest);
    if (s->digest[0])
        return s;
    free(s);
    return NULL;
}

// A batch of the provider takes hours: nobody waits for one of its jobs.
static bool may_share(const struct task *t)
{
    return t->job.dedupe > 0 && t->job.lane != JOB_BATCH;
}

void task_begin(struct task *t)
{
    if (may_share(t) && !t->share)
        t->share = share_new(t);
    if (may_share(t) && t->share) {
        t->state = TASK_ASKING;
        pump_add(t->host->asks, &t->ask);
    } else {
        task_want_slot(t); // for want of memory the call is made, as any other
    }
}

// --- What another one stored ----------------------------------------------------------------

// Its image is not to be had: the leader makes the call, another asks who does.
void task_share_missing(struct task *t)
{
    struct task_share *s = t->share;
    parcel_free(t->parcel);
    t->parcel = NULL;
    if (s->leads) {
        task_want_slot(t);
        return;
    }
    buf_clear(&s->gone);
    buf_addf(&s->gone, "%s/%u", buf_str(&s->batch), s->index);
    task_begin(t);
}

// What was found is what was promised: of that batch and input, with images.
static bool matches(const struct task_share *s, struct span record, struct record *r,
                    struct event *e)
{
    return record_decode(r, record) == OK && r->digest == s->input &&
           span_equal(r->nonce, buf_span(&s->nonce)) && event_decode(e, r->event) == OK &&
           e->type == EVENT_COMPLETED && e->n_images > 0;
}

// All that is of one call is said to be of the job that made it.
static void name_source(struct task_share *s, const struct event *e)
{
    buf_clear(&s->of);
    if (e->deduped_of.len) {
        buf_add(&s->of, e->deduped_of);
        return;
    }
    buf_add(&s->of, buf_span(&s->batch));
    buf_add_byte(&s->of, '/');
    buf_add(&s->of, e->id);
}

static void share(struct task *t, const struct record *r, const struct event *e)
{
    struct task_share *s = t->share;
    t->parcel = parcel_shared(e, r->text, buf_span(&s->batch), s->index);
    if (!t->parcel) {
        task_say(t, QUEUE_REQUEUE, AGAIN_MS);
        return;
    }
    name_source(s, e);
    t->cost_micro = 0;
    random_bytes(t->call_id, sizeof t->call_id);
    task_store(t);
}

static void on_source(void *ctx, enum err e, struct span record, struct span why)
{
    struct task *t = ctx;
    struct record r;
    struct event ev;
    (void)why;
    if (t->lost)
        task_gone(t);
    else if (e == OK && matches(t->share, record, &r, &ev))
        share(t, &r, &ev);
    else if (e != OK && e != ERR_MISSING && err_retryable(e))
        task_say(t, QUEUE_REQUEUE, AGAIN_MS);
    else
        task_share_missing(t);
}

static void seek(struct task *t)
{
    struct sink_item item = {
        .batch = buf_span(&t->share->batch), .index = t->share->index, .run = 1};
    t->state = TASK_SEEKING;
    enum err e = t->host->sink->ops->lookup(t->host->sink, &item, on_source, t);
    if (e != OK)
        on_source(t, e, SPAN(""), SPAN(""));
}

static void refused(struct task *t)
{
    struct task_share *s = t->share;
    struct event e;
    if (event_decode(&e, buf_span(&s->refusal)) != OK || e.type != EVENT_FAILED) {
        task_want_slot(t);
        return;
    }
    name_source(s, &e);
    task_failed_as(t, &e, buf_span(&s->of));
}

// --- Asking ---------------------------------------------------------------------------------

static struct task *task_of_ask(struct pump_item *item)
{
    return (struct task *)((char *)item - offsetof(struct task, ask));
}

static void learn(struct task_share *s, const struct queue_answer *a)
{
    s->role = a->role;
    s->leads = a->role == QUEUE_LEADS || a->role == QUEUE_LEADS_LOOKING;
    buf_clear(&s->batch);
    buf_clear(&s->nonce);
    buf_clear(&s->refusal);
    buf_add(&s->batch, a->batch);
    buf_add(&s->nonce, a->nonce);
    buf_add(&s->refusal, a->event);
    s->index = a->index;
    s->input = a->input;
}

static void on_answers(void *ctx, enum err e, const struct queue_answer *a, size_t n)
{
    struct task_host *h = ctx;
    char marks[QUEUE_MAX_ASKED];
    size_t asked;
    struct pump_item *const *items = pump_under_way(h->asks, &asked);
    task_tell_refused(h, "who makes a request", e);
    if (e == ERR_LOST)
        lease_was_lost(h->lease);
    for (size_t i = 0; i < n && i < asked; i++) {
        learn(task_of_ask(items[i])->share, &a[i]);
        marks[i] = (char)a[i].role;
    }
    pump_answered(h->asks, e, (struct span){marks, n < asked ? n : asked});
}

static enum err send_asks(void *ctx, uint64_t number, struct pump_item *const *items, size_t n)
{
    struct task_host *h = ctx;
    struct queue_asked *all = calloc(n, sizeof *all);
    if (!all)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct task *t = task_of_ask(items[i]);
        all[i] = (struct queue_asked){.field = t->field,
                                      .digest = span_of(t->share->digest),
                                      .within_ms = (int64_t)(t->job.dedupe * 1000),
                                      .input = t->digest,
                                      .gone = buf_span(&t->share->gone)};
    }
    enum err e =
        queue_lead(h->queue, lease_incarnation(h->lease), number, n, all, on_answers, h);
    free(all);
    return e;
}

static void told_ask(void *ctx, struct pump_item *item, char mark)
{
    struct task_host *h = ctx;
    struct task *t = task_of_ask(item);
    switch (t->lost ? QUEUE_NOT_OURS : (enum queue_role)mark) {
    case QUEUE_LEADS:
        if (h->draining)
            task_say(t, QUEUE_REQUEUE, 0);
        else
            task_want_slot(t);
        return;
    case QUEUE_LEADS_LOOKING:
    case QUEUE_SHARES: seek(t); return;
    case QUEUE_SHARES_REFUSAL: refused(t); return;
    case QUEUE_FOLLOWS:
    case QUEUE_NOT_OURS: break;
    }
    task_gone(t);
}

const struct pump_ops task_ask_ops = {send_asks, NULL, told_ask};
