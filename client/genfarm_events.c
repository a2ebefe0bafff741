// genfarm_events.c - events one by one, blocking or behind a descriptor. See genfarm.h.
#include <ev.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "broker/event.h"
#include "client/collect_batch.h"
#include "client/genfarm_private.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/redis.h"
#include "common/text.h"

#define READ    200 // events at once
#define TICK_NS 100000000
#define MAX_FDS 16 // of one connection that are waited on

static void pending_free(struct pending *p)
{
    if (!p)
        return;
    buf_free(&p->bytes);
    buf_free(&p->id);
    free(p);
}

static void forget_read(struct genfarm *g)
{
    struct pending *p;
    while (g->reading)
        ev_run(session_loop(g->session), EVRUN_ONCE);
    while ((p = TAILQ_FIRST(&g->events))) {
        TAILQ_REMOVE(&g->events, p, link);
        pending_free(p);
    }
}

void genfarm_forget_events(struct genfarm *g)
{
    forget_read(g);
    pending_free(g->told);
    g->told = NULL;
}

// A server that refuses is not asked again as fast as it answers.
static void answered(struct genfarm *g, enum err e)
{
    g->reading = false;
    g->moved = true;
    g->failures = e == OK ? 0 : g->failures + 1;
    g->read_ms =
        e == OK ? 0
                : clock_mono_ms() + (int64_t)(1000 * backoff_delay(g->failures, 0.1, 5., 0.05));
}

static void on_events(void *ctx, enum err e, const struct queue_event *ev, size_t n)
{
    struct genfarm *g = ctx;
    answered(g, e);
    if (e != OK)
        trail_doubt(&g->read);
    for (size_t i = 0; e == OK && i < n; i++) {
        struct pending *p = calloc(1, sizeof *p);
        if (!p)
            return; // read again later, from the last one that was kept
        p->bytes.max = 1u << 20;
        p->id.max = 64;
        buf_add(&p->bytes, ev[i].bytes);
        buf_add(&p->id, ev[i].event_id);
        TAILQ_INSERT_TAIL(&g->events, p, link);
        trail_step(&g->read, &ev[i]);
    }
}

static void on_last_event(void *ctx, enum err e, const struct queue_event *ev, size_t n)
{
    struct genfarm *g = ctx;
    answered(g, e);
    if (e == OK)
        g->lost = !trail_same(&g->read, ev, n);
}

static void read_more(struct genfarm *g)
{
    struct queue *q = session_waiter(g->session);
    bool up = redis_ready(session_wait_redis(g->session));
    if (!up)
        trail_doubt(&g->read);
    if (!up || clock_mono_ms() < g->read_ms || !g->watching || g->reading || g->lost ||
        !TAILQ_EMPTY(&g->events))
        return;
    if (trail_doubtful(&g->read))
        g->reading = queue_events(q, span_of(g->batch), trail_before(&g->read), 1, 0,
                                  on_last_event, g) == OK;
    else
        g->reading =
            queue_events(q, span_of(g->batch), g->read.number, READ, 1., on_events, g) == OK;
}

// Keeps the epoll set in step with the connections, which change when they are made anew.
static void update_fds(struct genfarm *g)
{
    struct pollfd fds[2 * MAX_FDS];
    size_t n = redis_poll(session_redis(g->session), MAX_FDS, fds);
    n += redis_poll(session_wait_redis(g->session), MAX_FDS, fds + n);
    for (size_t i = 0; g->epoll >= 0 && i < n; i++) {
        bool want_write = fds[i].events & POLLOUT;
        struct epoll_event e = {.events = EPOLLIN | (want_write ? EPOLLOUT : 0u)};
        if (epoll_ctl(g->epoll, EPOLL_CTL_MOD, fds[i].fd, &e) != 0)
            (void)!epoll_ctl(g->epoll, EPOLL_CTL_ADD, fds[i].fd, &e);
    }
}

