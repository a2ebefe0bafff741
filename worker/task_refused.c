// task_refused.c - an answer without an image, or none at all: tried again, waited for, or
// given up.
#include <stdio.h>
#include <stdlib.h>

#include "common/backoff.h"
#include "common/log.h"
#include "common/text.h"
#include "worker/provider.h"
#include "worker/task_private.h"
#include "worker/uplink.h"

#define BASE_S       1.0  // of the backoff
#define CAP_S        60.0 //
#define SHORT_S      20.0 // waits up to here stay in this process
#define MAX_ATTEMPTS 5    // unless the job says otherwise
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
// here do so each a little differently. Who waits long does it in the queue, and no longer than
// the groups are closed: nobody claims of those, and somebody may open them sooner.
static void go_on_elsewhere(struct task *t, double most)
{
    double wait = route_wait(t->route);
    if (wait > most)
        wait = most;
    if (wait > SHORT_S)
        task_say(t, QUEUE_REQUEUE, 0);
    else
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

// `by`: as in gate_block().
static void block_gate(struct task *t, const char *by, enum code code, struct span why,
                       double seconds)
{
    struct span group = gate_group(t->pass.gate);
    if (gate_block(t->pass.gate, by, seconds))
        log_warn("blocked", "group=%.*s code=%s why=" LOGQ, (int)group.len, group.ptr,
                 code_name(code), why.len ? why.ptr : "");
}

// Somebody must mend something, or pay, before the project can use any model.
static bool is_of_project(const struct provider_result *r)
{
    return r->quota == QUOTA_CREDITS || (r->code == CODE_PERMISSION && !r->bad_key);
}

// The batch is told when no project is left that could go on.
static void block(struct task *t, const struct provider_result *r)
{
    static const char *const kinds[] = {
        [QUOTA_DAILY] = "/daily", [QUOTA_ZERO] = "/none", [QUOTA_CREDITS] = "/credits"};
    char by[40];
    snprintf(by, sizeof by, "%s%s", code_name(r->code), kinds[r->quota] ? kinds[r->quota] : "");
    block_gate(t, by, r->code, r->message, r->delay_floor);
    if (is_of_project(r))
        gate_block_project(t->pass.gate, by, r->delay_floor);
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
    if (gate_unblock(t->pass.gate, t->sent_us))
        log_info("no longer blocked", "group=%.*s", (int)gate_group(t->pass.gate).len,
                 gate_group(t->pass.gate).ptr);
    if (route_told(t->route, buf_span(&t->batch))) {
        struct event e = task_event(t, EVENT_UNBLOCKED);
        e.group = gate_group(t->pass.gate);
        task_add_event(t, &e);
    }
}

// No byte of it left: there is no way to the provider.
static bool is_unreached(const struct task *t, const struct provider_result *r)
{
    return !t->row && !r->sent && (r->code == CODE_NETWORK || r->code == CODE_TIMEOUT);
}

// Whether the provider has said anything; a cut connection says nothing of keys and quotas.
static bool is_answered(const struct provider_result *r)
{
    return r->code != CODE_NETWORK && r->code != CODE_TIMEOUT && r->retry != RETRY_BLOCK &&
           r->retry != RETRY_KEY;
}

void task_reached(struct task *t, const struct provider_result *r)
{
    if (!is_unreached(t, r))
        uplink_reached(t->host->uplink, t->sent_us);
    if (is_answered(r) || (r->sent && gate_blocked_by(t->pass.gate, CODE_NETWORK)))
        unblock(t);
}

// Others, on other hosts, may have a way; here one call finds out now and then. No attempt is
// burnt.
static void hold(struct task *t, const struct provider_result *r, double seconds)
{
    block_gate(t, code_name(CODE_NETWORK), CODE_NETWORK, r->message, seconds);
    task_say(t, QUEUE_REQUEUE, 0);
}

// The answer is the request's own, or nobody knows whose.
static void use_up_attempt(struct task *t, const struct provider_result *r)
{
    if (r->code == CODE_OVERLOADED)
        gate_refused(t->pass.gate, r->delay_floor, t->sent_us, LIMIT_BY_CAPACITY);
    if (t->ticket.attempts < UINT8_MAX)
        t->ticket.attempts++;
    if (may_retry(t, r))
        try_again(t, r);
    else
        task_failed(t, r->code, r->reason, r->message, r->retry != RETRY_NO);
}

void task_no_image(struct task *t, const struct provider_result *r)
{
    t->made.outcome = r->code;
    if (r->unknown) {
        t->say.figures.unknown++;
        add_problem(t, EVENT_UNKNOWN, r->code, r->reason, r->message, true, 0);
    }
    double seconds = is_unreached(t, r) ? uplink_failed(t->host->uplink) : 0;
    if (seconds > 0)
        hold(t, r, seconds);
    else if (r->retry == RETRY_COOL)
        cool_down(t, r);
    else if (r->retry == RETRY_BLOCK)
        block(t, r);
    else if (r->retry == RETRY_KEY)
        use_another_key(t);
    else
        use_up_attempt(t, r);
}
