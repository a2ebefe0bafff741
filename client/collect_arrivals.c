// collect_arrivals.c - see collect_arrivals.h.
#include "client/collect_arrivals.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>

#include "client/fetch.h"
#include "client/output.h"
#include "client/patience.h"
#include "client/session.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/file.h"

#define PENDING   1000 // events that wait for their images at most
#define FETCHES   16   // under way at once
#define MAX_EVENT (1u << 20)

void collect_arrivals_init(struct collect_arrivals *a, struct session *s, struct output *o,
                           struct collect_course *course)
{
    *a = (struct collect_arrivals){.session = s, .output = o, .course = course};
    TAILQ_INIT(&a->all);
}

enum err collect_arrivals_add(struct collect_arrivals *a, const struct queue_event *e,
                              const struct collect_arrival **added)
{
    struct collect_arrival *i = calloc(1, sizeof *i);
    if (!i)
        return ERR_NOMEM;
    i->of = a;
    i->bytes.max = MAX_EVENT;
    i->id.max = 64;
    i->number = e->number;
    buf_add(&i->bytes, e->bytes);
    buf_add(&i->id, e->event_id);
    TAILQ_INSERT_TAIL(&a->all, i, link);
    a->n++;
    if (i->bytes.err == ERR_NOMEM || i->id.err)
        return ERR_NOMEM;
    if (i->bytes.err || event_decode(&i->event, buf_span(&i->bytes)) != OK) {
        buf_addf(a->course->why, "event %s of the batch cannot be read", buf_str(&i->id));
        return ERR_FORMAT;
    }
    *added = i;
    return OK;
}

bool collect_arrivals_full(const struct collect_arrivals *a)
{
    return a->n > PENDING;
}

// --- Images ---------------------------------------------------------------------------------

static void explain_unsaved(const struct collect_arrivals *a, const struct event *e,
                            enum err err)
{
    int cause = errno;
    struct buf place = {.max = 8192};
    buf_addf(&place, "%s/", output_folder(a->output));
    buf_add(&place, e->n_images == 1 ? e->images[0].path : SPAN("images"));
    file_explain(a->course->why, err, cause, buf_str(&place), "cannot save the image");
    buf_free(&place);
}

// Redis is away: it is fetched again when that is back, by a server that was busy not at once.
static void put_off(struct collect_arrival *i, enum err e)
{
    struct collect_arrivals *a = i->of;
    i->state = ARRIVAL_WAITING;
    if (e == ERR_BUSY)
        a->fetch_ms =
            clock_mono_ms() + (int64_t)(1000 * backoff_delay(++a->refused, 0.1, 5., 0.05));
}

static void settle(struct collect_arrival *i, enum err e)
{
    struct collect_arrivals *a = i->of;
    if (patience_is_away(e)) {
        put_off(i, e);
        return;
    }
    i->state = ARRIVAL_READY;
    i->gone = e == ERR_MISSING || e == ERR_FORMAT;
    a->refused = 0;
    if (e != OK && !i->gone && a->course->err == OK) {
        a->course->err = e;
        explain_unsaved(a, &i->event, e);
    }
}

static void on_fetched(void *ctx, enum err e)
{
    struct collect_arrival *i = ctx;
    i->of->fetching--;
    i->of->course->moved = true;
    settle(i, e);
}

static void fetch(struct collect_arrivals *a, struct collect_arrival *i)
{
    bool there = true;
    enum err e = OK;
    errno = 0;
    if (a->output && i->event.type == EVENT_COMPLETED)
        e = fetch_start(a->session, a->output, &i->event, on_fetched, i, &there);
    if (e != OK || there) {
        settle(i, e);
        return;
    }
    i->state = ARRIVAL_FETCHING;
    a->fetching++;
}

void collect_arrivals_fetch(struct collect_arrivals *a)
{
    struct collect_arrival *i;
    if (!redis_ready(session_redis(a->session)) || clock_mono_ms() < a->fetch_ms)
        return;
    TAILQ_FOREACH(i, &a->all, link)
    {
        if (a->fetching >= FETCHES || a->course->err != OK)
            return;
        if (i->state == ARRIVAL_WAITING)
            fetch(a, i);
    }
}

// --- Leaving --------------------------------------------------------------------------------

struct collect_arrival *collect_arrivals_ready(struct collect_arrivals *a)
{
    struct collect_arrival *i = TAILQ_FIRST(&a->all);
    return i && i->state == ARRIVAL_READY ? i : NULL;
}

void collect_arrivals_drop(struct collect_arrival *i)
{
    TAILQ_REMOVE(&i->of->all, i, link);
    i->of->n--;
    buf_free(&i->bytes);
    buf_free(&i->id);
    free(i);
}

// Fetches under way point into their events: they end first.
void collect_arrivals_clear(struct collect_arrivals *a)
{
    struct collect_arrival *i;
    while (a->fetching > 0)
        ev_run(session_loop(a->session), EVRUN_ONCE);
    while ((i = TAILQ_FIRST(&a->all)))
        collect_arrivals_drop(i);
}
