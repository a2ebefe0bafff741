// farm.c - see farm.h.
#include "farm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

#define TIMEOUT 5.0

struct farm *farm_with(const char *const extra[])
{
    struct farm *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->server = redis_server_start(extra);
    f->loop = ev_loop_new(EVFLAG_AUTO);
    f->link = link_new(f->loop, redis_server_url(f->server), NULL);
    f->queue = queue_new(f->link->redis, SPAN("q"), TIMEOUT);
    assert_non_null(f->queue);
    link_up(f->link);
    return f;
}

void farm_free(struct farm *f)
{
    queue_free(f->queue);
    link_free(f->link);
    ev_loop_destroy(f->loop);
    redis_server_stop(f->server);
    free(f);
}

int farm_open(void **state)
{
    *state = farm_with(NULL);
    return 0;
}

int farm_close(void **state)
{
    farm_free(*state);
    return 0;
}

int farm_fresh(void **state)
{
    struct farm *f = *state;
    redis_server_do(f->server, "CONFIG SET maxmemory 0");
    redis_server_do(f->server, "FLUSHALL");
    return 0;
}

void farm_again(struct farm *f)
{
    if (redis_server_pid(f->server) == 0)
        redis_server_again(f->server);
    if (!redis_ready(f->link->redis))
        f->link->up = false;
    link_up(f->link);
}

void told_value(void *ctx, enum err e, int64_t value)
{
    struct told *t = ctx;
    t->done = true;
    t->times++;
    t->err = e;
    t->value = value;
}

struct told farm_wait(struct farm *f, enum err accepted, struct told *t)
{
    if (accepted != OK) {
        t->err = accepted;
        return *t;
    }
    assert_false(t->done); // never from inside the call
    wait_for(f->loop, &t->done, "an answer");
    assert_int_equal(t->times, 1);
    return *t;
}

// --- Producing ---

struct told farm_create(struct farm *f, const char *batch, const char *user)
{
    struct told t = {0};
    struct batch_options o = {.batch = span_of(batch),
                              .user = span_of(user),
                              .nonce = (const uint8_t *)"0123456789abcdef",
                              .digest = SPAN("options"),
                              .total = -1,
                              .keep = 3600};
    return farm_wait(f, queue_create(f->queue, &o, told_value, &t), &t);
}

static void write_input(struct buf *out, uint32_t index, const char *salt)
{
    struct buf map = {.max = 4096}, prompt = {.max = 1024}, id = {.max = 32};
    buf_addf(&prompt, "prompt %s %u", salt, index);
    buf_addf(&id, "job-%u", index);
    struct job j = {
        .id = buf_span(&id), .prompt = buf_span(&prompt), .model = SPAN("m"), .samples = 1};
    job_encode(&map, &j);
    out->max = 4096;
    job_input(out, j.id, buf_span(&map));
    assert_int_equal(map.err | out->err, OK);
    buf_free(&map);
    buf_free(&prompt);
    buf_free(&id);
}

struct told farm_chunk_of(struct farm *f, const char *batch, uint32_t first, uint32_t n,
                          const char *route, const char *salt)
{
    struct told t = {0};
    struct buf *inputs = calloc(n + 1, sizeof *inputs);
    struct queue_input *in = calloc(n + 1, sizeof *in);
    for (uint32_t i = 0; i < n; i++) {
        write_input(&inputs[i], first + i, salt);
        in[i] = (struct queue_input){route ? route : FARM_ROUTE, buf_span(&inputs[i])};
    }
    enum err e = queue_chunk(f->queue, span_of(batch), first, n, in, told_value, &t);
    for (uint32_t i = 0; i < n; i++)
        buf_free(&inputs[i]);
    free(inputs);
    free(in);
    return farm_wait(f, e, &t);
}

struct told farm_chunk(struct farm *f, const char *batch, uint32_t first, uint32_t n)
{
    return farm_chunk_of(f, batch, first, n, NULL, "");
}

struct told farm_seal(struct farm *f, const char *batch, uint32_t total)
{
    struct told t = {0};
    return farm_wait(f, queue_seal(f->queue, span_of(batch), total, told_value, &t), &t);
}

