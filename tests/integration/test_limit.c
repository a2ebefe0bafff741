// test_limit.c - the limiter: slots of one group over several connections. Never more than N +
// 1 calls in any window of a period, whoever asks for them.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/limit.h"
#include "farm.h"
#include "test.h"

struct grant {
    bool done;
    enum err err;
    int64_t server_us, wait_us;
    char spec[256], reason[64], learned[256];
    int64_t learned_us;
    struct limit_done_calls today;
    int64_t day_ends_us, edited_us;
    char asks[256];
    size_t n;
    int64_t at[LIMIT_MAX_SLOTS]; // in the server's time
};

static void granted(void *ctx, enum err e, const struct limit_grant *g)
{
    struct grant *to = ctx;
    to->done = true;
    to->err = e;
    if (e != OK)
        return;
    to->server_us = g->server_us;
    to->wait_us = g->wait_us;
    snprintf(to->reason, sizeof to->reason, "%.*s", (int)g->reason.len, g->reason.ptr);
    snprintf(to->spec, sizeof to->spec, "%.*s", (int)g->spec.len, g->spec.ptr);
    snprintf(to->learned, sizeof to->learned, "%.*s", (int)g->learned.len, g->learned.ptr);
    to->learned_us = g->learned_us;
    to->today = g->today;
    to->day_ends_us = g->day_ends_us;
    to->edited_us = g->edited_us;
    snprintf(to->asks, sizeof to->asks, "%.*s", (int)g->asks.len, g->asks.ptr);
    to->n = g->n;
    for (size_t i = 0; i < g->n; i++)
        to->at[i] = g->server_us + g->slots_us[i];
}

// What each of the calls takes.
static struct limit_units takes[LIMIT_MAX_SLOTS];

static const struct limit_units *each(struct limit_units u)
{
    for (size_t i = 0; i < LIMIT_MAX_SLOTS; i++)
        takes[i] = u;
    return takes;
}

static enum err ask(struct link *l, const struct limit_request *r, struct grant *g)
{
    *g = (struct grant){0};
    enum err e = limit_ask(l->redis, 5, r, granted, g);
    if (e == OK)
        wait_for(l->loop, &g->done, "a grant");
    return e == OK ? g->err : e;
}

static void ask_ok(struct farm *f, const struct limit_request *r, struct grant *g)
{
    assert_int_equal(ask(f->link, r, g), OK);
}

#define GROUP SPAN("p/m/standard")

static struct grant put(struct farm *f, struct span group, struct span spec)
{
    struct grant g = {0};
    assert_int_equal(limit_set(f->link->redis, 5, group, spec, granted, &g), OK);
    wait_for(f->loop, &g.done, "a limit to be set");
    assert_int_equal(g.err, OK);
    return g;
}

static struct grant refuse_by(struct farm *f, int64_t cool_us, int64_t sent_us,
                              enum limit_cause cause)
{
    struct grant g = {0};
    assert_int_equal(
        limit_refused(f->link->redis, 5, GROUP, cool_us, sent_us, cause, granted, &g), OK);
    wait_for(f->loop, &g.done, "a refusal to be told");
    assert_int_equal(g.err, OK);
    return g;
}

static struct grant refuse(struct farm *f, int64_t cool_us, int64_t sent_us, bool rate)
{
    enum limit_cause cause = rate ? LIMIT_BY_RATE : LIMIT_BY_CAPACITY;
    return refuse_by(f, cool_us, sent_us, cause);
}

static void set(struct farm *f, const char *text)
{
    struct buf spec = {.max = 1000};
    struct grant g;
    assert_int_equal(limit_spec(span_of(text), &spec, NULL), OK);
    g = put(f, GROUP, buf_span(&spec));
    assert_string_equal(g.spec, buf_str(&spec));
    buf_free(&spec);
}

