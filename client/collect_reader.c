// collect_reader.c - see collect_reader.h.
#include "client/collect_reader.h"

#include <ev.h>

#include "client/session.h"
#include "common/clock.h"

#define READ    500 // events at once
#define BLOCK_S 1.0

// It has until jobs of it are opened again; what late workers tell of their calls changes
// nothing, and who begins behind its end sees no more.
bool collect_reader_ended_by(const struct collect_reader *r, const struct event *e,
                             uint64_t number, bool ended)
{
    return e->type == EVENT_BATCH_DONE || (ended && e->type != EVENT_REOPENED) ||
           (r->known_done && number == r->known_last);
}

static enum err add(struct collect_reader *r, const struct queue_event *ev)
{
    const struct collect_arrival *i;
    enum err e = collect_arrivals_add(r->arrivals, ev, &i);
    if (e != OK)
        return e;
    r->done_seen = collect_reader_ended_by(r, &i->event, i->number, r->done_seen);
    r->at_end = r->done_seen && i->number >= r->known_last;
    return OK;
}

static const struct redis *redis_of(const struct collect_reader *r)
{
    return session_wait_redis(r->patience.session);
}

// Those of the connection that waits for events, not of the other.
static const char *words_of(const struct collect_reader *r, enum err e)
{
    return patience_words_of(redis_of(r), e);
}

// A lost connection is made again with pauses of its own; a server that is busy is asked again
// with ours.
static void note_away(struct collect_reader *r, enum err e)
{
    enum err kind = e == ERR_BUSY ? ERR_BUSY : ERR_NET;
    double pause = patience_note(&r->patience, kind, words_of(r, e));
    r->read_ms = clock_mono_ms() + (e == ERR_BUSY ? (int64_t)(pause * 1000) : 0);
}

// The answer to a read. false: Redis is away, and it will be read again.
static bool answered(struct collect_reader *r, enum err e)
{
    r->reading = false;
    r->course->moved = true;
    if (patience_is_away(e)) {
        note_away(r, e);
        trail_doubt(&r->trail);
        return false;
    }
    patience_well(&r->patience);
    return true;
}

static void note_err(struct collect_reader *r, enum err e)
{
    if (r->course->err == OK)
        r->course->err = e;
}

static void on_events(void *ctx, enum err e, const struct queue_event *ev, size_t n)
{
    struct collect_reader *r = ctx;
    if (!answered(r, e))
        return;
    r->nothing_new = e == OK && n == 0;
    for (size_t i = 0; e == OK && i < n; i++)
        e = add(r, &ev[i]);
    if (e == OK && n > 0)
        trail_step(&r->trail, &ev[n - 1]);
    note_err(r, e);
}

static void on_last_event(void *ctx, enum err e, const struct queue_event *ev, size_t n)
{
    struct collect_reader *r = ctx;
    if (!answered(r, e))
        return;
    if (e == OK && !trail_same(&r->trail, ev, n)) {
        trail_explain(&r->trail, TRAIL_BEGIN_AGAIN, r->course->why);
        e = ERR_ORDER;
    }
    note_err(r, e);
}

void collect_reader_read(struct collect_reader *r)
{
    struct queue *q = session_waiter(r->patience.session);
    if (r->reading || r->at_end || collect_arrivals_full(r->arrivals) ||
        clock_mono_ms() < r->read_ms || !redis_ready(redis_of(r)))
        return;
    if (trail_doubtful(&r->trail))
        r->reading =
            queue_events(q, r->batch, trail_before(&r->trail), 1, 0, on_last_event, r) == OK;
    else
        r->reading =
            queue_events(q, r->batch, r->trail.number, READ, BLOCK_S, on_events, r) == OK;
}

static bool too_long(const struct collect_reader *r)
{
    return r->most > 0 && r->patience.why != OK &&
           (double)(clock_mono_ms() - r->patience.since_ms) > r->most * 1000;
}

void collect_reader_check(struct collect_reader *r)
{
    if (!redis_ready(redis_of(r))) {
        bool busy = redis_last_error(redis_of(r)) == ERR_BUSY; // it loads its data, at last
        trail_doubt(&r->trail);
        if (r->patience.why == OK || (busy && r->patience.why != ERR_BUSY))
            note_away(r, busy ? ERR_BUSY : ERR_NET);
    }
    if (r->course->err == OK && too_long(r)) {
        r->course->err = ERR_NET;
        buf_addf(r->course->why, "Redis has not answered for %.0f seconds: %s", r->most,
                 words_of(r, ERR_NET));
    }
}

void collect_reader_end(struct collect_reader *r)
{
    while (r->reading)
        ev_run(session_loop(r->patience.session), EVRUN_ONCE);
}
