// test_clock.c - clocks that go forward, and how a time is written.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "unit/test.h"

static void clocks_have_their_units(void **state)
{
    (void)state;
    int64_t seconds = (int64_t)time(NULL);
    assert_in_range(clock_wall_ms() / 1000, seconds, seconds + 5);
    int64_t mono = clock_mono_ms(), boot = clock_boot_us(), wall = clock_wall_ms();
    struct timespec pause = {0, 30 * 1000 * 1000};
    nanosleep(&pause, NULL); // what is measured is that clocks go on
    int64_t passed = clock_mono_ms() - mono;
    assert_in_range(passed, 29, 5000);
    assert_in_range(clock_boot_us() - boot, 29000, 5000000);
    assert_true(clock_wall_ms() > wall);
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    assert_in_range(t.tv_sec - clock_boot_us() / 1000000, 0, 1);
}

static void assert_written(int64_t ms, const char *rfc3339, const char *compact)
{
    char a[CLOCK_RFC3339_SIZE], b[CLOCK_COMPACT_SIZE];
    clock_rfc3339(ms, a);
    clock_compact(ms, b);
    assert_string_equal(a, rfc3339);
    assert_string_equal(b, compact);
}

static void times_are_written_in_utc(void **state)
{
    (void)state;
    setenv("TZ", "America/New_York", 1);
    tzset();
    assert_written(1769351422123, "2026-01-25T14:30:22.123Z", "20260125-143022");
    assert_written(0, "1970-01-01T00:00:00.000Z", "19700101-000000");
    assert_written(1709164799999, "2024-02-28T23:59:59.999Z", "20240228-235959");
    assert_written(1709164800000, "2024-02-29T00:00:00.000Z", "20240229-000000");
    assert_written(253402300799999, "9999-12-31T23:59:59.999Z", "99991231-235959");
}

static void times_that_cannot_be_are_1970(void **state)
{
    (void)state;
    assert_written(-1, "1970-01-01T00:00:00.000Z", "19700101-000000");
    assert_written(253402300800000, "1970-01-01T00:00:00.000Z", "19700101-000000");
    assert_written(INT64_MAX, "1970-01-01T00:00:00.000Z", "19700101-000000");
    assert_written(INT64_MIN, "1970-01-01T00:00:00.000Z", "19700101-000000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_have_their_units),
        cmocka_unit_test(times_are_written_in_utc),
        cmocka_unit_test(times_that_cannot_be_are_1970),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