static int rising(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// A call goes out between its slot and 10 ms later: the worst case is late, then early.
static void assert_at_most(int64_t *at, size_t n, size_t most, int64_t period_us)
{
    qsort(at, n, sizeof *at, rising);
    for (size_t i = 0; i + most < n; i++)
        assert_true(at[i + most] - (at[i] + LIMIT_SLACK_US) > period_us);
}

static void without_a_limit_no_slots_are_needed(void **state)
{
    struct farm *f = *state;
    struct grant g;
    ask_ok(f, &(struct limit_request){.group = GROUP, .want = 5, .horizon_us = 1000000}, &g);
    assert_string_equal(g.spec, "");
    assert_int_equal(g.n, 0);
    assert_int_equal(g.wait_us, 0);
    assert_string_equal(g.reason, "");
    assert_true(g.server_us > 1600000000000000);
    assert_int_equal(redis_server_number(f->server, "DBSIZE"), 0);
}

static void slots_are_apart(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set(f, "req=100/1s");
    ask_ok(f, &(struct limit_request){.group = GROUP, .want = 50, .horizon_us = 10000000}, &g);
    assert_int_equal(g.n, 50);
    assert_int_equal(g.at[0], g.server_us);
    for (size_t i = 1; i < g.n; i++)
        assert_int_equal(g.at[i] - g.at[i - 1], 10100); // (1 s + 10 ms) / 100
}

static void the_horizon_bounds_them(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set(f, "req=10/1s");
    struct limit_request r = {.group = GROUP, .want = 100, .horizon_us = 500000};
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 5); // 0, 101, 202, 303, 404 ms
    ask_ok(f, &r, &g);
    assert_true(g.n <= 1);
    r.horizon_us = 1000;
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 0);
    assert_true(g.wait_us > 1000 && g.wait_us <= 606000);
    assert_string_equal(g.reason, "req");
}

static void several_connections_share(void **state)
{
    struct farm *f = *state;
    struct link *links[4];
    struct grant *g = calloc(1, sizeof *g);
    int64_t *all = calloc(10000, sizeof *all);
    size_t n = 0, by[4] = {0};
    set(f, "req=20/200ms");
    for (int i = 0; i < 4; i++) {
        links[i] = link_new(f->loop, redis_server_url(f->server), NULL);
        link_up(links[i]);
    }
    // They come and go as they like, for a while, with unequal appetites.
    int64_t begin = 0, now = 0;
    for (int turn = 0; begin == 0 || now < begin + 1000000; turn++) {
        struct limit_request r = {
            .group = GROUP, .want = 1 + (unsigned)turn * 7 % 13, .horizon_us = 50000};
        assert_int_equal(ask(links[turn % 4], &r, g), OK);
        now = g->server_us;
        begin = begin ? begin : now;
        assert_true(n + g->n < 10000);
        memcpy(all + n, g->at, g->n * sizeof *all);
        n += g->n;
        by[turn % 4] += g->n;
    }
    assert_in_range(n, 90, 112); // and what is allowed is used: 20 / 210 ms, for 1.05 s
    assert_at_most(all, n, 21, 200000);
    for (int i = 0; i < 4; i++) {
        assert_true(by[i] > 0);
        link_free(links[i]);
    }
    free(all);
    free(g);
}

static void every_dimension_holds(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set(f, "req=10/100ms,slow=30/1s");
    ask_ok(f, &(struct limit_request){.group = GROUP, .want = 200, .horizon_us = 3000000}, &g);
    assert_at_most(g.at, g.n, 11, 100000);
    assert_at_most(g.at, g.n, 31, 1000000);
    assert_in_range(g.n, 85, 92);
}

static void strict_is_one_less(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set(f, "req=10/1s,strict");
    ask_ok(f, &(struct limit_request){.group = GROUP, .want = 50, .horizon_us = 10000000}, &g);
    assert_int_equal(g.n, 50);
    assert_at_most(g.at, g.n, 10, 1000000);
    assert_in_range((g.at[49] - g.at[0]) / 49, 101500, 102100); // 98 % are used
    set(f, "req=1/100ms,strict");
    ask_ok(f, &(struct limit_request){.group = GROUP, .want = 5, .horizon_us = 10000000}, &g);
    assert_int_equal(g.n, 5);
    assert_at_most(g.at, g.n, 1, 100000);
}

static void each_call_counts_as_what_it_takes(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set(f, "tpm=60000"); // 1,000 tokens a second, so to say
    for (int i = 0; i < 9; i++)
        takes[i].tokens = i < 3 ? 100 : i % 2 ? 5000 : 0;
    struct limit_request r = {
        .group = GROUP, .want = 9, .horizon_us = 100000000, .takes = takes};
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 9);
    for (size_t i = 1; i < g.n; i++)
        assert_in_range(g.at[i] - g.at[i - 1] + 2, takes[i - 1].tokens * 1000,
                        takes[i - 1].tokens * 1001 + 4);
}

// What a call takes moves each dimension on by so much; what it took beyond that, later.
static void tokens_and_dollars_count(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set(f, "tpm=60000,usd10m=6"); // 1,000 tokens or a cent a second
    struct limit_request r = {.group = GROUP,
                              .want = 20,
                              .horizon_us = 3000000,
                              .takes = each((struct limit_units){1, 500, 1000})};
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 6); // tokens bind: two a second
    assert_string_equal(g.reason, "tpm");
    each((struct limit_units){1, 1, 20000});
    set(f, "tpm=60000,usd10m=6");
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 2); // dollars bind: one in two seconds
    assert_string_equal(g.reason, "usd10m");
    set(f, "tpm=60000,usd10m=6");
    r.want = 1;
    ask_ok(f, &r, &g);
    r.news =
        (struct limit_news){.number = 1, .extra.tokens = 10000}; // it thought: ten seconds more
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 0);
    assert_string_equal(g.reason, "tpm");
    assert_in_range(g.wait_us, 9900000, 10100000);
    r.news.extra.tokens = -9000;
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 1);
}

