// task_result.c - what becomes of an answer: stored, tried again, or given up.
#include <stdio.h>
#include <stdlib.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "worker/provider.h"
#include "worker/purse.h"
#include "worker/storage.h"
#include "worker/task_private.h"

#define BASE_S       1.0  // of the backoff
#define CAP_S        60.0 //
#define SHORT_S      20.0 // waits up to here stay in this process
#define MAX_ATTEMPTS 5    // unless the job says otherwise
#define STORE_CAP_S  2.0
#define STORE_TRIES  2    // that fail before it is told
#define MAX_MESSAGE  1000 // bytes of the provider's words that are kept

static void cut(struct span *s)
{
    if (s->len > MAX_MESSAGE)
        s->len = MAX_MESSAGE;
    while (s->len > 0 && !text_utf8(*s, NULL) && s->len + 4 > MAX_MESSAGE)
        s->len--;
}

static void add_problem(struct task *t, enum event_type type, enum code code,
                        struct span reason, struct span message, bool retryable,
                        int64_t delay_ms)
{
    struct event e = task_event(t, type);
    cut(&message);
    cut(&reason);
    e.code = code;
    e.reason = reason;
    e.message = message;
    e.retryable = retryable;
    e.delay_ms = delay_ms;
    if (type == EVENT_UNKNOWN)
        e.policy = t->job.fail_unknown ? SPAN("fail") : SPAN("retry");
    task_add_event(t, &e);
}

// Whether whoever asks for the same would be refused, too.
static bool of_request(enum code code)
{
    return code == CODE_SAFETY || code == CODE_PROHIBITED || code == CODE_RECITATION ||
           code == CODE_BAD_REQUEST;
}

void task_failed(struct task *t, enum code code, struct span reason, struct span message,
                 bool retryable)
{
    add_problem(t, EVENT_FAILED, code, reason, message, retryable, 0);
    task_say(t, task_leads(t) && of_request(code) ? QUEUE_REFUSED : QUEUE_FAILED, 0);
}

void task_failed_as(struct task *t, const struct event *of, struct span whose)
{
    struct event e = task_event(t, EVENT_FAILED);
    e.code = of->code;
    e.reason = of->reason;
    e.message = of->message;
    e.retryable = of->retryable;
    e.deduped_of = whose;
    task_add_event(t, &e);
    task_say(t, QUEUE_FAILED, 0);
}

// --- Counting -------------------------------------------------------------------------------