void farm_submit(struct farm *f, const char *batch, const char *user, const char *route,
                 uint32_t n)
{
    assert_int_equal(farm_create(f, batch, user).err, OK);
    for (uint32_t at = 0; at < n; at += QUEUE_MAX_JOBS) {
        uint32_t part = n - at < QUEUE_MAX_JOBS ? n - at : QUEUE_MAX_JOBS;
        assert_int_equal(farm_chunk_of(f, batch, at, part, route, "").err, OK);
    }
    assert_int_equal(farm_seal(f, batch, n).err, OK);
}

// --- Working ---

struct told farm_register(struct farm *f, const char *inc)
{
    struct told t = {0};
    struct queue_fact facts[] = {{"host", SPAN("here")}, {"version", SPAN("1")}};
    return farm_wait(
        f, queue_register(f->queue, span_of(inc), FARM_LEASE, 2, facts, told_value, &t), &t);
}

struct hand farm_hand(struct farm *f, const char *inc)
{
    struct hand h = {0};
    snprintf(h.inc, sizeof h.inc, "%s", inc);
    assert_int_equal(farm_register(f, inc).err, OK);
    return h;
}

static void copy_span(char *to, size_t size, struct span from)
{
    assert_true(from.len < size);
    if (from.len)
        memcpy(to, from.ptr, from.len);
    to[from.len] = '\0';
}

struct asked {
    struct claims *claims;
    uint64_t seq;
};

static void told_claims(void *ctx, enum err e, const struct queue_claims *c)
{
    struct asked *a = ctx;
    a->claims->done = true;
    a->claims->err = e;
    for (size_t i = 0; e == OK && i < c->n_ready; i++)
        a->claims->ready += c->ready[i].jobs;
    for (size_t i = 0; e == OK && i < c->n_jobs; i++) {
        const struct queue_claimed *from = &c->jobs[i];
        struct held *to = &a->claims->jobs[a->claims->n++];
        struct span id, map;
        assert_int_equal(job_input_read(from->input, &id, &map), OK);
        copy_span(to->batch, sizeof to->batch, from->batch);
        copy_span(to->user, sizeof to->user, from->user);
        copy_span(to->list, sizeof to->list, from->list);
        copy_span(to->id, sizeof to->id, id);
        to->total = from->total;
        to->field = (struct queue_field){a->seq, from->slot};
        to->ticket = from->ticket;
    }
}

struct claims *farm_claim_at(struct farm *f, struct hand *h, uint64_t seq, unsigned want,
                             const char *lane)
{
    struct claims *c = calloc(1, sizeof *c);
    struct asked a = {c, seq};
    struct span lanes[] = {span_of(lane ? lane : FARM_LANE)};
    assert_non_null(c);
    h->seq = seq;
    c->err = queue_claim(f->queue, span_of(h->inc), seq, want, 1, lanes, told_claims, &a);
    if (c->err == OK)
        wait_for(f->loop, &c->done, "a claim");
    return c;
}

struct claims *farm_claim(struct farm *f, struct hand *h, unsigned want)
{
    return farm_claim_at(f, h, h->seq + 1, want, NULL);
}

static void told_marks(void *ctx, enum err e, struct span marks)
{
    struct marks *m = ctx;
    m->done = true;
    m->err = e;
    copy_span(m->text, sizeof m->text, marks);
}

static struct marks send_marks(struct farm *f, const struct hand *h, uint64_t number, size_t n,
                               const struct held *jobs, struct queue_mark each)
{
    struct marks m = {0};
    struct queue_mark *calls = calloc(n + 1, sizeof *calls);
    for (size_t i = 0; i < n; i++) {
        calls[i] = each;
        calls[i].field = jobs[i].field;
    }
    m.err = queue_sent(f->queue, span_of(h->inc), number, n, calls, told_marks, &m);
    free(calls);
    if (m.err == OK)
        wait_for(f->loop, &m.done, "sent marks");
    return m;
}

struct marks farm_sent_as(struct farm *f, const struct hand *h, uint64_t number, size_t n,
                          const struct held *jobs, int64_t worst)
{
    return send_marks(f, h, number, n, jobs, (struct queue_mark){.worst = worst});
}

struct marks farm_sent_to_fail(struct farm *f, struct hand *h, size_t n,
                               const struct held *jobs)
{
    return send_marks(f, h, ++h->mark, n, jobs, (struct queue_mark){.fail_unknown = true});
}