static void a_day_has_so_many(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set(f, "rpd=3");
    struct limit_request r = {.group = GROUP, .want = 5, .horizon_us = 1000000};
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 3);
    assert_string_equal(g.reason, "rpd");
    set(f, "rpd=5"); // of which three went out already
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 2);
    assert_string_equal(g.reason, "rpd");
    set(f, "rpd=3");
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 0);
    int64_t end = limit_day_end(g.server_us);
    assert_in_range(g.server_us + g.wait_us, end - 1000, end + 1000);
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l ends:rpd 1"); // it passes
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 3);
}

static void calls_in_flight_are_shared(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set(f, "inflight=10");
    struct limit_request a = {
        .group = GROUP, .want = 8, .horizon_us = 1000, .inc = SPAN("a"), .held_us = 60000000};
    struct limit_request b = a;
    b.inc = SPAN("b");
    ask_ok(f, &a, &g);
    assert_int_equal(g.n, 8);
    ask_ok(f, &b, &g);
    assert_int_equal(g.n, 2);
    assert_string_equal(g.reason, "inflight");
    a.want = 0;
    a.held = 3; // five are over
    ask_ok(f, &a, &g);
    b.held = 2;
    ask_ok(f, &b, &g);
    assert_int_equal(g.n, 5);
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l e:b 1"); // it died
    a.want = 20;
    ask_ok(f, &a, &g);
    assert_int_equal(g.n, 7);
}

static struct grant learn(struct farm *f, const char *spec)
{
    struct grant g = {0};
    assert_int_equal(limit_learn(f->link->redis, 5, GROUP, span_of(spec), granted, &g), OK);
    wait_for(f->loop, &g.done, "what the provider allows");
    assert_int_equal(g.err, OK);
    return g;
}

static struct grant two_slots(struct farm *f)
{
    struct grant g;
    ask_ok(f, &(struct limit_request){.group = GROUP, .want = 2, .horizon_us = 600000000}, &g);
    return g;
}

// --- Refusals ---

static void a_refusal_cools_all(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {.group = GROUP, .want = 5, .horizon_us = 100000};
    ask_ok(f, &r, &g);
    refuse(f, 3000000, g.server_us, true);
    ask_ok(f, &r, &g); // without a limit, too
    assert_string_equal(g.spec, "");
    assert_string_equal(g.reason, "cooling");
    assert_in_range(g.wait_us, 2900000, 3000000);
    set(f, "req=1000/1s");
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 0);
    r.horizon_us = 4000000;
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 5);
    assert_true(g.at[0] - g.server_us > 2800000);
    r.group = SPAN("p/other/standard");
    ask_ok(f, &r, &g);
    assert_int_equal(g.wait_us, 0);
}

static void what_was_spent_is_named(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {.group = GROUP, .want = 5, .horizon_us = 100000};
    ask_ok(f, &r, &g);
    assert_string_equal(refuse_by(f, 3000000, g.server_us, LIMIT_BY_SPEND).reason, "spend");
    ask_ok(f, &r, &g); // without a limit, too
    assert_string_equal(g.reason, "spend");
    set(f, "req=1000/1s");
    ask_ok(f, &r, &g);
    assert_string_equal(g.reason, "spend");
    refuse(f, 1000, g.server_us, false); // shorter: nothing new
    ask_ok(f, &r, &g);
    assert_string_equal(g.reason, "spend");
    refuse(f, 9000000, g.server_us, false);
    ask_ok(f, &r, &g);
    assert_string_equal(g.reason, "cooling");
}

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-4)

static double rate(struct farm *f)
{
    redisReply *r = redis_server_ask(f->server, "HGET genfarm:{limit:p/m/standard}:l rate");
    double v = r->type == REDIS_REPLY_STRING ? atof(r->str) : 1;
    freeReplyObject(r);
    return v;
}

