// test_limit.c - the limiter: slots of one group over several connections, in all its
// dimensions. Never more than N + 1 calls in any window of a period, whoever asks for them.
#include <stdlib.h>
#include <string.h>

#include "limiting.h"
#include "test.h"

static void without_a_limit_no_slots_are_needed(void **state)
{
    struct farm *f = *state;
    struct grant g;
    get_slots(f, &(struct limit_request){.group = GROUP, .want = 5, .horizon_us = 1000000}, &g);
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
    set_limit(f, "req=100/1s");
    get_slots(f, &(struct limit_request){.group = GROUP, .want = 50, .horizon_us = 10000000},
              &g);
    assert_int_equal(g.n, 50);
    assert_int_equal(g.at[0], g.server_us);
    for (size_t i = 1; i < g.n; i++)
        assert_int_equal(g.at[i] - g.at[i - 1], 10100); // (1 s + 10 ms) / 100
}

static void the_horizon_bounds_them(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set_limit(f, "req=10/1s");
    struct limit_request r = {.group = GROUP, .want = 100, .horizon_us = 500000};
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 5); // 0, 101, 202, 303, 404 ms
    get_slots(f, &r, &g);
    assert_true(g.n <= 1);
    r.horizon_us = 1000;
    get_slots(f, &r, &g);
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
    set_limit(f, "req=20/200ms");
    for (int i = 0; i < 4; i++) {
        links[i] = link_new(f->loop, redis_server_url(f->server), NULL);
        link_up(links[i]);
    }
    // They come and go as they like, for a while, with unequal appetites.
    int64_t begin = 0, now = 0;
    for (int turn = 0; begin == 0 || now < begin + 1000000; turn++) {
        struct limit_request r = {
            .group = GROUP, .want = 1 + (unsigned)turn * 7 % 13, .horizon_us = 50000};
        assert_int_equal(ask_slots(links[turn % 4], &r, g), OK);
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
    set_limit(f, "req=10/100ms,slow=30/1s");
    get_slots(f, &(struct limit_request){.group = GROUP, .want = 200, .horizon_us = 3000000},
              &g);
    assert_at_most(g.at, g.n, 11, 100000);
    assert_at_most(g.at, g.n, 31, 1000000);
    assert_in_range(g.n, 85, 92);
}

static void strict_is_one_less(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set_limit(f, "req=10/1s,strict");
    get_slots(f, &(struct limit_request){.group = GROUP, .want = 50, .horizon_us = 10000000},
              &g);
    assert_int_equal(g.n, 50);
    assert_at_most(g.at, g.n, 10, 1000000);
    assert_in_range((g.at[49] - g.at[0]) / 49, 101500, 102100); // 98 % are used
    set_limit(f, "req=1/100ms,strict");
    get_slots(f, &(struct limit_request){.group = GROUP, .want = 5, .horizon_us = 10000000},
              &g);
    assert_int_equal(g.n, 5);
    assert_at_most(g.at, g.n, 1, 100000);
}

static void each_call_counts_as_what_it_takes(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set_limit(f, "tpm=60000"); // 1,000 tokens a second, so to say
    for (int i = 0; i < 9; i++)
        takes[i].tokens = i < 3 ? 100 : i % 2 ? 5000 : 0;
    struct limit_request r = {
        .group = GROUP, .want = 9, .horizon_us = 100000000, .takes = takes};
    get_slots(f, &r, &g);
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
    set_limit(f, "tpm=60000,usd10m=6"); // 1,000 tokens or a cent a second
    struct limit_request r = {.group = GROUP,
                              .want = 20,
                              .horizon_us = 3000000,
                              .takes = each_takes((struct limit_units){1, 500, 1000})};
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 6); // tokens bind: two a second
    assert_string_equal(g.reason, "tpm");
    each_takes((struct limit_units){1, 1, 20000});
    put_spec(f, GROUP, SPAN("")); // forgets what went out
    set_limit(f, "tpm=60000,usd10m=6");
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 2); // dollars bind: one in two seconds
    assert_string_equal(g.reason, "usd10m");
    put_spec(f, GROUP, SPAN("")); // forgets what went out
    set_limit(f, "tpm=60000,usd10m=6");
    r.want = 1;
    get_slots(f, &r, &g);
    r.news =
        (struct limit_news){.number = 1, .extra.tokens = 10000}; // it thought: ten seconds more
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 0);
    assert_string_equal(g.reason, "tpm");
    assert_in_range(g.wait_us, 9900000, 10100000);
    r.news.extra.tokens = -9000;
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 1);
}

static void a_day_has_so_many(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set_limit(f, "rpd=3");
    struct limit_request r = {.group = GROUP, .want = 5, .horizon_us = 1000000};
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 3);
    assert_string_equal(g.reason, "rpd");
    set_limit(f, "rpd=5"); // of which three went out already
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 2);
    assert_string_equal(g.reason, "rpd");
    set_limit(f, "rpd=3");
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 0);
    int64_t end = limit_day_end(g.server_us);
    assert_in_range(g.server_us + g.wait_us, end - 1000, end + 1000);
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l ends:rpd 1"); // it passes
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 3);
}

// Whatever this host's clock says, within half a day.
static void the_servers_clock_says_which_day_it_is(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set_limit(f, "rpd=3");
    struct limit_request r = {.group = GROUP};
    get_slots(f, &r, &g);
    int64_t end = limit_day_end(g.server_us);
    for (int64_t hours = -11; hours <= 11; hours++) {
        r.now_us = g.server_us + hours * 3600000000;
        get_slots(f, &r, &g);
        assert_int_equal(g.day_ends_us, end);
    }
    r.now_us = g.server_us - 40 * 86400000000; // far off: some day that lasts
    get_slots(f, &r, &g);
    assert_in_range(g.day_ends_us, g.server_us, g.server_us + 90000000000);
}

static void calls_in_flight_are_shared(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set_limit(f, "inflight=10");
    struct limit_request a = {
        .group = GROUP, .want = 8, .horizon_us = 1000, .inc = SPAN("a"), .held_us = 60000000};
    struct limit_request b = a;
    b.inc = SPAN("b");
    get_slots(f, &a, &g);
    assert_int_equal(g.n, 8);
    get_slots(f, &b, &g);
    assert_int_equal(g.n, 2);
    assert_string_equal(g.reason, "inflight");
    a.want = 0;
    a.held = 3; // five are over
    get_slots(f, &a, &g);
    b.held = 2;
    get_slots(f, &b, &g);
    assert_int_equal(g.n, 5);
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l e:b 1"); // it died
    a.want = 20;
    get_slots(f, &a, &g);
    assert_int_equal(g.n, 7);
}

static void what_calls_came_to_is_summed_up(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {.group = GROUP, .news = {.number = 1, .did = {3, 1, 78000}}};
    get_slots(f, &r, &g);
    get_slots(f, &r, &g);
    assert_int_equal(g.today.calls, 6);
    assert_int_equal(g.today.refused, 2);
    assert_int_equal(g.today.micro, 156000);
    put_spec(f, GROUP, SPAN("")); // limits are cleared, figures are not
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l day:ends 1"); // yesterday
    get_slots(f, &r, &g);
    assert_int_equal(g.today.calls, 3);
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
        T(the_servers_clock_says_which_day_it_is),
        T(calls_in_flight_are_shared),
        T(what_calls_came_to_is_summed_up),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
