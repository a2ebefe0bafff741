// test_limit.c - the limiter: slots of one group over several connections. Never more than N +
// 1 calls in any window of a period, whoever asks for them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/limit.h"
#include "farm.h"
#include "test.h"

struct grant {
    bool done;
    enum err err;
    int64_t server_us, next_us;
    char spec[256];
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
    to->next_us = g->next_us;
    snprintf(to->spec, sizeof to->spec, "%.*s", (int)g->spec.len, g->spec.ptr);
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

static void set(struct farm *f, const char *text)
{
    struct buf spec = {.max = 1000};
    struct grant g;
    assert_int_equal(limit_spec(span_of(text), &spec, NULL), OK);
    ask_ok(f,
           &(struct limit_request){.group = GROUP, .spec = buf_span(&spec), .how = LIMIT_SET},
           &g);
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
    assert_int_equal(g.next_us, 0);
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
    assert_true(g.next_us > 1000 && g.next_us <= 606000);
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
    r.how = LIMIT_SET;
    ask_ok(f, &r, &g);
    assert_string_equal(g.spec, "req=7/1000000");
    r.group = SPAN("p/other/standard"); // groups are apart
    r.how = LIMIT_KEEP;
    r.spec = (struct span){0};
    ask_ok(f, &r, &g);
    assert_string_equal(g.spec, "");
    r.group = GROUP;
    r.how = LIMIT_CLEAR;
    ask_ok(f, &r, &g);
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
        T(the_first_spec_stays),
        T(a_new_spec_replaces_all_of_the_old),
        T(slots_can_be_handed_back),
        T(slots_before_others_are_forfeit),
        T(what_is_past_cannot_be_handed_back),
        T(what_cannot_be_is_refused),
        T(a_full_server_grants_nothing),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