static void the_first_of_a_burst_cuts_the_rate(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set(f, "req=1000/1s");
    struct limit_request r = {.group = GROUP, .want = 1, .horizon_us = 1000000};
    ask_ok(f, &r, &g);
    int64_t sent = g.server_us;
    struct grant cut = refuse(f, 0, sent, true);
    assert_near(rate(f), 0.7);
    refuse(f, 0, sent, true); // sent before the cut: of the same burst
    assert_near(rate(f), 0.7);
    refuse(f, 0, cut.server_us + 1000, true); // below a half of the last ceiling
    assert_near(rate(f), 0.49);
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l rate 0.66");
    refuse(f, 0, cut.server_us + 60000000, true); // near what was refused before
    assert_near(rate(f), 0.66 * 0.95);
    redis_server_do(f->server, "HINCRBY genfarm:{limit:p/m/standard}:l rate_at -5000000");
    ask_ok(f, &r, &g);
    assert_near(rate(f), 0.66 * 0.95 + 5 * 0.005 * 0.66); // slowly, near the ceiling
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l rate 0.3");
    redis_server_do(f->server, "HINCRBY genfarm:{limit:p/m/standard}:l rate_at -2000000");
    ask_ok(f, &r, &g);
    assert_near(rate(f), 0.3 + 2 * 0.05 * 0.66);
}

// So many half seconds, each with a refusal.
static void refuse_often(struct farm *f, int times, int64_t sent_us)
{
    for (int i = 0; i < times; i++) {
        redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l streak_at 0");
        refuse(f, 0, sent_us, false);
    }
}

static void sustained_refusals_open_the_circuit(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {.group = GROUP, .want = 5, .horizon_us = 100000};
    ask_ok(f, &r, &g);
    int64_t sent = g.server_us;
    refuse_often(f, 3, sent);
    r.news =
        (struct limit_news){.number = 1, .went_well_us = sent}; // between them some went well
    ask_ok(f, &r, &g);
    r.news.number = 0;
    refuse_often(f, 3, sent);
    ask_ok(f, &r, &g);
    assert_string_equal(g.reason, ""); // three are not enough
    refuse(f, 0, sent, false);         // at the same time as the last: still three
    ask_ok(f, &r, &g);
    assert_string_equal(g.reason, "");
    refuse_often(f, 1, sent);
    ask_ok(f, &r, &g);
    assert_string_equal(g.reason, "probing");
    assert_int_equal(g.n, 0);
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l cd 1"); // the pause is over
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 1); // a probe
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 0); // and no other for a second
    r.news = (struct limit_news){.number = 1, .went_well_us = g.server_us + 1000000000};
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l cd 1");
    ask_ok(f, &r, &g);
    assert_string_equal(g.reason, ""); // closed again: no slots are needed
}

// What the provider said bounds the rate, and the first refusal of a burst lowers that.
static void learned_limits_are_cut_too(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {.group = GROUP, .want = 2, .horizon_us = 100000000};
    ask_ok(f, &r, &g);
    refuse(f, 0, g.server_us, true); // nothing that could be cut
    assert_near(rate(f), 1);
    learn(f, "rpm=301/60000000");
    ask_ok(f, &r, &g);
    refuse(f, 0, g.server_us + 1000, true);
    assert_near(rate(f), 0.7);
    g = two_slots(f);
    assert_in_range(g.at[1] - g.at[0], 200033 / 7 * 10, 200034 / 7 * 10 + 10);
}

// Without a limit, too, workers that only ask whether there is one are told.
static void an_open_circuit_is_told_to_all(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {.group = GROUP};
    ask_ok(f, &r, &g);
    refuse_often(f, 4, g.server_us);
    ask_ok(f, &r, &g);
    assert_string_equal(g.reason, "probing");
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l cd 1"); // the pause is over
    ask_ok(f, &r, &g);
    assert_string_equal(g.reason, "probing");
    assert_int_equal(g.wait_us, 0);
}

static void the_first_spec_stays(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {.group = GROUP, .spec = SPAN("req=5/1000000")};
    ask_ok(f, &r, &g);
    assert_string_equal(g.spec, "req=5/1000000");
    r.spec = SPAN("req=7/1000000");
    ask_ok(f, &r, &g);
    assert_string_equal(g.spec, "req=5/1000000"); // the worker learns which is in force
    g = put(f, GROUP, SPAN("req=7/1000000"));
    assert_string_equal(g.spec, "req=7/1000000");
    r.group = SPAN("p/other/standard"); // groups are apart
    r.spec = (struct span){0};
    ask_ok(f, &r, &g);
    assert_string_equal(g.spec, "");
}

