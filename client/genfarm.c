// genfarm.c - see genfarm.h: the public face of what the commands are made of.
#include "client/genfarm.h"

#include <ev.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "broker/catalogue.h"
#include "client/collect.h"
#include "client/session.h"
#include "client/submit.h"
#include "client/trail.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/redis.h"
#include "common/text.h"

#define READ    200 // events at once
#define TICK_NS 100000000
#define MAX_FDS 16 // of one connection that are waited on

struct pending { // an event that was read
    TAILQ_ENTRY(pending) link;
    struct buf bytes, id;
};

struct genfarm {
    struct session *session;
    struct catalogue *catalogue;
    struct buf why;
    char batch[GENFARM_BATCH_SIZE];
    struct trail read;
    bool watching, reading;
    bool moved; // a read was answered
    bool lost;  // the server has lost events
    TAILQ_HEAD(, pending) events;
    struct pending *told; // what the last event points into
    struct buf id, json;
    int epoll, timer;
};

static enum genfarm_status status_of(struct genfarm *g, enum err e)
{
    static const struct {
        enum err err;
        enum genfarm_status status;
    } table[] = {{OK, GENFARM_OK},
                 {ERR_MISSING, GENFARM_MISSING},
                 {ERR_FORMAT, GENFARM_BAD_INPUT},
                 {ERR_RANGE, GENFARM_BAD_INPUT},
                 {ERR_EXISTS, GENFARM_BAD_INPUT},
                 {ERR_ORDER, GENFARM_BAD_INPUT},
                 {ERR_NET, GENFARM_UNAVAILABLE},
                 {ERR_TIMEOUT, GENFARM_UNAVAILABLE},
                 {ERR_BUSY, GENFARM_UNAVAILABLE},
                 {ERR_AUTH, GENFARM_UNAVAILABLE},
                 {ERR_DENIED, GENFARM_UNAVAILABLE}};
    if (e != OK && g->why.len == 0)
        buf_add_str(&g->why, err_text(e));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].err == e)
            return table[i].status;
    return GENFARM_FAILED;
}

// --- Beginning and end
// -----------------------------------------------------------------------------

enum genfarm_status genfarm_open(const struct genfarm_options *o, struct genfarm **out,
                                 char *why, size_t n)
{
    struct genfarm *g = calloc(1, sizeof *g);
    if (!g)
        return GENFARM_FAILED;
    *g = (struct genfarm){.why = {.max = 4096},
                          .id = {.max = 65536},
                          .json = {.max = 1u << 20},
                          .epoll = -1,
                          .timer = -1};
    TAILQ_INIT(&g->events);
    struct session_options s = {span_of(o->redis ? o->redis : "redis://127.0.0.1:6379/0"),
                                span_of(o->queue ? o->queue : "default"), o->ca_file, 0};
    enum err e = catalogue_open(NULL, &g->catalogue, &g->why);
    if (e == OK)
        e = session_open(&s, &g->session, &g->why);
    enum genfarm_status status = status_of(g, e);
    if (n > 0)
        snprintf(why, n, "%s", buf_str(&g->why));
    if (status != GENFARM_OK)
        genfarm_close(g);
    else
        *out = g;
    return status;
}

static void pending_free(struct pending *p)
{
    if (!p)
        return;
    buf_free(&p->bytes);
    buf_free(&p->id);
    free(p);
}

static void forget_events(struct genfarm *g)
{
    struct pending *p;
    while (g->reading)
        ev_run(session_loop(g->session), EVRUN_ONCE);
    while ((p = TAILQ_FIRST(&g->events))) {
        TAILQ_REMOVE(&g->events, p, link);
        pending_free(p);
    }
}

void genfarm_close(struct genfarm *g)
{
    if (!g)
        return;
    forget_events(g);
    pending_free(g->told);
    session_close(g->session);
    catalogue_free(g->catalogue);
    buf_free(&g->why);
    buf_free(&g->id);
    buf_free(&g->json);
    if (g->epoll >= 0)
        close(g->epoll);
    if (g->timer >= 0)
        close(g->timer);
    free(g);
}

const char *genfarm_why(const struct genfarm *g)
{
    return buf_str(&g->why);
}

// --- Submitting
// ----------------------------------------------------------------------------------

struct jobs {
    struct genfarm *g;
    const struct genfarm_job *jobs;
    struct buf map, route;
    char id[16];
};

static enum err read_job(struct genfarm *g, const struct genfarm_job *in, uint32_t i,
                         struct job *out)
{
    const struct {
        const char *name, *value;
    } members[] = {{"id", in->id},
                   {"title", in->title},
                   {"scene", in->scene},
                   {"mood", in->mood},
                   {"prompt", in->prompt},
                   {"negative", in->negative},
                   {"model", in->model},
                   {"aspect_ratio", in->aspect_ratio},
                   {"seed", in->seed},
                   {"image_size", in->image_size},
                   {"priority", in->priority},
                   {"temperature", in->temperature}};
    struct buf why = {.max = 1024};
    enum err e = OK;
    *out = (struct job){.model = catalogue_default(g->catalogue),
                        .priority = JOB_NORMAL,
                        .input = i,
                        .sample = 1,
                        .samples = 1};
    for (size_t k = 0; e == OK && k < sizeof members / sizeof *members; k++)
        if (members[k].value)
            e = job_set(out, span_of(members[k].name), span_of(members[k].value), &why);
    const struct model *m = catalogue_find(g->catalogue, out->model);
    if (m)
        out->model = model_name(m);
    if (e == OK)
        e = job_check(out, &why);
    if (e == OK && m)
        e = model_check(m, out, &why);
    if (e != OK)
        buf_addf(&g->why, "job %u: %s", i, why.len ? buf_str(&why) : err_text(e));
    buf_free(&why);
    return e == OK ? OK : ERR_FORMAT;
}

