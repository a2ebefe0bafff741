// test_skew.c - slow answers do not shift the server's clock; drift, and one that is set, do.
#include "unit/test.h"
#include "worker/skew.h"

#define S       1000000ll
#define AHEAD   7777777777ll // the server's clock is so far ahead of ours
#define TRIP_US 200          // the least that an answer takes

static void answer(struct skew *s, int64_t server_us, int64_t late_us)
{
    skew_note(s, server_us, server_us - AHEAD + TRIP_US + late_us);
}

static void nothing_is_known_at_first(void **state)
{
    (void)state;
    assert_int_equal(skew_us(&(struct skew){0}), 0);
}

static void slow_answers_shift_nothing(void **state)
{
    (void)state;
    struct skew s = {0};
    int64_t at = AHEAD + S;
    answer(&s, at, 0);
    for (int i = 0; i < 1000; i++) // a quick one in four seconds is enough
        answer(&s, at += S / 50, i % 200 ? 1000 * (i % 200) : 0);
    assert_int_equal(skew_us(&s), AHEAD - TRIP_US);
}

static void the_first_is_believed_until_a_quicker_one_comes(void **state)
{
    (void)state;
    struct skew s = {0};
    answer(&s, AHEAD + S, 90000);
    assert_int_equal(skew_us(&s), AHEAD - TRIP_US - 90000);
    answer(&s, AHEAD + 2 * S, 30);
    assert_int_equal(skew_us(&s), AHEAD - TRIP_US - 30);
    answer(&s, AHEAD + 3 * S, 60);
    assert_int_equal(skew_us(&s), AHEAD - TRIP_US - 30);
}

static void a_way_that_became_longer_is_seen_within_two_windows(void **state)
{
    (void)state;
    struct skew s = {0};
    int64_t at = AHEAD + S;
    answer(&s, at, 0);
    for (int i = 0; i <= 2 * SKEW_WINDOW_US / S; i++)
        answer(&s, at += S, 40000);
    assert_int_equal(skew_us(&s), AHEAD - TRIP_US - 40000);
}

static void silence_forgets_what_was(void **state)
{
    (void)state;
    struct skew s = {0};
    answer(&s, AHEAD + S, 0);
    answer(&s, AHEAD + S + 2 * SKEW_WINDOW_US, 40000);
    assert_int_equal(skew_us(&s), AHEAD - TRIP_US - 40000);
}

static void a_clock_that_is_set_is_followed_at_once(void **state)
{
    (void)state;
    struct skew s = {0};
    answer(&s, AHEAD + S, 0);
    skew_note(&s, AHEAD + 2 * S - 3600 * S, 2 * S + TRIP_US); // back by an hour
    assert_int_equal(skew_us(&s), AHEAD - 3600 * S - TRIP_US);
    skew_note(&s, AHEAD + 3 * S, 3 * S + TRIP_US); // and forth
    assert_int_equal(skew_us(&s), AHEAD - TRIP_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_at_first),
        cmocka_unit_test(slow_answers_shift_nothing),
        cmocka_unit_test(the_first_is_believed_until_a_quicker_one_comes),
        cmocka_unit_test(a_way_that_became_longer_is_seen_within_two_windows),
        cmocka_unit_test(silence_forgets_what_was),
        cmocka_unit_test(a_clock_that_is_set_is_followed_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