static void end_at_gate(struct task *t, const struct provider_result *r, int64_t cost)
{
    struct gate_outcome o = {.sent_us = t->sent_us,
                             .went_well = r->code == CODE_OK,
                             .refused = r->code == CODE_RATE_LIMITED ||
                                        r->code == CODE_QUOTA_EXHAUSTED,
                             .took = {r->n_images, r->input_tokens, cost}};
    if (r->unknown)
        o.took = t->pass.takes; // as reckoned, for all we know
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

// --- Trying again ---------------------------------------------------------------------------

// Short waits stay here, without holding a slot; long ones go back to the queue.
static void wait_or_return(struct task *t, double seconds)
{
    if (t->host->draining || seconds > SHORT_S) {
        task_say(t, QUEUE_REQUEUE, (int64_t)(seconds * 1000) + 1);
        return;
    }
    t->noted = t->rested = false;
    task_timer(t, seconds);
    task_say(t, QUEUE_NOTE, 0);
}

static unsigned most_attempts(const struct task *t)
{
    return t->job.max_attempts ? t->job.max_attempts : MAX_ATTEMPTS;
}

static bool may_retry(const struct task *t, const struct provider_result *r)
{
    if (r->retry == RETRY_NO || (r->unknown && t->job.fail_unknown))
        return false;
    if (r->retry == RETRY_LIMITED && t->ticket.attempts > r->retry_limit)
        return false;
    return t->ticket.attempts < most_attempts(t);
}

static void try_again(struct task *t, const struct provider_result *r)
{
    double seconds = backoff_delay(t->ticket.attempts, BASE_S, CAP_S, r->delay_floor);
    t->say.figures.retries++;
    add_problem(t, EVENT_RETRYING, r->code, r->reason, r->message, true,
                (int64_t)(seconds * 1000));
    wait_or_return(t, seconds);
}

static void count_limited(struct task *t)
{
    if (t->ticket.limited < UINT16_MAX)
        t->ticket.limited++;
}

// Goes on as soon as some project lets it, after `most` seconds at the latest; those that wait
// do so each a little differently.
static void go_on_elsewhere(struct task *t, double most)
{
    double wait = route_wait(t->route);
    if (wait > most)
        wait = most;
    wait_or_return(t, wait > 0 ? wait + backoff_delay(1, 0.5, 0.5, 0.) : 0);
}

// A 429 burns no attempt: the whole group waits, unless another project has room.
static void cool_down(struct task *t, const struct provider_result *r)
{
    count_limited(t);
    enum limit_cause cause = r->quota == QUOTA_RATE    ? LIMIT_BY_RATE
                             : r->quota == QUOTA_SPEND ? LIMIT_BY_SPEND
                                                       : LIMIT_BY_CAPACITY;
    double seconds = r->delay_floor > 0 ? r->delay_floor
                                        : backoff_delay(t->ticket.limited, BASE_S, CAP_S, 0.);
    gate_refused(t->pass.gate, seconds, t->sent_us, cause);
    gate_learned(t->pass.gate, r->allows);
    t->say.figures.retries++;
    go_on_elsewhere(t, seconds);
}

// The key was refused, and its project has another.
static void use_another_key(struct task *t)
{
    count_limited(t);
    go_on_elsewhere(t, 0);
}

static void tell_blocked(struct task *t, const struct provider_result *r)
{
    struct event e = task_event(t, EVENT_BLOCKED);
    e.group = gate_group(t->pass.gate);
    e.code = r->code;
    e.reason = r->reason;
    e.message = r->message;
    cut(&e.message);
    e.until_ms = route_closed_until_ms(t->route);
    task_add_event(t, &e);
}

// The batch is told when no project is left that could go on.
static void block(struct task *t, const struct provider_result *r)
{
    static const char *const kinds[] = {
        [QUOTA_DAILY] = "/daily", [QUOTA_ZERO] = "/none", [QUOTA_CREDITS] = "/credits"};
    struct span group = gate_group(t->pass.gate);
    char by[40];
    snprintf(by, sizeof by, "%s%s", code_name(r->code), kinds[r->quota] ? kinds[r->quota] : "");
    if (gate_block(t->pass.gate, by, r->delay_floor))
        log_warn("blocked", "group=%.*s code=%s why=" LOGQ, (int)group.len, group.ptr,
                 code_name(r->code), r->message.len ? r->message.ptr : "");
    gate_learned(t->pass.gate, r->allows);
    count_limited(t);
    if (!route_blocked(t->route)) {
        go_on_elsewhere(t, r->delay_floor);
        return;
    }
    if (route_tell(t->route, buf_span(&t->batch)))
        tell_blocked(t, r);
    task_say(t, QUEUE_REQUEUE, 0);
}

static void unblock(struct task *t)
{
    if (gate_unblock(t->pass.gate))
        log_info("no longer blocked", "group=%.*s", (int)gate_group(t->pass.gate).len,
                 gate_group(t->pass.gate).ptr);
    if (route_told(t->route, buf_span(&t->batch))) {
        struct event e = task_event(t, EVENT_UNBLOCKED);
        e.group = gate_group(t->pass.gate);
        task_add_event(t, &e);
    }
}

static void no_image(struct task *t, const struct provider_result *r)
{
    t->made.outcome = r->code;
    if (r->unknown) {
        t->say.figures.unknown++;
        add_problem(t, EVENT_UNKNOWN, r->code, r->reason, r->message, true, 0);
    }
    if (r->retry == RETRY_COOL) {
        cool_down(t, r);
        return;
    }
    if (r->retry == RETRY_BLOCK) {
        block(t, r);
        return;
    }
    if (r->retry == RETRY_KEY) {
        use_another_key(t);
        return;
    }
    if (r->code == CODE_OVERLOADED)
        gate_refused(t->pass.gate, 0, t->sent_us, LIMIT_BY_CAPACITY);
    if (t->ticket.attempts < UINT8_MAX)
        t->ticket.attempts++;
    if (may_retry(t, r))
        try_again(t, r);
    else
        task_failed(t, r->code, r->reason, r->message, r->retry != RETRY_NO);
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

// Redis being away is no trouble of the storage: it is waited for in any case.
static bool is_away(enum err e)
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
    if (t->store_tries >= STORE_TRIES && !is_away(e))
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

static void on_stored(void *ctx, enum err e, const struct record *r, bool adopted,
                      struct span why)
{
    struct task *t = ctx;
    struct event first;
    if (e == ERR_MISSING && parcel_is_shared(t->parcel)) {
        no_longer_stuck(t);
        task_share_missing(t);
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
    no_image(t, &r);
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
        no_image(t, &none);
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
    if ((r->retry != RETRY_BLOCK && r->retry != RETRY_KEY) || r->code == CODE_OK)
        unblock(t);
    if (r->code == CODE_OK)
        image(t, r);
    else
        no_image(t, r);
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
