// test_limit_back.c - slots that are handed back, and news of calls that are told again.
#include <string.h>

#include "limiting.h"
#include "test.h"

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
    set_limit(f, "req=10/1s");
    struct limit_request r = {.group = GROUP, .want = 10, .horizon_us = 10000000};
    get_slots(f, &r, &a);
    assert_int_equal(a.n, 10);
    struct limit_request back = {.group = GROUP, .teller = SPAN("t"), .news = unused(&a, 4, 9)};
    get_slots(f, &back, &b);
    get_slots(f, &r, &b);
    assert_int_equal(b.at[0], a.at[4]);
}

// The answer was lost, and somebody has been granted the slot meanwhile.
static void what_is_handed_back_twice_counts_once(void **state)
{
    struct farm *f = *state;
    struct grant a, b, c;
    set_limit(f, "req=10/1s,rpd=100");
    struct limit_request r = {.group = GROUP, .want = 1, .horizon_us = 10000000};
    get_slots(f, &r, &a);
    get_slots(f, &r, &a);
    struct limit_request back = {.group = GROUP, .teller = SPAN("t"), .news = unused(&a, 0, 0)};
    get_slots(f, &back, &b);
    get_slots(f, &r, &b);
    assert_int_equal(b.at[0], a.at[0]);
    get_slots(f, &back, &c);
    get_slots(f, &r, &c);
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
    set_limit(f, "req=10/1s,slow=100/1m");
    struct limit_request r = {.group = GROUP, .want = 10, .horizon_us = 30000000};
    get_slots(f, &r, &a);
    get_slots(f, &r, &b);
    struct limit_request back = {
        .group = GROUP, .want = 10, .horizon_us = 30000000, .news = unused(&a, 4, 9)};
    get_slots(f, &back, &c);
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
    set_limit(f, "req=2/1h");
    struct limit_request r = {.group = GROUP, .want = 1, .horizon_us = 0};
    get_slots(f, &r, &a);
    assert_int_equal(a.n, 1); // now
    get_slots(f, &r, &b);
    assert_int_equal(b.n, 0);
    r.news = unused(&a, 0, 0);
    get_slots(f, &r, &b);
    assert_int_equal(b.n, 1);
    r.news = unused(&a, 0, 0); // that is no longer the last
    get_slots(f, &r, &b);
    assert_int_equal(b.n, 0);
}

// What was reckoned, and put right, goes back with the slot, in every dimension.
static void dimensions_go_back_by_what_was_charged(void **state)
{
    struct farm *f = *state;
    struct grant a, b;
    set_limit(f, "req=100/1s,tpm=60000"); // 1,000 tokens a second
    struct limit_request r = {.group = GROUP,
                              .want = 2,
                              .horizon_us = 100000000,
                              .takes = each_takes((struct limit_units){1, 10000, 0})};
    get_slots(f, &r, &a); // ten seconds each
    r.want = 1;
    r.news = unused(&a, 1, 1);
    r.news.back.last = takes[0];
    get_slots(f, &r, &b);
    assert_in_range(b.at[0], a.at[1] - 2, a.at[1] + 2);
}

static void a_day_gets_its_calls_back(void **state)
{
    struct farm *f = *state;
    struct grant a, b;
    set_limit(f, "rpd=5");
    struct limit_request r = {.group = GROUP, .want = 9, .horizon_us = 1000000};
    get_slots(f, &r, &a);
    assert_int_equal(a.n, 5);
    r.news = unused(&a, 0, 2);
    get_slots(f, &r, &b);
    assert_int_equal(b.n, 3);
    assert_string_equal(b.reason, "rpd");
    r.news = unused(&a, 0, 2);
    r.news.back.day_ends_us -= 86400000000; // they were yesterday's
    get_slots(f, &r, &b);
    assert_int_equal(b.n, 0);
}

static void news_are_heeded_once(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {
        .group = GROUP, .teller = SPAN("one"), .news = {.number = 7, .did = {.calls = 3}}};
    get_slots(f, &r, &g);
    get_slots(f, &r, &g); // the answer was lost
    assert_int_equal(g.today.calls, 3);
    r.teller = SPAN("another");
    get_slots(f, &r, &g);
    assert_int_equal(g.today.calls, 6);
    r.news.number = 8;
    get_slots(f, &r, &g);
    assert_int_equal(g.today.calls, 9);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(slots_can_be_handed_back),
        T(what_is_handed_back_twice_counts_once),
        T(slots_before_others_are_forfeit),
        T(what_is_past_can_be_handed_back),
        T(dimensions_go_back_by_what_was_charged),
        T(a_day_gets_its_calls_back),
        T(news_are_heeded_once),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