struct marks farm_sent(struct farm *f, struct hand *h, size_t n, const struct held *jobs)
{
    return farm_sent_as(f, h, ++h->mark, n, jobs, 0);
}

struct marks farm_settle_as(struct farm *f, struct hand *h, uint64_t number, size_t n,
                            const struct queue_settle *s)
{
    struct marks m = {0};
    h->number = number;
    m.err = queue_settle(f->queue, span_of(h->inc), number, n, s, told_marks, &m);
    if (m.err == OK)
        wait_for(f->loop, &m.done, "settle marks");
    return m;
}

struct event farm_event(enum event_type type, const struct held *job)
{
    return (struct event){.type = type,
                          .run = job->ticket.run,
                          .index = job->ticket.index,
                          .ts_ms = 1,
                          .id = span_of(job->id),
                          .attempts = 1,
                          .model = SPAN("m"),
                          .code = type == EVENT_FAILED ? CODE_SAFETY : CODE_OK};
}

static void write_event(struct buf *out, enum queue_op op, const struct held *job)
{
    struct event e = farm_event(op == QUEUE_COMPLETED                       ? EVENT_COMPLETED
                                : op == QUEUE_FAILED || op == QUEUE_REFUSED ? EVENT_FAILED
                                                                            : EVENT_CANCELLED,
                                job);
    out->max = 65536;
    event_encode(out, &e);
    assert_int_equal(out->err, OK);
}

static struct marks settle(struct farm *f, struct hand *h, enum queue_op op, int64_t delay_ms,
                           size_t n, const struct held *jobs)
{
    struct queue_settle *s = calloc(n + 1, sizeof *s);
    struct buf *events = calloc(n + 1, sizeof *events);
    bool terminal = strchr("CFBX", op) != NULL;
    for (size_t i = 0; i < n; i++) {
        s[i] = (struct queue_settle){.batch = span_of(jobs[i].batch),
                                     .field = jobs[i].field,
                                     .op = op,
                                     .delay_ms = delay_ms,
                                     .ticket = jobs[i].ticket};
        s[i].figures = (struct queue_figures){.calls = 1};
        if (op == QUEUE_COMPLETED)
            s[i].figures = (struct queue_figures){.cost_micro = 39000,
                                                  .output_tokens = 1290,
                                                  .bytes = 1000,
                                                  .images = 1,
                                                  .calls = 1};
        if (!terminal)
            continue;
        write_event(&events[i], op, &jobs[i]);
        s[i].events[s[i].n_events++] = buf_span(&events[i]);
    }
    struct marks m = farm_settle_as(f, h, h->number + 1, n, s);
    for (size_t i = 0; i < n; i++)
        buf_free(&events[i]);
    free(events);
    free(s);
    return m;
}

struct marks farm_settle(struct farm *f, struct hand *h, enum queue_op op, size_t n,
                         const struct held *jobs)
{
    return settle(f, h, op, 0, n, jobs);
}

struct marks farm_set_aside(struct farm *f, struct hand *h, int64_t worst, size_t n,
                            const struct held *jobs)
{
    return settle(f, h, QUEUE_ASIDE, worst, n, jobs);
}

struct marks farm_requeue(struct farm *f, struct hand *h, int64_t delay_ms, size_t n,
                          const struct held *jobs)
{
    return settle(f, h, QUEUE_REQUEUE, delay_ms, n, jobs);
}

static void told_renewed(void *ctx, enum err e, const struct queue_renewed *r)
{
    struct renewal *to = ctx;
    to->done = true;
    to->err = e;
    if (e != OK)
        return;
    to->active = r->active;
    to->n_cancelled = r->n_cancelled;
    if (r->n_cancelled > 0)
        snprintf(to->cancelled, sizeof to->cancelled, "%.*s", (int)r->cancelled[0].len,
                 r->cancelled[0].ptr);
    for (size_t i = 0; i < r->n_ready; i++)
        to->ready += r->ready[i].jobs;
}

struct renewal farm_renew(struct farm *f, const struct hand *h)
{
    struct renewal r = {0};
    r.err = queue_renew(f->queue, span_of(h->inc), FARM_LEASE, 0, SPAN(""), told_renewed, &r);
    if (r.err == OK)
        wait_for(f->loop, &r.done, "a renewal");
    return r;
}