static enum err source(void *ctx, uint32_t i, struct submit_item *out)
{
    struct jobs *s = ctx;
    struct job job;
    enum err e = read_job(s->g, &s->jobs[i], i, &job);
    if (e != OK)
        return e;
    buf_clear(&s->map);
    buf_clear(&s->route);
    job_encode(&s->map, &job);
    queue_route(&s->route, &job);
    snprintf(s->id, sizeof s->id, "%08u", i);
    *out = (struct submit_item){job.id.len ? job.id : span_of(s->id), buf_span(&s->map),
                                buf_str(&s->route)};
    return s->map.err ? s->map.err : s->route.err;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Ids must be unique, and none may be another's default.
static enum err check_ids(struct genfarm *g, const struct genfarm_job *jobs, size_t n)
{
    char(*defaults)[9] = calloc(n, sizeof *defaults);
    const char **ids = calloc(n, sizeof *ids);
    enum err e = defaults && ids ? OK : ERR_NOMEM;
    for (size_t i = 0; e == OK && i < n; i++) {
        snprintf(defaults[i], sizeof defaults[i], "%08u", (unsigned)i % 100000000u);
        ids[i] = jobs[i].id && *jobs[i].id ? jobs[i].id : defaults[i];
    }
    if (e == OK)
        qsort(ids, n, sizeof *ids, by_text);
    for (size_t i = 1; e == OK && i < n; i++)
        if (strcmp(ids[i - 1], ids[i]) == 0) {
            buf_addf(&g->why, "two jobs have the id %.100s", ids[i]);
            e = ERR_FORMAT;
        }
    free(defaults);
    free(ids);
    return e;
}

static enum err check_jobs(struct genfarm *g, const struct genfarm_job *jobs, size_t n)
{
    struct job job;
    enum err e = n > 0 && n <= QUEUE_MAX_INDEX ? check_ids(g, jobs, n) : ERR_RANGE;
    for (size_t i = 0; e == OK && i < n; i++)
        e = read_job(g, &jobs[i], (uint32_t)i, &job);
    return e;
}

enum genfarm_status genfarm_submit(struct genfarm *g, char batch[GENFARM_BATCH_SIZE],
                                   const struct genfarm_job *jobs, size_t n)
{
    struct jobs s = {g, jobs, {.max = 2 * JOB_MAX_BYTES}, {.max = 1024}, ""};
    struct submit_result r;
    buf_clear(&g->why);
    enum err e = check_jobs(g, jobs, n);
    if (e == OK && !batch[0])
        output_batch_id(batch);
    if (e == OK && !job_name_ok(span_of(batch)))
        e = ERR_RANGE;
    struct submit_options o = {.batch = span_of(batch),
                               .total = (uint32_t)n,
                               .keep_s = 7 * 86400,
                               .source = source,
                               .ctx = &s};
    if (e == OK)
        e = submit_batch(g->session, &o, &r, &g->why);
    buf_free(&s.map);
    buf_free(&s.route);
    return status_of(g, e);
}

// --- Events
// --------------------------------------------------------------------------------------

static void on_events(void *ctx, enum err e, const struct queue_event *ev, size_t n)
{
    struct genfarm *g = ctx;
    g->reading = false;
    g->moved = true;
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
    g->reading = false;
    g->moved = true;
    if (e == OK)
        g->lost = !trail_same(&g->read, ev, n);
}

static void read_more(struct genfarm *g)
{
    struct queue *q = session_waiter(g->session);
    bool up = redis_ready(session_wait_redis(g->session));
    if (!up)
        trail_doubt(&g->read);
    if (!up || !g->watching || g->reading || g->lost || !TAILQ_EMPTY(&g->events))
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
        return status_of(g, e);
    forget_events(g);
    snprintf(g->batch, sizeof g->batch, "%s", batch);
    g->read = (struct trail){.number = number};
    g->lost = false;
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
        trail_explain(&g->read, &g->why);
        status = GENFARM_FAILED;
    }
    read_more(g);
    update_fds(g);
    return status;
}

enum genfarm_status genfarm_collect(struct genfarm *g, const char *batch, const char *dir)
{
    struct collect_batch b = {0};
    struct collect_result r = {0};
    struct output *output = NULL;
    char folder[4096];
    buf_clear(&g->why);
    snprintf(folder, sizeof folder, "%s/%s", dir, batch);
    enum err e = job_name_ok(span_of(batch)) ? collect_status(g->session, span_of(batch), &b)
                                             : ERR_MISSING;
    struct output_options o = {folder, span_of(batch), (uint32_t)b.total,
                               access(folder, F_OK) == 0};
    if (e == OK)
        e = output_open(&o, &output, &g->why);
    if (e == OK)
        e = collect_inputs(g->session, span_of(batch), output);
    struct collect_options c = {.batch = span_of(batch), .output = output};
    if (e == OK) {
        c.after = output_counts(output).last_event;
        e = collect(g->session, &c, &r, &g->why);
    }
    struct output_summary s = {.submitted_ms = b.created_ms,
                               .ended_ms = clock_wall_ms(),
                               .possible_double_bill = r.possible_double_bill,
                               .interrupted = !r.ended};
    if (e == OK)
        e = output_finish(output, &s, &g->why);
    if (e == OK && r.images_gone > 0) {
        buf_addf(&g->why, "%u jobs completed, but their images are gone", r.images_gone);
        e = ERR_IO;
    }
    output_free(output);
    collect_batch_free(&b);
    buf_free(&r.message);
    return status_of(g, e);
}