// Cleared is cleared: what workers want waits until a person sets it.
static void what_was_cleared_is_not_set_again_by_a_worker(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {.group = GROUP, .spec = SPAN("req=5/1000000"), .want = 1};
    ask_ok(f, &r, &g);
    assert_int_equal(g.edited_us, 0); // a worker's
    assert_string_equal(g.asks, "");
    g = put(f, GROUP, SPAN(""));
    assert_string_equal(g.spec, "");
    int64_t edited_us = g.edited_us;
    assert_int_equal(edited_us, g.server_us);
    ask_ok(f, &r, &g);
    assert_string_equal(g.spec, "");
    assert_string_equal(g.asks, "req=5/1000000");
    assert_int_equal(g.edited_us, edited_us);
    g = put(f, GROUP, SPAN("req=7/1000000"));
    assert_true(g.edited_us > edited_us);
    ask_ok(f, &r, &g);
    assert_string_equal(g.spec, "req=7/1000000");
    assert_string_equal(g.asks, "req=5/1000000");
    g = put(f, GROUP, SPAN("req=5/1000000"));
    assert_string_equal(g.asks, "");
}

static void what_went_out_today_outlives_a_clearing(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set(f, "rpd=3");
    struct limit_request r = {.group = GROUP, .want = 5, .horizon_us = 1000000};
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 3);
    put(f, GROUP, SPAN(""));
    ask_ok(f, &r, &g);
    assert_string_equal(g.reason, "");
    set(f, "rpd=4");
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 1);
    put(f, GROUP, SPAN(""));
    r.news = (struct limit_news){.number = 1, .did.calls = 9}; // without a limit
    ask_ok(f, &r, &g);
    r.news.number = 0;
    set(f, "rpd=10");
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 1);
}

static void a_new_spec_replaces_all_of_the_old(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set(f, "req=1/1h,other=5/1s");
    ask_ok(f, &(struct limit_request){.group = GROUP, .want = 1, .horizon_us = 1}, &g);
    set(f, "other=5/1s");
    ask_ok(f, &(struct limit_request){.group = GROUP, .want = 3, .horizon_us = 3000000}, &g);
    assert_int_equal(g.n, 3);
}

// A run of slots that no call used, of calls that take `last` each.
static struct limit_news unused(const struct grant *g, size_t from, size_t to)
{
    static int64_t number;
    return (struct limit_news){.number = ++number,
                               .back = {.n = (int64_t)(to - from + 1),
                                        .day_ends_us = g->day_ends_us,
                                        .from_us = g->at[from],
                                        .to_us = g->at[to]}};
}

static void slots_can_be_handed_back(void **state)
{
    struct farm *f = *state;
    struct grant a, b;
    set(f, "req=10/1s");
    struct limit_request r = {.group = GROUP, .want = 10, .horizon_us = 10000000};
    ask_ok(f, &r, &a);
    assert_int_equal(a.n, 10);
    struct limit_request back = {.group = GROUP, .teller = SPAN("t"), .news = unused(&a, 4, 9)};
    ask_ok(f, &back, &b);
    ask_ok(f, &r, &b);
    assert_int_equal(b.at[0], a.at[4]);
}

// The answer was lost, and somebody has been granted the slot meanwhile.
static void what_is_handed_back_twice_counts_once(void **state)
{
    struct farm *f = *state;
    struct grant a, b, c;
    set(f, "req=10/1s,rpd=100");
    struct limit_request r = {.group = GROUP, .want = 1, .horizon_us = 10000000};
    ask_ok(f, &r, &a);
    ask_ok(f, &r, &a);
    struct limit_request back = {.group = GROUP, .teller = SPAN("t"), .news = unused(&a, 0, 0)};
    ask_ok(f, &back, &b);
    ask_ok(f, &r, &b);
    assert_int_equal(b.at[0], a.at[0]);
    ask_ok(f, &back, &c);
    ask_ok(f, &r, &c);
    assert_int_equal(c.at[0] - b.at[0], 101000);
    assert_int_equal(
        redis_server_number(f->server, "HGET genfarm:{limit:p/m/standard}:l used:rpd"), 3);
}

// Slots before somebody else's are not handed out twice, however often they are handed back.
static void slots_before_others_are_forfeit(void **state)
{
    struct farm *f = *state;
    struct grant a, b, c;
    int64_t all[64];
    set(f, "req=10/1s,slow=100/1m");
    struct limit_request r = {.group = GROUP, .want = 10, .horizon_us = 30000000};
    ask_ok(f, &r, &a);
    ask_ok(f, &r, &b);
    struct limit_request back = {
        .group = GROUP, .want = 10, .horizon_us = 30000000, .news = unused(&a, 4, 9)};
    ask_ok(f, &back, &c);
    assert_true(c.at[0] > b.at[9]);
    memcpy(all, a.at, 4 * sizeof *all);
    memcpy(all + 4, b.at, 10 * sizeof *all);
    memcpy(all + 14, c.at, 10 * sizeof *all);
    assert_at_most(all, 24, 11, 1000000);
}

