// test_limit_spec.c - limits that are set, set again and cleared; and whatever stands in their
// hash.
#include <stdio.h>

#include "limiting.h"
#include "test.h"

static void the_first_spec_stays(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {.group = GROUP, .spec = SPAN("req=5/1000000")};
    get_slots(f, &r, &g);
    assert_string_equal(g.spec, "req=5/1000000");
    r.spec = SPAN("req=7/1000000");
    get_slots(f, &r, &g);
    assert_string_equal(g.spec, "req=5/1000000"); // the worker learns which is in force
    g = put_spec(f, GROUP, SPAN("req=7/1000000"));
    assert_string_equal(g.spec, "req=7/1000000");
    r.group = SPAN("p/other/standard"); // groups are apart
    r.spec = (struct span){0};
    get_slots(f, &r, &g);
    assert_string_equal(g.spec, "");
}

// Cleared is cleared: what workers want waits until a person sets it.
static void what_was_cleared_is_not_set_again_by_a_worker(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {.group = GROUP, .spec = SPAN("req=5/1000000"), .want = 1};
    get_slots(f, &r, &g);
    assert_int_equal(g.edited_us, 0); // a worker's
    assert_string_equal(g.asks, "");
    g = put_spec(f, GROUP, SPAN(""));
    assert_string_equal(g.spec, "");
    int64_t edited_us = g.edited_us;
    assert_int_equal(edited_us, g.server_us);
    get_slots(f, &r, &g);
    assert_string_equal(g.spec, "");
    assert_string_equal(g.asks, "req=5/1000000");
    assert_int_equal(g.edited_us, edited_us);
    g = put_spec(f, GROUP, SPAN("req=7/1000000"));
    assert_true(g.edited_us > edited_us);
    get_slots(f, &r, &g);
    assert_string_equal(g.spec, "req=7/1000000");
    assert_string_equal(g.asks, "req=5/1000000");
    g = put_spec(f, GROUP, SPAN("req=5/1000000"));
    assert_string_equal(g.asks, "");
}

static void what_went_out_today_outlives_a_clearing(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set_limit(f, "rpd=3");
    struct limit_request r = {.group = GROUP, .want = 5, .horizon_us = 1000000};
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 3);
    put_spec(f, GROUP, SPAN(""));
    get_slots(f, &r, &g);
    assert_string_equal(g.reason, "");
    set_limit(f, "rpd=4");
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 1);
    put_spec(f, GROUP, SPAN(""));
    r.news = (struct limit_news){.number = 1, .did.calls = 9}; // without a limit
    get_slots(f, &r, &g);
    r.news.number = 0;
    set_limit(f, "rpd=10");
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 1);
}

static void a_new_spec_replaces_all_of_the_old(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set_limit(f, "req=1/1h,other=5/1s");
    get_slots(f, &(struct limit_request){.group = GROUP, .want = 1, .horizon_us = 1}, &g);
    set_limit(f, "other=5/1s");
    get_slots(f, &(struct limit_request){.group = GROUP, .want = 3, .horizon_us = 3000000}, &g);
    assert_int_equal(g.n, 3);
}

// Else workers would wait for slots that nobody grants.
// Who sets limits again and again, as scripts do, lets nobody pass them.
static void what_went_out_outlives_a_setting(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {.group = GROUP, .want = 5, .horizon_us = 1000000};
    set_limit(f, "req=2/30s");
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 1);
    set_limit(f, "req=2/30s");
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 0);
    assert_in_range(g.wait_us, 14000000, 15005000);
    set_limit(f, "req=4/30s,slow=100/1s"); // one call is half as far away
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 0);
    assert_in_range(g.wait_us, 6500000, 7505000);
}

// Of any period, as their names say.
static void names_say_what_is_counted(void **state)
{
    struct farm *f = *state;
    struct grant g;
    static const struct {
        const char *spec;
        int64_t apart;
    } table[] = {{"ipd=10/10s", 2002000},
                 {"tps=1000/10s", 3003000},
                 {"usdx=1/10s", 4004000},
                 {"tip=10/10s", 1001000}};
    each_takes((struct limit_units){2, 300, 400000});
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        put_spec(f, GROUP, SPAN(""));
        set_limit(f, table[i].spec);
        get_slots(f,
                  &(struct limit_request){
                      .group = GROUP, .want = 2, .horizon_us = 60000000, .takes = takes},
                  &g);
        assert_int_equal(g.n, 2);
        assert_in_range(g.at[1] - g.at[0], table[i].apart - 2, table[i].apart + 2);
    }
}

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
        get_slots(f, &r, &g);
        assert_string_equal(g.spec, "");
        assert_string_equal(g.learned, "");
        assert_string_equal(g.reason, "");
    }
}

static void what_cannot_be_is_refused(void **state)
{
    struct farm *f = *state;
    struct grant g;
    assert_int_equal(ask_slots(f->link, &(struct limit_request){.group = SPAN("")}, &g),
                     ERR_RANGE);
    assert_int_equal(ask_slots(f->link, &(struct limit_request){.group = SPAN("a}b")}, &g),
                     ERR_RANGE);
    assert_int_equal(
        ask_slots(f->link, &(struct limit_request){.group = GROUP, .want = LIMIT_MAX_SLOTS + 1},
                  &g),
        ERR_RANGE);
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
    set_limit(f, "req=1000/1s,rpd=100000,inflight=50");
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
        if (ask_slots(f->link, &r, &g) != OK)
            fail_msg("%s: %s", damages[i], err_text(g.err));
        refuse(f, 0, g.server_us, true);
        set_limit(f, "req=1000/1s");
        put_spec(f, GROUP, SPAN(""));
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
        set_limit(f, "req=1000/1s,inflight=50");
        freeReplyObject(
            redis_server_ask(f->server, "EVAL %s 1 genfarm:{limit:p/m/standard}:l", masses[i]));
        for (int turn = 0; turn < 3; turn++)
            if (ask_slots(f->link, &r, &g) != OK)
                fail_msg("%s: %s", masses[i], err_text(g.err));
        put_spec(f, GROUP, SPAN(""));
    }
}

static void a_full_server_grants_nothing(void **state)
{
    struct farm *f = *state;
    struct grant g;
    set_limit(f, "req=10/1s");
    redis_server_do(f->server, "CONFIG SET maxmemory 1");
    struct limit_request r = {.group = GROUP, .want = 1, .horizon_us = 1000000};
    assert_int_equal(ask_slots(f->link, &r, &g), ERR_FULL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(the_first_spec_stays),
        T(what_was_cleared_is_not_set_again_by_a_worker),
        T(what_went_out_today_outlives_a_clearing),
        T(a_new_spec_replaces_all_of_the_old),
        T(what_went_out_outlives_a_setting),
        T(names_say_what_is_counted),
        T(what_limits_nothing_is_no_limit),
        T(what_cannot_be_is_refused),
        T(whatever_is_in_the_hash),
        T(masses_in_the_hash),
        T(a_full_server_grants_nothing),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
