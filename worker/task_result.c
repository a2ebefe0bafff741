// task_result.c - what becomes of an answer: its images are checked and stored; see
// task_refused.c for one without.
#include <stdlib.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/provider.h"
#include "worker/purse.h"
#include "worker/storage.h"
#include "worker/task_private.h"

#define STORE_CAP_S 2.0
#define STORE_TRIES 2 // that fail before it is told

// --- Counting -------------------------------------------------------------------------------

static void end_at_gate(struct task *t, const struct provider_result *r, int64_t cost)
{
    struct gate_outcome o = {.sent_us = t->sent_us,
                             .went_well = r->code == CODE_OK,
                             .refused = r->code == CODE_RATE_LIMITED ||
                                        r->code == CODE_QUOTA_EXHAUSTED,
                             .took = {r->n_images, r->input_tokens, cost}};
    if (!r->has_usage) { // as reckoned, for all we know
        o.took.images = t->pass.takes.images;
        o.took.tokens = t->pass.takes.tokens;
    }
    if (r->unknown)
        o.took = t->pass.takes;
    gate_end(&t->pass, r->sent ? &o : NULL);
}

static uint32_t u32(int64_t v)
{
    return v < 0 ? 0 : v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static void count_usage(struct task *t, const struct provider_result *r, int64_t cost)
{
    t->say.figures.cost_micro += cost;
    t->say.figures.input_tokens += u32(r->input_tokens);
    t->say.figures.output_tokens += u32(r->output_tokens);
}

// --- Images ---------------------------------------------------------------------------------

static void completed(struct task *t)
{
    task_say(t, QUEUE_COMPLETED, 0);
}

// The event to settle with, and what is counted of its images.
static void add_completed(struct task *t, struct event *e)
{
    e->run = t->ticket.run;
    t->say.figures.images = (uint16_t)e->n_images;
    for (unsigned i = 0; i < e->n_images; i++)
        t->say.figures.bytes += u32((int64_t)e->images[i].bytes);
    task_add_event(t, e);
}

static void no_longer_stuck(struct task *t)
{
    if (t->store_tries > 0)
        t->host->stuck--;
    t->store_tries = 0;
}

// `e`: what another one stored first; NULL: ours is stored.
static void stored(struct task *t, const struct record *r, struct event *e)
{
    struct parcel *p = t->parcel; // `r` lives in it
    no_longer_stuck(t);
    t->parcel = NULL;
    if (e) {
        log_warn("stored before", "batch=%s index=%u", buf_str(&t->batch), t->ticket.index);
        add_completed(t, e);
        task_adopt(t, r, e, completed);
    } else {
        t->say.figures.images = (uint16_t)(t->say.figures.images + parcel_images(p));
        t->say.figures.bytes += u32((int64_t)parcel_bytes(p));
        task_add_encoded(t, r->event);
        completed(t);
    }
    parcel_free(p);
}

// That is no trouble of the storage.
bool task_is_away(enum err e)
{
    return e == ERR_NET || e == ERR_TIMEOUT || e == ERR_BUSY || e == ERR_LOST;
}

static void not_stored(struct task *t, enum err e, struct span why)
{
    if (t->store_tries++ == 0) {
        t->host->stuck++;
        log_error("cannot store an image", "batch=%s index=%u why=\"%.*s\"", buf_str(&t->batch),
                  t->ticket.index, (int)why.len, why.ptr);
    }
    if (t->store_tries >= STORE_TRIES && !task_is_away(e))
        storage_fails(t->host->storage, why);
    t->state = TASK_STORE_WAIT;
    task_timer(t, backoff_delay(t->store_tries, 0.5, STORE_CAP_S, 0.2));
}

// The record is that of our own call: an earlier try stored it, and failed later, or its answer
// was lost.
static bool is_ours(const struct task *t, const struct record *r)
{
    return span_equal(r->call_id, (struct span){(const char *)t->call_id, sizeof t->call_id});
}

// The image that was to be shared has gone. An earlier try may have stored it all the same:
// where only its answer was lost, no call need be made.
static void source_missing(struct task *t)
{
    bool tried = t->store_tries > 0;
    no_longer_stuck(t);
    if (!tried) {
        task_share_missing(t);
        return;
    }
    parcel_free(t->parcel);
    t->parcel = NULL;
    task_look_up(t);
}

static void on_stored(void *ctx, enum err e, const struct record *r, bool adopted,
                      struct span why)
{
    struct task *t = ctx;
    struct event first;
    if (e == ERR_MISSING && parcel_is_shared(t->parcel)) {
        source_missing(t);
        return;
    }
    if (e == OK && adopted)
        adopted = !is_ours(t, r);
    if (e == OK && adopted && event_decode(&first, r->event) != OK)
        e = ERR_FORMAT;
    if (e == OK)
        stored(t, r, adopted ? &first : NULL);
    else
        not_stored(t, e, why.len ? why : span_of(err_text(e)));
}

// An image in hand is never given up for want of room: it stays in its spool until it can be
// stored, and the worker claims nothing more meanwhile.
void task_store(struct task *t)
{
    struct parcel_label l = {.job = &t->job,
                             .id = buf_span(&t->id),
                             .batch = buf_span(&t->batch),
                             .nonce = buf_span(&t->nonce),
                             .worker = span_of(t->host->name),
                             .call_id = {(char *)t->call_id, sizeof t->call_id},
                             .digest = t->digest,
                             .index = t->ticket.index,
                             .total = t->total,
                             .run = t->ticket.run,
                             .attempts =
                                 (uint16_t)(t->ticket.attempts + !parcel_is_shared(t->parcel)),
                             .cost_micro = t->cost_micro,
                             .deduped_of = task_shared_of(t),
                             .spare_s = task_leads(t) ? (int64_t)t->job.dedupe + 1 : 0};
    t->state = TASK_STORING;
    enum err e = parcel_store(t->parcel, t->host->sink, &l, on_stored, t);
    if (e != OK)
        on_stored(t, e, NULL, false, SPAN(""));
}

static void on_checked(void *ctx, enum err e, struct span why)
{
    struct task *t = ctx;
    if (e == OK) {
        task_store(t);
        return;
    }
    struct provider_result r = {.code = e == ERR_FORMAT || e == ERR_TOOBIG ? CODE_BAD_IMAGE
                                                                           : CODE_STORAGE,
                                .retry = RETRY_YES,
                                .message = why};
    struct parcel *p = t->parcel; // `why` lives in it
    t->parcel = NULL;
    task_no_image(t, &r);
    parcel_free(p);
}

static void image(struct task *t, struct provider_result *r)
{
    t->parcel = parcel_new(r);
    if (!t->parcel) {
        struct provider_result none = {.code = CODE_STORAGE,
                                       .retry = RETRY_YES,
                                       .unknown = true,
                                       .message = SPAN("out of memory")};
        task_no_image(t, &none);
        return;
    }
    t->state = TASK_CHECKING;
    parcel_check(t->parcel, t->host->pool, t->host->verify, on_checked, t);
}

void task_result(void *ctx, struct provider_result *r)
{
    struct task *t = ctx;
    t->call = NULL;
    if (r->withheld) {
        task_withhold(t);
        return;
    }
    task_release(t);
    task_made(t, r);
    t->cost_micro = task_cost(t, r);
    end_at_gate(t, r, t->cost_micro);
    const struct purse_took took = {r->sent, r->unknown, r->n_images, t->cost_micro};
    if (t->row)
        task_correct_purse(t, &took);
    else
        task_close_purse(t, &took);
    count_usage(t, r, t->cost_micro);
    t->say.figures.calls += r->sent;
    task_reached(t, r);
    if (r->code == CODE_OK)
        image(t, r);
    else
        task_no_image(t, r);
}

// --- Found ----------------------------------------------------------------------------------

// What an earlier delivery stored but could not settle.
void task_found(struct task *t, struct span record)
{
    struct record r;
    struct event e;
    if (record_decode(&r, record) != OK || r.digest != t->digest ||
        !span_equal(r.nonce, buf_span(&t->nonce)) || event_decode(&e, r.event) != OK ||
        e.type != EVENT_COMPLETED) {
        task_begin(t);
        return;
    }
    add_completed(t, &e);
    task_adopt(t, &r, &e, completed);
}
