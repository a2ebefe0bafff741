// collect.c - see collect.h.
#include "client/collect.h"

#include <ev.h>

#include "client/collect_arrivals.h"
#include "client/collect_reader.h"
#include "common/clock.h"

#define IDLE_S 0.2

struct collector {
    struct session *session;
    const struct collect_options *options;
    struct collect_result *result;
    struct collect_course course;
    struct collect_reader reader;
    struct collect_arrivals arrivals;
    bool drained; // see stopped()
    ev_timer timer;
};

// --- Telling --------------------------------------------------------------------------------

static void take_done(struct collect_result *r, const struct event *e)
{
    r->completed = e->completed;
    r->failed = e->failed;
    r->cancelled = e->cancelled;
    r->total = e->total;
    r->cost_micro = e->cost_micro;
    r->possible_double_bill = e->possible_double_bill;
    r->refused = e->refused;
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

// What the event changes in what is handed back.
static void take(struct collector *c, const struct collect_arrival *i)
{
    struct collect_result *r = c->result;
    const struct event *e = &i->event;
    if (r->ended && e->type == EVENT_UNKNOWN)
        r->possible_double_bill++; // more than batch_done said
    r->ended = collect_reader_ended_by(&c->reader, e, i->number, r->ended);
    if (e->type == EVENT_BATCH_DONE)
        take_done(r, e);
    if ((e->type == EVENT_BLOCKED || e->type == EVENT_UNBLOCKED) &&
        i->number > c->options->blocked_after)
        take_blocked(c, e);
}

static void keep(struct collector *c, const struct collect_arrival *i)
{
    struct trail at = {0};
    trail_step(&at, &(struct queue_event){.number = i->number, .bytes = buf_span(&i->bytes)});
    c->course.err = output_event(c->options->output, &i->event, &at, c->course.why);
}

static void tell(struct collector *c, const struct collect_arrival *i)
{
    const struct collect_options *o = c->options;
    if (i->gone)
        c->result->images_gone++;
    if (o->output && !i->gone)
        keep(c, i);
    c->result->last = i->number;
    if (o->progress)
        progress_event(o->progress, &i->event, clock_mono_ms());
    if (o->event)
        o->event(o->ctx, &i->event, buf_span(&i->id));
    take(c, i);
}

static void tell_ready(struct collector *c)
{
    struct collect_arrival *i;
    while (c->course.err == OK && (i = collect_arrivals_ready(&c->arrivals))) {
        tell(c, i);
        collect_arrivals_drop(i);
    }
}

// --- The loop -------------------------------------------------------------------------------

static void on_idle(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct collector *c = t->data;
    c->course.moved = true;
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
        c->reader.nothing_new = false;
    }
    return !o->drained || (c->drained && c->reader.nothing_new);
}

static bool finished(struct collector *c)
{
    const struct collect_result *r = c->result;
    if (c->arrivals.n > 0)
        return false;
    return (r->ended && r->last >= c->reader.known_last) || stopped(c);
}

static enum err loop(struct collector *c)
{
    while (c->course.err == OK && !finished(c)) {
        if (session_interrupted(c->session))
            return ERR_CANCELLED;
        c->course.moved = false;
        collect_reader_read(&c->reader);
        collect_arrivals_fetch(&c->arrivals);
        tell_ready(c);
        collect_reader_check(&c->reader);
        if (c->course.err == OK && !finished(c))
            (void)!session_wait(c->session, &c->course.moved); // interrupted is looked at above
        tell_ready(c);
    }
    return c->course.err;
}

// --- Beginning and end ----------------------------------------------------------------------

static struct collect_result result_of(const struct collect_batch *b, uint64_t after)
{
    return (struct collect_result){.last = after,
                                   .ended = b->done_ms > 0 && after >= (uint64_t)b->last_event,
                                   .completed = b->completed,
                                   .failed = b->failed,
                                   .cancelled = b->cancelled,
                                   .total = b->total,
                                   .cost_micro = b->cost_micro,
                                   .possible_double_bill = b->possible_double_bill,
                                   .refused = b->refused};
}

static enum err ask(struct collector *c, struct buf *why)
{
    struct collect_batch b = {0};
    struct span batch = c->options->batch;
    const struct trail *after = &c->options->after;
    enum err e = collect_status_patiently(&c->reader.patience, batch, &b);
    collect_explain(e, batch, why);
    if (e == OK && after->number > (uint64_t)b.last_event) {
        trail_explain(after, TRAIL_BEGIN_AGAIN, why);
        e = ERR_ORDER;
    }
    if (e == OK) {
        c->reader.known_last = (uint64_t)b.last_event;
        c->reader.known_done = b.done_ms > 0;
        *c->result = result_of(&b, after->number);
    }
    collect_batch_free(&b);
    return e;
}

// Of a batch all of whose jobs have ended nothing is open, but for what images were gone of.
static uint32_t left_open(const struct collector *c)
{
    const struct collect_result *r = c->result;
    if (!c->options->output || !r->ended || r->images_gone > 0 ||
        r->completed + r->failed + r->cancelled < r->total)
        return 0;
    struct output_counts n = output_counts(c->options->output);
    return n.total - n.completed - n.failed - n.cancelled;
}

static enum err run(struct collector *c)
{
    struct ev_loop *l = session_loop(c->session);
    ev_timer_init(&c->timer, on_idle, IDLE_S, IDLE_S);
    c->timer.data = c;
    ev_timer_start(l, &c->timer);
    enum err e = loop(c);
    collect_reader_end(&c->reader);
    collect_arrivals_clear(&c->arrivals);
    ev_timer_stop(l, &c->timer);
    return e;
}

enum err collect(struct session *s, const struct collect_options *o, struct collect_result *r,
                 struct buf *why)
{
    struct collector c = {.session = s, .options = o, .result = r, .course = {.why = why}};
    *r = (struct collect_result){.last = o->after.number};
    collect_arrivals_init(&c.arrivals, s, o->output, &c.course);
    c.reader = (struct collect_reader){
        .batch = o->batch,
        .course = &c.course,
        .arrivals = &c.arrivals,
        .patience = {.session = s, .endless = o->patience <= 0, .told = o->waiting, o->ctx},
        .most = o->patience,
        .trail = o->after};
    trail_doubt(&c.reader.trail); // it was read by another connection, or long ago
    enum err e = ask(&c, why);
    if (e == OK)
        e = run(&c);
    if (e == OK)
        r->left_open = left_open(&c);
    return e;
}
