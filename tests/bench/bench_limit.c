// bench_limit.c - what the limiter costs: requests for `each` send slots of a group with three
// dimensions, one after the other. Prints one line of JSON: Redis's own CPU time a request, and
// a slot.
#include <stdio.h>
#include <stdlib.h>

#include "broker/limit.h"
#include "client/session.h"
#include "cpu.h"

#define GROUP SPAN("bench/model/standard")
#define SPEC  SPAN("rpm=1000000000/1000000,tpm=1000000000/1000000,rpd=1000000000/day")

struct bench {
    struct session *session;
    unsigned each;
    uint64_t left, slots;
    int64_t told; // the last number
    bool over;
};

static void ask(struct bench *b);

static void on_grant(void *ctx, enum err e, const struct limit_grant *g)
{
    struct bench *b = ctx;
    bench_stop(e, "limit");
    b->slots += g->n;
    if (--b->left == 0)
        b->over = true;
    else
        ask(b);
}

static void ask(struct bench *b)
{
    static struct limit_units takes[LIMIT_MAX_SLOTS];
    for (unsigned i = 0; i < b->each && i < LIMIT_MAX_SLOTS; i++)
        takes[i] = (struct limit_units){.images = 1, .tokens = 20, .micro = 39000};
    struct limit_request l = {.group = GROUP,
                              .want = b->each,
                              .horizon_us = 60000000,
                              .spec = SPEC,
                              .takes = takes,
                              .inc = SPAN("bench:1:1"),
                              .held_us = 30000000,
                              .teller = SPAN("bench"),
                              .news = {.number = ++b->told, .did = {.calls = 1}}};
    bench_stop(limit_ask(session_redis(b->session), 5., &l, on_grant, b), "limit");
}

int main(int argc, char *argv[])
{
    struct buf why = {.max = 1024};
    if (argc != 4) {
        fputs("usage: bench_limit REDIS_URL REQUESTS EACH\n", stderr);
        return 2;
    }
    uint64_t requests = strtoul(argv[2], NULL, 10);
    struct bench b = {.left = requests, .each = (unsigned)strtoul(argv[3], NULL, 10)};
    struct session_options so = {.redis = span_of(argv[1]), .queue = SPAN("bench")};
    bench_stop(session_open(&so, &b.session, &why), "connect");
    double cpu0 = bench_redis_cpu(b.session);
    ask(&b);
    bench_stop(session_wait(b.session, &b.over), "wait");
    double us = (bench_redis_cpu(b.session) - cpu0) * 1e6;
    printf("{\"each\":%u,\"us_per_request\":%.1f,\"us_per_slot\":%.2f}\n", b.each,
           us / (double)requests, b.slots ? us / (double)b.slots : 0.);
    session_close(b.session);
    buf_free(&why);
    return 0;
}
