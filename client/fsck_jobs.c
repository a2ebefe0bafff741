// fsck_jobs.c - the jobs of one batch: states against counters and events.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/event.h"
#include "client/fsck_private.h"
#include "common/text.h"

#define CHUNK  65536u // states
#define EVENTS 1000u
#define LOOKS  5  // until nothing moves meanwhile
#define SHOWN  20 // problems of one kind and batch

// --- Reading --------------------------------------------------------------------------------

struct status {
    struct fsck *fsck;
    int64_t in, open, ev, ended[3];
    int64_t unknown;
};

static void on_status(void *ctx, enum err e, const struct queue_batch *b)
{
    struct status *s = ctx;
    s->fsck->done = true;
    s->fsck->err = e;
    if (e != OK)
        return;
    s->in = b->in;
    s->open = b->open;
    s->ev = b->last_event;
    s->ended[0] = b->completed;
    s->ended[1] = b->failed;
    s->ended[2] = b->cancelled;
    s->unknown = b->possible_double_bill;
}

static enum err status_of(struct fsck_batch *b, struct status *s)
{
    s->fsck = b->fsck;
    enum err e = fsck_wait(b->fsck, queue_status(b->fsck->queue, b->name, on_status, s));
    if (e == OK && (s->in < 0 || s->in > QUEUE_MAX_INDEX))
        e = ERR_FORMAT;
    return e;
}

struct look { // at some states
    struct fsck_batch *batch;
    uint32_t first;
};

static void on_states(void *ctx, enum err e, const uint8_t *states, size_t n)
{
    struct look *l = ctx;
    l->batch->fsck->done = true;
    l->batch->fsck->err = e;
    for (size_t i = 0; i < n; i++)
        l->batch->jobs[l->first + i].state = states[i];
}

enum err fsck_states(struct fsck_batch *b)
{
    enum err e = OK;
    for (uint32_t at = 0; e == OK && at < b->n; at += CHUNK) {
        struct look l = {b, at};
        uint32_t n = b->n - at < CHUNK ? b->n - at : CHUNK;
        e = fsck_wait(b->fsck, queue_states(b->fsck->queue, b->name, at, n, on_states, &l));
    }
    return e;
}

static enum err read_runs(struct fsck_batch *b)
{
    struct fsck_names runs = {.fsck = b->fsck};
    const char *index, *run;
    size_t at = 0;
    enum err e =
        fsck_wait(b->fsck, check_runs(b->fsck->queue, b->name, fsck_take_names, &runs));
    for (uint32_t i = 0; i < b->n; i++)
        b->jobs[i].run = 1;
    while (e == OK && (index = fsck_next_name(&runs, &at)) &&
           (run = fsck_next_name(&runs, &at))) {
        uint64_t i, v;
        if (text_uint(span_of(index), 0, QUEUE_MAX_INDEX, &i) == OK && i < b->n &&
            text_uint(span_of(run), 2, UINT16_MAX, &v) == OK)
            b->jobs[i].run = (uint16_t)v;
        else
            fsck_problem(b->fsck, false,
                         "batch %.*s: job %.20s is in run %.20s, which cannot be",
                         (int)b->name.len, b->name.ptr, index, run);
    }
    buf_free(&runs.text);
    return e;
}

struct page { // of events
    struct fsck_batch *batch;
    uint64_t last;   // that was read
    int64_t unknown; // calls of unknown outcome
    unsigned strange;
};

static void take_event(struct page *p, const struct event *e, uint64_t number)
{
    struct fsck_batch *b = p->batch;
    p->unknown += e->type == EVENT_UNKNOWN;
    if (!event_terminal(e->type))
        return;
    if (e->index >= b->n || e->run > b->jobs[e->index].run) {
        if (p->strange++ < SHOWN)
            fsck_problem(b->fsck, false,
                         "batch %.*s: event %" PRIu64 " ends job %u in run %u, which is not",
                         (int)b->name.len, b->name.ptr, number, e->index, e->run);
    } else if (e->run == b->jobs[e->index].run && b->jobs[e->index].told < UINT8_MAX) {
        b->jobs[e->index].told++;
    }
}