// It was not used: that it is over does no harm where nobody was granted a later one.
static void what_is_past_can_be_handed_back(void **state)
{
    struct farm *f = *state;
    struct grant a, b;
    set(f, "req=2/1h");
    struct limit_request r = {.group = GROUP, .want = 1, .horizon_us = 0};
    ask_ok(f, &r, &a);
    assert_int_equal(a.n, 1); // now
    ask_ok(f, &r, &b);
    assert_int_equal(b.n, 0);
    r.news = unused(&a, 0, 0);
    ask_ok(f, &r, &b);
    assert_int_equal(b.n, 1);
    r.news = unused(&a, 0, 0); // that is no longer the last
    ask_ok(f, &r, &b);
    assert_int_equal(b.n, 0);
}

// What was reckoned, and put right, goes back with the slot, in every dimension.
static void dimensions_go_back_by_what_was_charged(void **state)
{
    struct farm *f = *state;
    struct grant a, b;
    set(f, "req=100/1s,tpm=60000"); // 1,000 tokens a second
    struct limit_request r = {.group = GROUP,
                              .want = 2,
                              .horizon_us = 100000000,
                              .takes = each((struct limit_units){1, 10000, 0})};
    ask_ok(f, &r, &a); // ten seconds each
    r.want = 1;
    r.news = unused(&a, 1, 1);
    r.news.back.last = takes[0];
    ask_ok(f, &r, &b);
    assert_in_range(b.at[0], a.at[1] - 2, a.at[1] + 2);
}

static void a_day_gets_its_calls_back(void **state)
{
    struct farm *f = *state;
    struct grant a, b;
    set(f, "rpd=5");
    struct limit_request r = {.group = GROUP, .want = 9, .horizon_us = 1000000};
    ask_ok(f, &r, &a);
    assert_int_equal(a.n, 5);
    r.news = unused(&a, 0, 2);
    ask_ok(f, &r, &b);
    assert_int_equal(b.n, 3);
    assert_string_equal(b.reason, "rpd");
    r.news = unused(&a, 0, 2);
    r.news.back.day_ends_us -= 86400000000; // they were yesterday's
    ask_ok(f, &r, &b);
    assert_int_equal(b.n, 0);
}

// Whatever this host's clock says, within half a day.
static void the_servers_clock_says_which_day_it_is(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set(f, "rpd=3");
    struct limit_request r = {.group = GROUP};
    ask_ok(f, &r, &g);
    int64_t end = limit_day_end(g.server_us);
    for (int64_t hours = -11; hours <= 11; hours++) {
        r.now_us = g.server_us + hours * 3600000000;
        ask_ok(f, &r, &g);
        assert_int_equal(g.day_ends_us, end);
    }
    r.now_us = g.server_us - 40 * 86400000000; // far off: some day that lasts
    ask_ok(f, &r, &g);
    assert_in_range(g.day_ends_us, g.server_us, g.server_us + 90000000000);
}

// A minute and the slack, over one call less: with N + 1 in a window the provider would refuse. Of
// less than a hundred, a hundredth more, see limit.lua.
static void what_the_provider_allows_bounds_what_was_set(void **state)
{
    struct farm *f = *state;
    set(f, "rpm=600");
    struct grant g = learn(f, "rpm=301/60000000");
    assert_string_equal(g.learned, "rpm=301/60000000");
    assert_true(g.learned_us > 3590000000 && g.learned_us <= 3600000000);
    g = two_slots(f);
    assert_string_equal(g.spec, "rpm=600/60000000"); // as it was set
    assert_in_range(g.at[1] - g.at[0], 200033, 200034);
    learn(f, "rpm=6000/60000000"); // never raises it
    g = two_slots(f);
    assert_in_range(g.at[1] - g.at[0], 100016, 100017);
    set(f, "rpm=600"); // an end to it
    assert_string_equal(two_slots(f).learned, "");
}

static void what_the_provider_allows_is_a_limit_where_none_is(void **state)
{
    struct farm *f = *state;
    learn(f, "rpm=301/60000000,tpm=1000/60000000");
    struct grant g = two_slots(f);
    assert_string_equal(g.spec, "");
    assert_string_equal(g.learned, "rpm=301/60000000,tpm=1000/60000000");
    assert_in_range(g.at[1] - g.at[0], 200033, 200034);
    put(f, GROUP, SPAN("")); // cleared
    g = two_slots(f);
    assert_string_equal(g.learned, "");
    assert_int_equal(g.n, 0);
}

