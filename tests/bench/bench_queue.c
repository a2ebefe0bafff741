// bench_queue.c - what the queue itself costs: bulk submit, then no-op jobs through one worker
// (claim under a lease, limiter, sent mark, settle with an event and counters), `width` at a
// time. Prints one line of JSON: jobs per second each way, and Redis's own CPU time per job.
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/event.h"
#include "broker/limit.h"
#include "client/session.h"
#include "client/submit.h"
#include "common/clock.h"
#include "cpu.h"

#define BATCH "bench"
#define INC   "bench:1:1"
#define MODEL "no-model"
#define LIMIT "req=1000000000/1000000" // never in the way, but asked for each claim

struct bench {
    struct session *session;
    uint32_t jobs, done;
    unsigned width;
    struct buf map;
    struct queue_field fields[QUEUE_MAX_JOBS];
    struct queue_mark marks[QUEUE_MAX_JOBS];
    struct ticket tickets[QUEUE_MAX_JOBS];
    uint64_t seq, settles;
    size_t n;
    bool over;
    enum err err;
};

static enum err source(void *ctx, uint32_t i, struct submit_item *out)
{
    static char id[16];
    struct bench *b = ctx;
    snprintf(id, sizeof id, "%08u", i);
    *out = (struct submit_item){span_of(id), buf_span(&b->map), "1/standard/" MODEL};
    return OK;
}

static void payload(struct bench *b)
{
    char prompt[300];
    memset(prompt, 'x', sizeof prompt);
    struct job j = {.prompt = {prompt, sizeof prompt},
                    .model = SPAN(MODEL),
                    .priority = JOB_NORMAL,
                    .sample = 1,
                    .samples = 1};
    b->map.max = 4096;
    job_encode(&b->map, &j);
}

// --- One worker: limiter, claim, sent, settle, again ----------------------------------------

static void on_settled(void *ctx, enum err e, struct span marks)
{
    struct bench *b = ctx;
    b->err = e;
    for (size_t i = 0; e == OK && i < marks.len; i++)
        b->done += marks.ptr[i] == '1';
    b->over = e != OK || b->done >= b->jobs;
}

static void settle(struct bench *b)
{
    static struct queue_settle all[QUEUE_MAX_JOBS];
    static struct buf events[QUEUE_MAX_JOBS];
    for (size_t i = 0; i < b->n; i++) {
        struct event e = {.type = EVENT_COMPLETED,
                          .run = 1,
                          .index = b->tickets[i].index,
                          .ts_ms = clock_wall_ms(),
                          .id = SPAN("00000000"),
                          .attempts = 1,
                          .model = SPAN(MODEL),
                          .latency_ms = 1};
        events[i].max = 4096;
        buf_clear(&events[i]);
        event_encode(&events[i], &e);
        all[i] = (struct queue_settle){.batch = SPAN(BATCH),
                                       .field = b->fields[i],
                                       .op = QUEUE_COMPLETED,
                                       .ticket = b->tickets[i],
                                       .figures = {.cost_micro = 1, .images = 1},
                                       .n_events = 1,
                                       .events = {buf_span(&events[i])}};
    }
    bench_stop(queue_settle(session_queue(b->session), SPAN(INC), ++b->settles, b->n, all,
                            on_settled, b),
               "settle");
}

static void ask(struct bench *b);

static void on_sent(void *ctx, enum err e, struct span marks)
{
    (void)marks;
    bench_stop(e, "sent");
    settle(ctx);
    ask(ctx); // the next claim goes out with this settle, as a worker's does
}

static void on_claimed(void *ctx, enum err e, const struct queue_claims *c)
{
    struct bench *b = ctx;
    bench_stop(e, "claim");
    b->n = c->n_jobs;
    for (size_t i = 0; i < c->n_jobs; i++) {
        b->fields[i] = (struct queue_field){b->seq, c->jobs[i].slot};
        b->marks[i].field = b->fields[i];
        b->tickets[i] = c->jobs[i].ticket;
    }
    if (b->n == 0)
        return; // none are left: the last settles are on their way
    bench_stop(
        queue_sent(session_queue(b->session), SPAN(INC), b->seq, b->n, b->marks, on_sent, b),
        "sent");
}

static void on_grant(void *ctx, enum err e, const struct limit_grant *g)
{
    static const struct span lanes[] = {SPAN("standard/" MODEL)};
    struct bench *b = ctx;
    (void)g;
    bench_stop(e, "limit");
    bench_stop(queue_claim(session_queue(b->session), SPAN(INC), ++b->seq, b->width, 1, lanes,
                           on_claimed, b),
               "claim");
}

static void ask(struct bench *b)
{
    struct limit_request l = {.group = SPAN("bench/" MODEL "/standard"),
                              .want = b->width,
                              .horizon_us = 1000000,
                              .spec = SPAN(LIMIT)};
    bench_stop(limit_ask(session_redis(b->session), 5., &l, on_grant, b), "limit");
}

// --- Redis's own time -----------------------------------------------------------------------

int main(int argc, char *argv[])
{
    struct buf why = {.max = 1024};
    struct submit_result result;
    struct session_value v = {0};
    if (argc != 4) {
        fputs("usage: bench_queue REDIS_URL JOBS WIDTH\n", stderr);
        return 2;
    }
    struct bench b = {.jobs = (uint32_t)strtoul(argv[2], NULL, 10),
                      .width = (unsigned)strtoul(argv[3], NULL, 10)};
    struct session_options so = {.redis = span_of(argv[1]), .queue = SPAN("bench")};
    bench_stop(session_open(&so, &b.session, &why), "connect");
    payload(&b);
    struct submit_options o = {
        .batch = SPAN(BATCH), .total = b.jobs, .keep_s = 60, .source = source, .ctx = &b};
    double cpu0 = bench_redis_cpu(b.session);
    int64_t t0 = clock_boot_us();
    bench_stop(submit_batch(b.session, &o, &result, &why), "submit");
    int64_t t1 = clock_boot_us();
    bench_stop(session_value(b.session,
                             queue_register(session_queue(b.session), SPAN(INC), 600000, 0,
                                            NULL, session_on_value, &v),
                             &v),
               "register");
    int64_t t2 = clock_boot_us();
    ask(&b);
    bench_stop(session_wait(b.session, &b.over), "wait");
    bench_stop(b.err, "settle");
    int64_t t3 = clock_boot_us();
    printf("{\"what\":\"genfarm\",\"jobs\":%u,\"width\":%u,\"in_per_s\":%.0f,"
           "\"through_per_s\":%.0f,\"redis_us_per_job\":%.1f}\n",
           b.jobs, b.width, b.jobs * 1e6 / (double)(t1 - t0), b.jobs * 1e6 / (double)(t3 - t2),
           (bench_redis_cpu(b.session) - cpu0) * 1e6 / b.jobs);
    session_close(b.session);
    buf_free(&b.map);
    buf_free(&why);
    return 0;
}
