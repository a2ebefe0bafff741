// test_limit_refusal.c - what the limiter learns from refusals, and from what the provider
// says.
#include <math.h>
#include <stdlib.h>

#include "limiting.h"
#include "test.h"

static void a_refusal_cools_all(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {.group = GROUP, .want = 5, .horizon_us = 100000};
    get_slots(f, &r, &g);
    refuse(f, 3000000, g.server_us, true);
    get_slots(f, &r, &g); // without a limit, too
    assert_string_equal(g.spec, "");
    assert_string_equal(g.reason, "cooling");
    assert_in_range(g.wait_us, 2900000, 3000000);
    set_limit(f, "req=1000/1s");
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 0);
    r.horizon_us = 4000000;
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 5);
    assert_true(g.at[0] - g.server_us > 2800000);
    r.group = SPAN("p/other/standard");
    get_slots(f, &r, &g);
    assert_int_equal(g.wait_us, 0);
}

static void what_was_spent_is_named(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {.group = GROUP, .want = 5, .horizon_us = 100000};
    get_slots(f, &r, &g);
    assert_string_equal(refuse_by(f, 3000000, g.server_us, LIMIT_BY_SPEND).reason, "spend");
    get_slots(f, &r, &g); // without a limit, too
    assert_string_equal(g.reason, "spend");
    set_limit(f, "req=1000/1s");
    get_slots(f, &r, &g);
    assert_string_equal(g.reason, "spend");
    refuse(f, 1000, g.server_us, false); // shorter: nothing new
    get_slots(f, &r, &g);
    assert_string_equal(g.reason, "spend");
    refuse(f, 9000000, g.server_us, false);
    get_slots(f, &r, &g);
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
    set_limit(f, "req=1000/1s");
    struct limit_request r = {.group = GROUP, .want = 1, .horizon_us = 1000000};
    get_slots(f, &r, &g);
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
    get_slots(f, &r, &g);
    assert_near(rate(f), 0.66 * 0.95 + 5 * 0.005 * 0.66); // slowly, near the ceiling
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l rate 0.3");
    redis_server_do(f->server, "HINCRBY genfarm:{limit:p/m/standard}:l rate_at -2000000");
    get_slots(f, &r, &g);
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
    get_slots(f, &r, &g);
    int64_t sent = g.server_us;
    refuse_often(f, 3, sent);
    r.news =
        (struct limit_news){.number = 1, .went_well_us = sent}; // between them some went well
    get_slots(f, &r, &g);
    r.news.number = 0;
    refuse_often(f, 3, sent);
    get_slots(f, &r, &g);
    assert_string_equal(g.reason, ""); // three are not enough
    refuse(f, 0, sent, false);         // at the same time as the last: still three
    get_slots(f, &r, &g);
    assert_string_equal(g.reason, "");
    refuse_often(f, 1, sent);
    get_slots(f, &r, &g);
    assert_string_equal(g.reason, "probing");
    assert_int_equal(g.n, 0);
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l cd 1"); // the pause is over
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 1); // a probe
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 0); // and no other for a second
    r.news = (struct limit_news){.number = 1, .went_well_us = g.server_us + 1000000000};
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l cd 1");
    get_slots(f, &r, &g);
    assert_string_equal(g.reason, ""); // closed again: no slots are needed
}

// What the provider said bounds the rate, and the first refusal of a burst lowers that.
static void learned_limits_are_cut_too(void **state)
{
    struct farm *f = *state;
    struct grant g;
    struct limit_request r = {.group = GROUP, .want = 2, .horizon_us = 100000000};
    get_slots(f, &r, &g);
    refuse(f, 0, g.server_us, true); // nothing that could be cut
    assert_near(rate(f), 1);
    learn_limit(f, "rpm=301/60000000");
    get_slots(f, &r, &g);
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
    get_slots(f, &r, &g);
    refuse_often(f, 4, g.server_us);
    get_slots(f, &r, &g);
    assert_string_equal(g.reason, "probing");
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l cd 1"); // the pause is over
    get_slots(f, &r, &g);
    assert_string_equal(g.reason, "probing");
    assert_int_equal(g.wait_us, 0);
}

// A minute and the slack, over one call less: with N + 1 in a window the provider would refuse.
// Of less than a hundred, a hundredth more, see limit.lua.
static void what_the_provider_allows_bounds_what_was_set(void **state)
{
    struct farm *f = *state;
    set_limit(f, "rpm=600");
    struct grant g = learn_limit(f, "rpm=301/60000000");
    assert_string_equal(g.learned, "rpm=301/60000000");
    assert_true(g.learned_us > 3590000000 && g.learned_us <= 3600000000);
    g = two_slots(f);
    assert_string_equal(g.spec, "rpm=600/60000000"); // as it was set
    assert_in_range(g.at[1] - g.at[0], 200033, 200034);
    learn_limit(f, "rpm=6000/60000000"); // never raises it
    g = two_slots(f);
    assert_in_range(g.at[1] - g.at[0], 100016, 100017);
    set_limit(f, "rpm=600"); // an end to it
    assert_string_equal(two_slots(f).learned, "");
}

static void what_the_provider_allows_is_a_limit_where_none_is(void **state)
{
    struct farm *f = *state;
    learn_limit(f, "rpm=301/60000000,tpm=1000/60000000");
    struct grant g = two_slots(f);
    assert_string_equal(g.spec, "");
    assert_string_equal(g.learned, "rpm=301/60000000,tpm=1000/60000000");
    assert_in_range(g.at[1] - g.at[0], 200033, 200034);
    put_spec(f, GROUP, SPAN("")); // cleared
    g = two_slots(f);
    assert_string_equal(g.learned, "");
    assert_int_equal(g.n, 0);
}

static void a_day_that_is_used_up_closes_the_group(void **state)
{
    struct farm *f = *state;
    struct limit_request r = {.group = GROUP, .want = 2, .horizon_us = 1000000};
    struct grant g;
    set_limit(f, "rpd=10000,rpm=600");
    learn_limit(f, "rpd=20/day");
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 0);
    assert_string_equal(g.reason, "rpd");
    assert_true(g.wait_us > 590000000 && g.wait_us <= LIMIT_DAY_US);
    redis_server_do(f->server, "HSET genfarm:{limit:p/m/standard}:l qe:rpd 1"); // it is over
    get_slots(f, &r, &g);
    assert_int_equal(g.n, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(a_refusal_cools_all),
        T(what_was_spent_is_named),
        T(the_first_of_a_burst_cuts_the_rate),
        T(sustained_refusals_open_the_circuit),
        T(learned_limits_are_cut_too),
        T(an_open_circuit_is_told_to_all),
        T(what_the_provider_allows_bounds_what_was_set),
        T(what_the_provider_allows_is_a_limit_where_none_is),
        T(a_day_that_is_used_up_closes_the_group),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