int genfarm_fd(struct genfarm *g)
{
    struct itimerspec tick = {{0, TICK_NS}, {0, TICK_NS}};
    struct epoll_event e = {.events = EPOLLIN};
    if (g->epoll >= 0)
        return g->epoll;
    g->epoll = epoll_create1(EPOLL_CLOEXEC);
    g->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (g->epoll >= 0 && g->timer >= 0) {
        timerfd_settime(g->timer, 0, &tick,
                        NULL); // deadlines and reconnections need time to pass
        epoll_ctl(g->epoll, EPOLL_CTL_ADD, g->timer, &e);
    }
    read_more(g);
    update_fds(g);
    return g->epoll;
}

enum genfarm_status genfarm_watch(struct genfarm *g, const char *batch, const char *after)
{
    struct collect_batch b = {0};
    struct span from = span_of(after);
    uint64_t number = 0;
    buf_clear(&g->why);
    if (from.len > 2 && memcmp(from.ptr + from.len - 2, "-0", 2) == 0)
        from.len -= 2;
    if (after && text_uint(from, 0, UINT32_MAX, &number) != OK) {
        buf_addf(&g->why, "\"%.50s\" is no event's id", after);
        return GENFARM_BAD_INPUT;
    }
    enum err e = job_name_ok(span_of(batch)) ? collect_status(g->session, span_of(batch), &b)
                                             : ERR_MISSING;
    collect_batch_free(&b);
    if (e != OK)
        return genfarm_status_of(g, e);
    forget_read(g);
    snprintf(g->batch, sizeof g->batch, "%s", batch);
    g->read = (struct trail){.number = number};
    g->lost = number > (uint64_t)b.last_event;
    g->watching = true;
    return GENFARM_OK;
}

static enum genfarm_status tell(struct genfarm *g, struct genfarm_event *out)
{
    struct event e;
    struct pending *p = TAILQ_FIRST(&g->events);
    pending_free(g->told);
    g->told = p;
    TAILQ_REMOVE(&g->events, p, link);
    buf_clear(&g->id);
    buf_clear(&g->json);
    if (p->bytes.err || p->id.err || event_decode(&e, buf_span(&p->bytes)) != OK) {
        buf_addf(&g->why, "event %s cannot be read", buf_str(&p->id));
        return GENFARM_FAILED;
    }
    struct json_object *o = event_json(&e, span_of(g->batch), buf_span(&p->id));
    if (o)
        json_write(&g->json, o);
    json_object_put(o);
    buf_add(&g->id, e.id);
    *out = (struct genfarm_event){.event = event_name(e.type),
                                  .event_id = buf_str(&p->id),
                                  .id = buf_str(&g->id),
                                  .json = buf_str(&g->json),
                                  .index = e.index,
                                  .terminal = event_terminal(e.type),
                                  .last = e.type == EVENT_BATCH_DONE};
    return GENFARM_OK;
}

enum genfarm_status genfarm_next(struct genfarm *g, double seconds, struct genfarm_event *event)
{
    uint64_t ticks;
    int64_t end = clock_mono_ms() + (int64_t)(seconds * 1000);
    buf_clear(&g->why);
    if (g->timer >= 0)
        (void)!read(g->timer, &ticks, sizeof ticks);
    for (;;) {
        read_more(g);
        ev_run(session_loop(g->session), EVRUN_NOWAIT);
        int64_t left = end - clock_mono_ms();
        if (!TAILQ_EMPTY(&g->events) || g->lost || left <= 0)
            break;
        g->moved = false; // looked at again twice a second: the connection may be back
        (void)!session_wait_for(g->session, &g->moved, left < 500 ? (double)left / 1000 : 0.5);
    }
    enum genfarm_status status = GENFARM_NONE;
    if (!TAILQ_EMPTY(&g->events)) {
        status = tell(g, event);
    } else if (g->lost) {
        trail_explain(&g->read, TRAIL_BEGIN_AGAIN, &g->why);
        status = GENFARM_FAILED;
    }
    read_more(g);
    update_fds(g);
    return status;
}
