// collect.c - see collect.h.
#include "client/collect.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "client/fetch.h"
#include "client/patience.h"
#include "client/trail.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/file.h"

#define READ      500  // events at once
#define PENDING   1000 // events that wait for their images at most
#define FETCHES   16   // under way at once
#define BLOCK_S   1.0
#define IDLE_S    0.2
#define MAX_EVENT (1u << 20)

struct item { // one event on its way
    TAILQ_ENTRY(item) link;
    struct collector *of;
    struct buf bytes, id;
    struct event event;
    uint64_t number;
    enum { WAITING, FETCHING, READY } state;
    bool gone; // its images are
};

struct collector {
    struct session *session;
    const struct collect_options *options;
    struct collect_result *result;
    TAILQ_HEAD(, item) items;
    unsigned pending, fetching;
    struct trail read;
    uint64_t known_last; // of the batch, when it was asked last
    bool known_done;     // it had ended by then
    bool reading, moved;
    bool drained, nothing_new; // see stopped()
    bool done_seen;            // batch_done was read, and no reopened since
    bool at_end;               // the end of the batch was read: nothing more is waited for
    enum err err;
    struct patience patience;  // with Redis
    int64_t read_ms, fetch_ms; // nothing is read, or fetched, before: clock_mono_ms()
    unsigned refused;          // fetches, one after the other, by a server that is busy
    ev_timer timer;
    struct buf *why;
};

// --- Events ---------------------------------------------------------------------------------

// Whether a batch has ended with this event. It has until jobs of it are opened again; what
// late workers tell of their calls changes nothing, and who begins behind its end sees no more.
static bool ended_by(const struct collector *c, const struct event *e, uint64_t number,
                     bool ended)
{
    return e->type == EVENT_BATCH_DONE || (ended && e->type != EVENT_REOPENED) ||
           (c->known_done && number == c->known_last);
}

static enum err add(struct collector *c, const struct queue_event *ev)
{
    struct item *i = calloc(1, sizeof *i);
    if (!i)
        return ERR_NOMEM;
    i->of = c;
    i->bytes.max = MAX_EVENT;
    i->id.max = 64;
    i->number = ev->number;
    buf_add(&i->bytes, ev->bytes);
    buf_add(&i->id, ev->event_id);
    TAILQ_INSERT_TAIL(&c->items, i, link);
    c->pending++;
    if (i->bytes.err == ERR_NOMEM || i->id.err)
        return ERR_NOMEM;
    if (i->bytes.err || event_decode(&i->event, buf_span(&i->bytes)) != OK) {
        buf_addf(c->why, "event %s of the batch cannot be read", buf_str(&i->id));
        return ERR_FORMAT;
    }
    c->done_seen = ended_by(c, &i->event, i->number, c->done_seen);
    c->at_end = c->done_seen && i->number >= c->known_last;
    return OK;
}

static bool is_away(enum err e)
{
    return e == ERR_NET || e == ERR_TIMEOUT || e == ERR_BUSY;
}

// One connection waits for events; the other makes patience_words().
static const char *words_of(const struct collector *c, enum err e)
{
    const struct redis *r = session_wait_redis(c->session);
    const char *why = e == ERR_BUSY && redis_ready(r) ? redis_refusal(r) : redis_why(r);
    return *why ? why : err_text(e);
}

// A lost connection is made again with pauses of its own; a server that is busy is asked again
// with ours.
static void note_away(struct collector *c, enum err e)
{
    enum err kind = e == ERR_BUSY ? ERR_BUSY : ERR_NET;
    double pause = patience_note(&c->patience, kind, words_of(c, e));
    c->read_ms = clock_mono_ms() + (e == ERR_BUSY ? (int64_t)(pause * 1000) : 0);
}

// The answer to a read. false: Redis is away, and it will be read again.
static bool answered(struct collector *c, enum err e)
{
    c->reading = false;
    c->moved = true;
    if (is_away(e)) {
        note_away(c, e);
        trail_doubt(&c->read);
        return false;
    }
    patience_well(&c->patience);
    return true;
}

static void on_events(void *ctx, enum err e, const struct queue_event *ev, size_t n)
{
    struct collector *c = ctx;
    if (!answered(c, e))
        return;
    c->nothing_new = e == OK && n == 0;
    for (size_t i = 0; e == OK && i < n; i++)
        e = add(c, &ev[i]);
    if (e == OK && n > 0)
        trail_step(&c->read, &ev[n - 1]);
    if (e != OK && c->err == OK)
        c->err = e;
}

