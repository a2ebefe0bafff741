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
    to->n = g->n;
    for (size_t i = 0; i < g->n; i++)
        to->at[i] = g->server_us + g->slots_us[i];
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
                              .each = {.images = 1, .tokens = 500, .micro = 1000}};
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 6); // tokens bind: two a second
    assert_string_equal(g.reason, "tpm");
    r.each = (struct limit_units){.images = 1, .tokens = 1, .micro = 20000};
    set(f, "tpm=60000,usd10m=6");
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 2); // dollars bind: one in two seconds
    assert_string_equal(g.reason, "usd10m");
    set(f, "tpm=60000,usd10m=6");
    r.want = 1;
    ask_ok(f, &r, &g);
    r.extra.tokens = 10000; // it thought: ten seconds more
    ask_ok(f, &r, &g);
    assert_int_equal(g.n, 0);
    assert_string_equal(g.reason, "tpm");
    assert_in_range(g.wait_us, 9900000, 10100000);
    r.extra.tokens = -9000;
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
    r.went_well_us = sent; // between them some went well
    ask_ok(f, &r, &g);
    r.went_well_us = 0;
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
    r.went_well_us = g.server_us + 1000000000;
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l cd 1");
    ask_ok(f, &r, &g);
    assert_string_equal(g.reason, ""); // closed again: no slots are needed
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
    g = put(f, GROUP, SPAN(""));
    assert_string_equal(g.spec, "");
    assert_int_equal(redis_server_number(f->server, "DBSIZE"), 0);
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

static void slots_can_be_handed_back(void **state)
{
    struct farm *f = *state;
    struct grant a, b;
    set(f, "req=10/1s");
    struct limit_request r = {.group = GROUP, .want = 10, .horizon_us = 10000000};
    ask_ok(f, &r, &a);
    assert_int_equal(a.n, 10);
    struct limit_request back = {
        .group = GROUP, .back_from_us = a.at[4], .back_to_us = a.at[9]};
    ask_ok(f, &back, &b);
    ask_ok(f, &back, &b); // sent again
    ask_ok(f, &r, &b);
    assert_int_equal(b.at[0], a.at[4]);
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
    struct limit_request back = {.group = GROUP,
                                 .want = 10,
                                 .horizon_us = 30000000,
                                 .back_from_us = a.at[4],
                                 .back_to_us = a.at[9]};
    ask_ok(f, &back, &c);
    assert_true(c.at[0] > b.at[9]);
    memcpy(all, a.at, 4 * sizeof *all);
    memcpy(all + 4, b.at, 10 * sizeof *all);
    memcpy(all + 14, c.at, 10 * sizeof *all);
    assert_at_most(all, 24, 11, 1000000);
}

static void what_is_past_cannot_be_handed_back(void **state)
{
    struct farm *f = *state;
    struct grant a, b;
    set(f, "req=1/1s");
    struct limit_request r = {.group = GROUP, .want = 1, .horizon_us = 0};
    ask_ok(f, &r, &a);
    assert_int_equal(a.n, 1); // now
    r.back_from_us = r.back_to_us = a.at[0];
    ask_ok(f, &r, &b);
    assert_int_equal(b.n, 0);
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

// A minute and the slack, over one call less: with N + 1 in a window the provider would refuse.
static void what_the_provider_allows_bounds_what_was_set(void **state)
{
    struct farm *f = *state;
    set(f, "rpm=600");
    struct grant g = learn(f, "rpm=61/60000000");
    assert_string_equal(g.learned, "rpm=61/60000000");
    assert_true(g.learned_us > 3590000000 && g.learned_us <= 3600000000);
    g = two_slots(f);
    assert_string_equal(g.spec, "rpm=600/60000000"); // as it was set
    assert_in_range(g.at[1] - g.at[0], 1000166, 1000167);
    learn(f, "rpm=6000/60000000"); // never raises it
    g = two_slots(f);
    assert_in_range(g.at[1] - g.at[0], 100016, 100017);
    set(f, "rpm=600"); // an end to it
    assert_string_equal(two_slots(f).learned, "");
}

static void what_the_provider_allows_is_a_limit_where_none_is(void **state)
{
    struct farm *f = *state;
    learn(f, "rpm=61/60000000,tpm=1000/60000000");
    struct grant g = two_slots(f);
    assert_string_equal(g.spec, "");
    assert_string_equal(g.learned, "rpm=61/60000000,tpm=1000/60000000");
    assert_in_range(g.at[1] - g.at[0], 1000166, 1000167);
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
    struct limit_request r = {.group = GROUP,
                              .did = {.calls = 3, .refused = 1, .micro = 78000}};
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
        T(tokens_and_dollars_count),
        T(a_day_has_so_many),
        T(calls_in_flight_are_shared),
        T(a_refusal_cools_all),
        T(what_was_spent_is_named),
        T(the_first_of_a_burst_cuts_the_rate),
        T(sustained_refusals_open_the_circuit),
        T(the_first_spec_stays),
        T(a_new_spec_replaces_all_of_the_old),
        T(slots_can_be_handed_back),
        T(slots_before_others_are_forfeit),
        T(what_is_past_cannot_be_handed_back),
        T(what_the_provider_allows_bounds_what_was_set),
        T(what_the_provider_allows_is_a_limit_where_none_is),
        T(a_day_that_is_used_up_closes_the_group),
        T(what_calls_came_to_is_summed_up),
        T(what_cannot_be_is_refused),
        T(a_full_server_grants_nothing),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