struct told farm_leave(struct farm *f, const struct hand *h)
{
    struct told t = {0};
    return farm_wait(f, queue_leave(f->queue, span_of(h->inc), told_value, &t), &t);
}

struct told farm_tick(struct farm *f)
{
    struct told t = {0};
    return farm_wait(f, queue_tick(f->queue, 500, told_value, &t), &t);
}

void farm_tick_all(struct farm *f)
{
    for (int i = 0; i < 1000; i++) {
        struct told t = farm_tick(f);
        assert_int_equal(t.err, OK);
        if (t.value == 0)
            return;
    }
    fail_msg("there is always more to do");
}

// A tick first: without it the server would take itself to have been away.
void farm_expire(struct farm *f, const struct hand *h)
{
    assert_int_equal(farm_tick(f).err, OK);
    redis_server_do(f->server, "HDEL " FARM_PREFIX "cfg hold");
    redis_server_do(f->server, "ZADD " FARM_PREFIX "leases 1 %s", h->inc);
}

size_t farm_work_off(struct farm *f, struct hand *h)
{
    for (size_t sum = 0;;) {
        struct claims *c = farm_claim(f, h, FARM_MOST);
        assert_int_equal(c->err, OK);
        size_t n = c->n;
        if (n > 0) {
            struct marks m = farm_settle(f, h, QUEUE_COMPLETED, n, c->jobs);
            assert_int_equal(m.err, OK);
            assert_int_equal(strspn(m.text, "1"), n);
        }
        free(c);
        sum += n;
        if (n == 0)
            return sum;
    }
}

// --- Watching ---

static void told_batch(void *ctx, enum err e, const struct queue_batch *b)
{
    struct status *s = ctx;
    s->done = true;
    s->err = e;
    if (b)
        s->b = *b;
    s->b.batch = s->b.user = s->b.nonce = s->b.options = s->b.digest = (struct span){0};
}

struct status farm_status(struct farm *f, const char *batch)
{
    struct status s = {0};
    s.err = queue_status(f->queue, span_of(batch), told_batch, &s);
    if (s.err == OK)
        wait_for(f->loop, &s.done, "a status");
    return s;
}

struct told farm_cancel(struct farm *f, const char *batch, size_t n, const uint32_t *indexes)
{
    struct told t = {0};
    return farm_wait(f, queue_cancel(f->queue, span_of(batch), n, indexes, told_value, &t), &t);
}

struct told farm_retry(struct farm *f, const char *batch, uint16_t run, size_t n,
                       const uint32_t *indexes)
{
    struct told t = {0};
    struct queue_reopen *jobs = calloc(n + 1, sizeof *jobs);
    for (size_t i = 0; i < n; i++)
        jobs[i] = (struct queue_reopen){indexes[i], FARM_ROUTE};
    enum err e = queue_retry(f->queue, span_of(batch), run, n, jobs, told_value, &t);
    free(jobs);
    return farm_wait(f, e, &t);
}

struct told farm_pause(struct farm *f, const char *batch, bool on)
{
    struct told t = {0};
    return farm_wait(f, queue_pause(f->queue, span_of(batch), on, told_value, &t), &t);
}

struct count {
    bool done;
    enum event_type type;
    int64_t index;
    unsigned n;
};

static void told_events(void *ctx, enum err e, const struct queue_event *events, size_t n)
{
    struct count *c = ctx;
    c->done = true;
    assert_int_equal(e, OK);
    for (size_t i = 0; i < n; i++) {
        struct event ev;
        assert_int_equal(events[i].number, i + 1); // dense
        assert_int_equal(event_decode(&ev, events[i].bytes), OK);
        if (ev.type == c->type && (c->index < 0 || ev.index == (uint64_t)c->index))
            c->n++;
    }
}

unsigned farm_events(struct farm *f, const char *batch, enum event_type type, int64_t index)
{
    struct count c = {.type = type, .index = index};
    assert_int_equal(queue_events(f->queue, span_of(batch), 0, 1000000, 0, told_events, &c),
                     OK);
    wait_for(f->loop, &c.done, "events");
    return c.n;
}