static void on_last_event(void *ctx, enum err e, const struct queue_event *ev, size_t n)
{
    struct collector *c = ctx;
    if (!answered(c, e))
        return;
    if (e == OK && !trail_same(&c->read, ev, n)) {
        trail_explain(&c->read, c->why);
        e = ERR_ORDER;
    }
    if (e != OK && c->err == OK)
        c->err = e;
}

static void read_more(struct collector *c)
{
    struct queue *q = session_waiter(c->session);
    if (c->reading || c->at_end || c->pending > PENDING || clock_mono_ms() < c->read_ms ||
        !redis_ready(session_wait_redis(c->session)))
        return;
    if (trail_doubtful(&c->read))
        c->reading = queue_events(q, c->options->batch, trail_before(&c->read), 1, 0,
                                  on_last_event, c) == OK;
    else
        c->reading = queue_events(q, c->options->batch, c->read.number, READ, BLOCK_S,
                                  on_events, c) == OK;
}

// --- Images ---------------------------------------------------------------------------------

static void explain_unsaved(struct collector *c, const struct event *e, enum err err)
{
    int cause = errno;
    struct buf place = {.max = 8192};
    buf_addf(&place, "%s/", output_folder(c->options->output));
    buf_add(&place, e->n_images == 1 ? e->images[0].path : SPAN("images"));
    file_explain(c->why, err, cause, buf_str(&place), "cannot save the image");
    buf_free(&place);
}

static void settle_item(struct item *i, enum err e)
{
    struct collector *c = i->of;
    i->state = READY;
    i->gone = e == ERR_MISSING || e == ERR_FORMAT;
    if (!is_away(e))
        c->refused = 0;
    if (e == ERR_BUSY)
        c->fetch_ms =
            clock_mono_ms() + (int64_t)(1000 * backoff_delay(++c->refused, 0.1, 5., 0.05));
    if (is_away(e))
        i->state = WAITING; // again, when Redis is back
    else if (e != OK && !i->gone && c->err == OK) {
        c->err = e;
        explain_unsaved(c, &i->event, e);
    }
}

static void on_fetched(void *ctx, enum err e)
{
    struct item *i = ctx;
    i->of->fetching--;
    i->of->moved = true;
    settle_item(i, e);
}

static void fetch(struct collector *c, struct item *i)
{
    bool there = true;
    enum err e = OK;
    errno = 0;
    if (c->options->output && i->event.type == EVENT_COMPLETED)
        e = fetch_start(c->session, c->options->output, &i->event, on_fetched, i, &there);
    if (e != OK || there) {
        settle_item(i, e);
        return;
    }
    i->state = FETCHING;
    c->fetching++;
}

static void fetch_more(struct collector *c)
{
    struct item *i;
    if (!redis_ready(session_redis(c->session)) || clock_mono_ms() < c->fetch_ms)
        return;
    TAILQ_FOREACH(i, &c->items, link)
    {
        if (c->fetching >= FETCHES || c->err != OK)
            return;
        if (i->state == WAITING)
            fetch(c, i);
    }
}

// --- Telling --------------------------------------------------------------------------------

static void take_done(struct collect_result *r, const struct event *e)
{
    r->completed = e->completed;
    r->failed = e->failed;
    r->cancelled = e->cancelled;
    r->total = e->total;
    r->cost_micro = e->cost_micro;
    r->possible_double_bill = e->possible_double_bill;
}

static void take_blocked(struct collector *c, const struct event *e)
{
    struct collect_result *r = c->result;
    r->blocked = e->type == EVENT_BLOCKED;
    r->code = e->code;
    r->message.max = 4096;
    buf_clear(&r->message);
    buf_add(&r->message, e->message);
}

static void tell(struct collector *c, const struct item *i)
{
    const struct collect_options *o = c->options;
    struct collect_result *r = c->result;
    if (i->gone)
        r->images_gone++;
    if (o->output && !i->gone && c->err == OK)
        c->err = output_event(o->output, &i->event, i->number, c->why);
    r->last = i->number;
    if (o->progress)
        progress_event(o->progress, &i->event, clock_mono_ms());
    if (o->event)
        o->event(o->ctx, &i->event, buf_span(&i->id));
    if (r->ended && i->event.type == EVENT_UNKNOWN)
        r->possible_double_bill++; // more than batch_done said
    r->ended = ended_by(c, &i->event, i->number, r->ended);
    if (i->event.type == EVENT_BATCH_DONE)
        take_done(r, &i->event);
    if ((i->event.type == EVENT_BLOCKED || i->event.type == EVENT_UNBLOCKED) &&
        i->number > o->blocked_after)
        take_blocked(c, &i->event);
}