static void a_day_that_is_used_up_closes_the_group(void **state)
{
    struct farm *f = *state;
    struct limit_request r = {.group = GROUP, .want = 2, .horizon_us = 1000000};
    struct grant g;
    set(f, "rpd=10000,rpm=600");
    learn(f, "rpd=20/day");
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 0);
    assert_string_equal(g.reason, "rpd");
    assert_true(g.wait_us > 590000000 && g.wait_us <= LIMIT_DAY_US);
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l qe:rpd 1"); // it is over
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 2);
}

static void what_calls_came_to_is_summed_up(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {.group = GROUP, .news = {.number = 1, .did = {3, 1, 78000}}};
    ask_ok(f, &r, &g);
    ask_ok(f, &r, &g);
    assert_int_equal(g.today.calls, 6);
    assert_int_equal(g.today.refused, 2);
    assert_int_equal(g.today.micro, 156000);
    put(f, GROUP, SPAN("")); // limits are cleared, figures are not
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l day:ends 1"); // yesterday
    ask_ok(f, &r, &g);
    assert_int_equal(g.today.calls, 3);
}

static void news_are_heeded_once(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {
        .group = GROUP, .teller = SPAN("one"), .news = {.number = 7, .did = {.calls = 3}}};
    ask_ok(f, &r, &g);
    ask_ok(f, &r, &g); // the answer was lost
    assert_int_equal(g.today.calls, 3);
    r.teller = SPAN("another");
    ask_ok(f, &r, &g);
    assert_int_equal(g.today.calls, 6);
    r.news.number = 8;
    ask_ok(f, &r, &g);
    assert_int_equal(g.today.calls, 9);
}

// Whoever can write there: the worst that happens is that limits are to be set again.
// What somebody may have written there.
static const char *const damages[] = {
    "rate nan",
    "rate 0",
    "rate -1",
    "rate inf",
    "ceiling nan rate 0.5",
    "tat:req nan",
    "tat:req inf",
    "tat:req 1e300",
    "tat:req -1e300",
    "cd nan",
    "cd 1e300",
    "last nan",
    "used:rpd nan ends:rpd nan",
    "used:rpd x ends:rpd 9e15x",
    "n:x nan e:x 1e15",
    "n:x many e:x 9e15",
    "q:req nan qe:req 9e15",
    "q:req 0/0 qe:req 9e15",
    "q:x 9999999999999999999999999999999/99999999999999999999999999999 qe:x 9e15",
    "q:rpd 1/day qe:rpd nan",
    "day:calls nan day:ends 9e15",
    "day:micro -1e99 day:ends 9e15",
    "streak nan streak_at nan probe 1",
    "s:t nan",
    "s:t 9e15",
    "edited nan",
    "asks_at nan",
    "spec req=1/0",
    "spec x",
    "spec req=1/x,tpm=/,=",
    "spec rpd=0/day,inflight=0/0",
    "spec req=99999999999999999999999999999999999999999999999/nan"};

static void whatever_is_in_the_hash(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set(f, "req=1000/1s,rpd=100000,inflight=50");
    redisReply *clean = redis_server_ask(f->server, "DUMP genfarm:{limit:p/m/standard}:l");
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        struct limit_request r = {.group = GROUP,
                                  .want = 5,
                                  .horizon_us = 1000000,
                                  .inc = SPAN("w"),
                                  .held_us = 1000000,
                                  .teller = SPAN("t"),
                                  .news = {.number = 5, .did.calls = 1, .extra.tokens = 4}};
        char command[300];
        snprintf(command, sizeof command, "HSET genfarm:{limit:p/m/standard}:l %s", damages[i]);
        redis_server_do(f->server, "DEL genfarm:{limit:p/m/standard}:l");
        freeReplyObject(redis_server_ask(
            f->server, "RESTORE genfarm:{limit:p/m/standard}:l 0 %b", clean->str, clean->len));
        redis_server_do(f->server, command);
        if (ask(f->link, &r, &g) != OK)
            fail_msg("%s: %s", damages[i], err_text(g.err));
        refuse(f, 0, g.server_us, true);
        set(f, "req=1000/1s");
        put(f, GROUP, SPAN(""));
    }
    freeReplyObject(clean);
}

