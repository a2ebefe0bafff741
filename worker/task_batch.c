// task_batch.c - see task_batch.h.
#include "worker/task_batch.h"

#include <string.h>

#include "common/clock.h"
#include "worker/purse.h"
#include "worker/task_private.h"

// Told, for from now on it costs the full price.
static void go_standard(struct task *t)
{
    struct event e = task_event(t, EVENT_STEP);
    e.step = SPAN("standard_lane");
    task_add_event(t, &e);
    task_say(t, QUEUE_STANDARD, 0);
}

// --- Gathered -------------------------------------------------------------------------------

bool task_wants_batch(const struct task *t)
{
    return t->job.lane == JOB_BATCH;
}

bool task_is_gathered(const struct task *t)
{
    return t->state == TASK_GATHERED;
}

void task_gather(struct task *t)
{
    t->state = TASK_GATHERED;
    if (!task_past(t, task_due(t))) {
        task_gather_purse(t);
        return;
    }
    task_release(t);
    if (task_past(t, t->expires))
        task_too_late(t);
    else
        go_standard(t);
}

// Of an image as base64, with room to spare: batches of a gigabyte were made and could never be
// fetched. Source: reports of users; sizes as recorded.
static uint64_t answer_bytes(struct span size)
{
    static const struct {
        const char *size;
        uint64_t bytes;
    } sizes[] = {{"512", 1u << 20}, {"2K", 9u << 20}, {"4K", 28u << 20}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (span_is(size, sizes[i].size))
            return sizes[i].bytes;
    return 3u << 20;
}

struct task_lot task_lot(const struct task *t)
{
    return (struct task_lot){.batch = buf_span(&t->batch),
                             .model = t->job.model,
                             .mark = {.field = t->field,
                                      .worst = task_worst(t),
                                      .fail_unknown = t->job.fail_unknown},
                             .affordable = t->affordable,
                             .day = purse_day(t->purse),
                             .project = span_of(task_project(t)),
                             .bytes_in = t->input.len,
                             .bytes_out = answer_bytes(t->job.image_size)};
}

void task_named(struct task *t, bool named)
{
    t->named = named;
}

void task_moved(struct task *t, char mark)
{
    t->named = false;
    if (t->state != TASK_GATHERED)
        return; // it has ended meanwhile, and says so itself
    task_release(t);
    if (mark == '1')
        task_close_purse(t, &(struct purse_took){.sent = true, .unknown = true});
    if (mark == 'b')
        task_say(t, QUEUE_REQUEUE, TASK_ROOM_WAIT_MS);
    else if (mark == 'B')
        task_say(t, QUEUE_ASIDE, task_worst(t));
    else if (mark == 'u')
        task_unpriced(t);
    else
        task_gone(t);
}

// --- Rows ------------------------------------------------------------------------------------

struct task *task_row_new(struct task_host *h, const struct queue_claimed *c,
                          const char *project, int64_t begun_ms)
{
    struct task *t = task_new(h, 1, c);
    if (!t)
        return NULL;
    t->state = TASK_ROW;
    t->row = true;
    t->begun_ms = begun_ms;
    t->pass.gate = route_gate(t->route, span_of(project));
    return t;
}

void task_row_check(struct task *t)
{
    if (t->invalid.len)
        task_failed(t, CODE_BAD_REQUEST, SPAN(""), buf_span(&t->invalid), false);
}

const struct job *task_job(const struct task *t)
{
    return &t->job;
}

bool task_row_waits(const struct task *t)
{
    return t->state == TASK_ROW;
}

bool task_row_is_over(const struct task *t)
{
    return t->over;
}

void task_row(struct task *t, const uint8_t *call_id, struct provider_result *r)
{
    memcpy(t->call_id, call_id, sizeof t->call_id);
    t->sent_us = clock_boot_us();
    t->state = TASK_CALLING;
    task_result(t, r);
}

static void add_unknown(struct task *t)
{
    struct event e = task_event(t, EVENT_UNKNOWN);
    e.code = t->over ? CODE_CANCELLED : CODE_TIMEOUT;
    e.message = SPAN("its batch was given up, and it may have been made");
    e.policy = t->over || t->job.fail_unknown ? SPAN("fail") : SPAN("retry");
    task_made(t, &(struct provider_result){.code = e.code});
    t->say.figures.unknown++;
    t->say.figures.calls++;
    task_add_event(t, &e);
}

void task_row_back(struct task *t, bool unknown)
{
    task_correct_purse(t, &(struct purse_took){.unknown = unknown});
    if (unknown)
        add_unknown(t);
    if (t->over) {
        struct event e = task_event(t, EVENT_CANCELLED);
        task_add_event(t, &e);
        task_say(t, QUEUE_CANCELLED, 0);
    } else if (unknown && t->job.fail_unknown) {
        task_failed(t, CODE_TIMEOUT, SPAN(""), SPAN("its batch was given up"), true);
    } else if (task_past(t, t->expires)) {
        task_too_late(t);
    } else if (task_past(t, t->batch_due)) {
        go_standard(t);
    } else {
        task_say(t, QUEUE_REQUEUE, 0);
    }
}