static void item_free(struct collector *c, struct item *i)
{
    TAILQ_REMOVE(&c->items, i, link);
    c->pending--;
    buf_free(&i->bytes);
    buf_free(&i->id);
    free(i);
}

static void tell_ready(struct collector *c)
{
    struct item *i;
    while (c->err == OK && (i = TAILQ_FIRST(&c->items)) && i->state == READY) {
        tell(c, i);
        item_free(c, i);
    }
}

// --- The loop -------------------------------------------------------------------------------

static void on_idle(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct collector *c = t->data;
    c->moved = true;
    if (c->options->progress)
        progress_draw(c->options->progress, clock_mono_ms());
    if (c->options->idle)
        c->options->idle(c->options->ctx);
}

// Blocked, and what was under way has been told: a read after that found nothing.
static bool stopped(struct collector *c)
{
    const struct collect_options *o = c->options;
    if (!c->result->blocked || !o->stop_blocked)
        return false;
    if (o->drained && !c->drained) {
        c->drained = o->drained(o->ctx);
        c->nothing_new = false;
    }
    return !o->drained || (c->drained && c->nothing_new);
}

static bool finished(struct collector *c)
{
    const struct collect_result *r = c->result;
    if (!TAILQ_EMPTY(&c->items))
        return false;
    return (r->ended && r->last >= c->known_last) || stopped(c);
}

static void check_away(struct collector *c)
{
    const struct redis *r = session_wait_redis(c->session);
    double most = c->options->patience;
    if (!redis_ready(r)) {
        bool busy = redis_last_error(r) == ERR_BUSY; // it loads its data, at last
        trail_doubt(&c->read);
        if (c->patience.why == OK || (busy && c->patience.why != ERR_BUSY))
            note_away(c, busy ? ERR_BUSY : ERR_NET);
    }
    if (most > 0 && c->err == OK && c->patience.why != OK &&
        (double)(clock_mono_ms() - c->patience.since_ms) > most * 1000) {
        c->err = ERR_NET;
        buf_addf(c->why, "Redis has not answered for %.0f seconds: %s", most,
                 words_of(c, ERR_NET));
    }
}

static enum err loop(struct collector *c)
{
    while (c->err == OK && !finished(c)) {
        if (session_interrupted(c->session))
            return ERR_CANCELLED;
        c->moved = false;
        read_more(c);
        fetch_more(c);
        tell_ready(c);
        check_away(c);
        if (c->err == OK && !finished(c))
            (void)!session_wait(c->session, &c->moved); // interrupted is looked at above
        tell_ready(c);
    }
    return c->err;
}

// Fetches under way point into their items: they end first.
static void clear(struct collector *c)
{
    struct item *i;
    while (c->fetching > 0 || c->reading)
        ev_run(session_loop(c->session), EVRUN_ONCE);
    while ((i = TAILQ_FIRST(&c->items)))
        item_free(c, i);
}

enum err collect(struct session *s, const struct collect_options *o, struct collect_result *r,
                 struct buf *why)
{
    struct collector c = {
        .session = s,
        .options = o,
        .result = r,
        .read = {.number = o->after},
        .patience = {.session = s, .endless = o->patience <= 0, .told = o->waiting, o->ctx},
        .why = why};
    struct collect_batch b = {0};
    *r = (struct collect_result){.last = o->after};
    TAILQ_INIT(&c.items);
    enum err e = collect_status_patiently(&c.patience, o->batch, &b);
    collect_explain(e, o->batch, why);
    if (e != OK) {
        collect_batch_free(&b);
        return e;
    }
    c.known_last = (uint64_t)b.last_event;
    c.known_done = b.done_ms > 0;
    r->ended = c.known_done && o->after >= c.known_last;
    *r = (struct collect_result){.last = o->after,
                                 .ended = r->ended,
                                 .completed = b.completed,
                                 .failed = b.failed,
                                 .cancelled = b.cancelled,
                                 .total = b.total,
                                 .cost_micro = b.cost_micro,
                                 .possible_double_bill = b.possible_double_bill};
    collect_batch_free(&b);
    ev_timer_init(&c.timer, on_idle, IDLE_S, IDLE_S);
    c.timer.data = &c;
    ev_timer_start(session_loop(s), &c.timer);
    e = loop(&c);
    clear(&c);
    ev_timer_stop(session_loop(s), &c.timer);
    return e;
}