static void masses_in_the_hash(void **state)
{
    struct farm *f = *state;
    struct grant g;
    static const char *const masses[] = {
        "for i = 1, 50000 do redis.call('HSET', KEYS[1], 'n:' .. i, 1) end",
        "for i = 1, 8000 do redis.call('HSET', KEYS[1], 'n:' .. i, 1) end",
        "for i = 1, 8000 do redis.call('HSET', KEYS[1], 's:' .. i, 1) end",
        "for i = 1, 50000 do redis.call('HSET', KEYS[1], 'q:' .. i, '1/day', 'qe:' .. i, 9e15) "
        "end",
        "for i = 1, 4000 do redis.call('HSET', KEYS[1], 'q:x' .. i, '9/60', 'qe:x' .. i, 9e15) "
        "end",
        "local s = {} for i = 1, 50000 do s[i] = 'n' .. i .. '=1/1' end "
        "redis.call('HSET', KEYS[1], 'spec', table.concat(s, ','))",
        "redis.call('HSET', KEYS[1], 'spec', string.rep('a=1/60000000,', 300))"};
    for (size_t i = 0; i < sizeof masses / sizeof *masses; i++) {
        struct limit_request r = {.group = GROUP,
                                  .want = 1,
                                  .horizon_us = 100000,
                                  .inc = SPAN("w"),
                                  .held_us = 1000000,
                                  .spec = SPAN("inflight=50/0"),
                                  .teller = SPAN("t"),
                                  .news = {.number = 5, .did.calls = 1}};
        set(f, "req=1000/1s,inflight=50");
        freeReplyObject(
            redis_server_ask(f->server, "EVAL %s 1 genfarm:{limit:p/m/standard}:l", masses[i]));
        for (int turn = 0; turn < 3; turn++)
            if (ask(f->link, &r, &g) != OK)
                fail_msg("%s: %s", masses[i], err_text(g.err));
        put(f, GROUP, SPAN(""));
    }
}

// Else workers would wait for slots that nobody grants.
static void what_limits_nothing_is_no_limit(void **state)
{
    struct farm *f = *state;
    static const char *const specs[] = {"x", "strict=1/0", "=,/", "req=1/x"};
    struct limit_request r = {.group = GROUP, .want = 1};
    struct grant g;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        redis_server_do(f->server,
                        "HSET genfarm:{limit:p/m/standard}:l spec %s q:y 1/0 qe:y 9e15",
                        specs[i]);
        ask_ok(f, &r, &g);
        assert_string_equal(g.spec, "");
        assert_string_equal(g.learned, "");
        assert_string_equal(g.reason, "");
    }
}

static void what_cannot_be_is_refused(void **state)
{
    struct farm *f = *state;
    struct grant g;
    assert_int_equal(ask(f->link, &(struct limit_request){.group = SPAN("")}, &g), ERR_RANGE);
    assert_int_equal(ask(f->link, &(struct limit_request){.group = SPAN("a}b")}, &g),
                     ERR_RANGE);
    assert_int_equal(
        ask(f->link, &(struct limit_request){.group = GROUP, .want = LIMIT_MAX_SLOTS + 1}, &g),
        ERR_RANGE);
}

static void a_full_server_grants_nothing(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set(f, "req=10/1s");
    redis_server_do(f->server, "CONFIG SET maxmemory 1");
    struct limit_request r = {.group = GROUP, .want = 1, .horizon_us = 1000000};
    assert_int_equal(ask(f->link, &r, &g), ERR_FULL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(without_a_limit_no_slots_are_needed),
        T(slots_are_apart),
        T(the_horizon_bounds_them),
        T(several_connections_share),
        T(every_dimension_holds),
        T(strict_is_one_less),
        T(each_call_counts_as_what_it_takes),
        T(tokens_and_dollars_count),
        T(a_day_has_so_many),
        T(calls_in_flight_are_shared),
        T(a_refusal_cools_all),
        T(what_was_spent_is_named),
        T(the_first_of_a_burst_cuts_the_rate),
        T(sustained_refusals_open_the_circuit),
        T(learned_limits_are_cut_too),
        T(an_open_circuit_is_told_to_all),
        T(the_first_spec_stays),
        T(what_was_cleared_is_not_set_again_by_a_worker),
        T(what_went_out_today_outlives_a_clearing),
        T(a_new_spec_replaces_all_of_the_old),
        T(slots_can_be_handed_back),
        T(slots_before_others_are_forfeit),
        T(what_is_handed_back_twice_counts_once),
        T(what_is_past_can_be_handed_back),
        T(dimensions_go_back_by_what_was_charged),
        T(a_day_gets_its_calls_back),
        T(the_servers_clock_says_which_day_it_is),
        T(what_the_provider_allows_bounds_what_was_set),
        T(what_the_provider_allows_is_a_limit_where_none_is),
        T(a_day_that_is_used_up_closes_the_group),
        T(what_calls_came_to_is_summed_up),
        T(news_are_heeded_once),
        T(whatever_is_in_the_hash),
        T(masses_in_the_hash),
        T(what_limits_nothing_is_no_limit),
        T(what_cannot_be_is_refused),
        T(a_full_server_grants_nothing),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