static void on_events(void *ctx, enum err e, const struct queue_event *ev, size_t n)
{
    struct page *p = ctx;
    struct event event;
    p->batch->fsck->done = true;
    p->batch->fsck->err = e;
    uint64_t from = p->last;
    for (size_t i = 0; i < n && ev[i].number <= (uint64_t)p->batch->ev; i++) {
        p->last = ev[i].number;
        if (event_decode(&event, ev[i].bytes) == OK)
            take_event(p, &event, ev[i].number);
        else if (p->strange++ < SHOWN)
            fsck_problem(p->batch->fsck, false, "batch %.*s: event %" PRIu64 " cannot be read",
                         (int)p->batch->name.len, p->batch->name.ptr, ev[i].number);
    }
    p->batch->fsck->next = p->last > from; // there is more
    p->batch->fsck->result->events += p->last - from;
}

static enum err read_events(struct fsck_batch *b, int64_t *unknown)
{
    struct page p = {.batch = b};
    enum err e = OK;
    do {
        e = fsck_wait(b->fsck,
                      queue_events(b->fsck->queue, b->name, p.last, EVENTS, 0, on_events, &p));
    } while (e == OK && b->fsck->next && p.last < (uint64_t)b->ev);
    *unknown = p.unknown;
    return e;
}

// --- Comparing ------------------------------------------------------------------------------

static void compare_told(struct fsck_batch *b)
{
    unsigned wrong = 0;
    for (uint32_t i = 0; i < b->n; i++) {
        const struct fsck_job *j = &b->jobs[i];
        if (j->told == (j->state != 0) || wrong++ >= SHOWN)
            continue;
        fsck_problem(b->fsck, false,
                     "batch %.*s: job %" PRIu32 " is %s and has %u terminal events of run %u",
                     (int)b->name.len, b->name.ptr, i, j->state ? "over" : "open", j->told,
                     j->run);
    }
    if (wrong > SHOWN)
        fsck_problem(b->fsck, false, "batch %.*s: and %u more like that", (int)b->name.len,
                     b->name.ptr, wrong - SHOWN);
}

static void on_mended(void *ctx, enum err e, int64_t value)
{
    (void)value;
    struct fsck *f = ctx;
    f->done = true;
    f->err = e;
}

#define COUNTERS 4

static enum err compare_counters(struct fsck_batch *b, const struct status *s, int64_t unknown)
{
    static const char *const names[COUNTERS] = {"completed", "failed", "cancelled",
                                                "calls of unknown outcome"};
    const int64_t told[COUNTERS] = {s->ended[0], s->ended[1], s->ended[2], s->unknown};
    int64_t is[4] = {0}; // by state, of which 0 is open
    for (uint32_t i = 0; i < b->n; i++)
        is[b->jobs[i].state & 3]++;
    const struct check_counters counted = {b->ev, {is[1], is[2], is[3]}, unknown};
    const int64_t right[COUNTERS] = {is[1], is[2], is[3], unknown};
    enum err e = ERR_MISSING;
    if (memcmp(told, right, sizeof told) == 0)
        return OK;
    if (b->fsck->options->mend)
        e = fsck_wait(b->fsck, check_mend_counters(b->fsck->queue, b->name, &counted, on_mended,
                                                   b->fsck));
    for (int k = 0; k < COUNTERS; k++)
        if (right[k] != told[k])
            fsck_problem(b->fsck, e == OK, "batch %.*s: %s: %" PRId64 ", counted %" PRId64,
                         (int)b->name.len, b->name.ptr, names[k], right[k], told[k]);
    return e == ERR_MISSING ? OK : e;
}

// States, runs and counters of one moment: when no event was written meanwhile.
static enum err snapshot(struct fsck_batch *b, struct status *s, bool *still)
{
    struct status after;
    enum err e = OK;
    *still = false;
    for (int look = 0; e == OK && !*still && look < LOOKS; look++) {
        e = status_of(b, s);
        free(b->jobs);
        b->n = e == OK ? (uint32_t)s->in : 0;
        if (!(b->jobs = calloc(b->n + 1, sizeof *b->jobs)))
            return ERR_NOMEM;
        if (e == OK && (e = read_runs(b)) == OK && (e = fsck_states(b)) == OK)
            e = status_of(b, &after);
        *still = e == OK && after.ev == s->ev && after.in == s->in;
    }
    b->ev = s->ev;
    b->open = s->open;
    return e;
}

enum err fsck_jobs(struct fsck *f, const char *batch)
{
    struct fsck_batch b = {.fsck = f, .name = span_of(batch)};
    struct status s = {0};
    int64_t unknown;
    bool still;
    enum err e = snapshot(&b, &s, &still);
    if (e == OK && still && (e = read_events(&b, &unknown)) == OK) {
        compare_told(&b);
        e = compare_counters(&b, &s, unknown);
    }
    if (e == OK)
        e = fsck_places(&b);
    f->result->jobs += b.n;
    free(b.jobs);
    return e;
}
