// test_backoff.c - full jitter: anywhere up to a bound that doubles, never below the floor.
#include <limits.h>
#include <math.h>

#include "common/backoff.h"
#include "unit/test.h"

#define DRAWS 2000

// The least, mean and most of many draws.
struct spread {
    double low, mean, high;
};

static struct spread spread_of(unsigned tries, double base, double cap, double floor)
{
    struct spread s = {INFINITY, 0, 0};
    for (int i = 0; i < DRAWS; i++) {
        double d = backoff_delay(tries, base, cap, floor);
        s.low = fmin(s.low, d);
        s.high = fmax(s.high, d);
        s.mean += d / DRAWS;
    }
    return s;
}

static void assert_uniform(struct spread s, double top)
{
    assert_true(s.low >= 0 && s.high <= top);
    assert_true(s.low < .02 * top && s.high > .98 * top);
    assert_true(fabs(s.mean - top / 2) < .05 * top);
}

static void delays_spread_up_to_a_bound_that_doubles(void **state)
{
    (void)state;
    assert_uniform(spread_of(1, .5, 60, 0), .5);
    assert_uniform(spread_of(2, .5, 60, 0), 1);
    assert_uniform(spread_of(3, .5, 60, 0), 2);
    assert_uniform(spread_of(7, .5, 60, 0), 32);
}

static void the_cap_holds_however_many_tries(void **state)
{
    (void)state;
    assert_uniform(spread_of(8, .5, 60, 0), 60);
    assert_uniform(spread_of(1000, .5, 60, 0), 60);
    assert_uniform(spread_of(UINT_MAX, .5, 60, 0), 60);
    assert_uniform(spread_of(0, .5, 60, 0), .5); // as one
}

static void what_the_server_asked_for_is_kept(void **state)
{
    (void)state;
    struct spread s = spread_of(3, .5, 60, 1.5); // 0..2, of which below 1.5 is 1.5
    assert_true(s.low == 1.5 && s.high > 1.9 && s.high <= 2);
    s = spread_of(1, .5, 60, 3600); // above the cap, too
    assert_true(s.low == 3600 && s.high == 3600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_spread_up_to_a_bound_that_doubles),
        cmocka_unit_test(the_cap_holds_however_many_tries),
        cmocka_unit_test(what_the_server_asked_for_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
