// clock.c - see clock.h.
#include "common/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id, int64_t per_second)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * per_second + t.tv_nsec / (1000000000 / per_second);
}

int64_t clock_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME, 1000);
}

int64_t clock_mono_ms(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000);
}

int64_t clock_boot_us(void)
{
    return read_clock(CLOCK_BOOTTIME, 1000000);
}

// What cannot be written in four digits of a year is shown as the beginning of 1970.
static struct tm split(int64_t wall_ms, int *ms)
{
    if (wall_ms < 0 || wall_ms >= INT64_C(253402300800000)) // 10000-01-01
        wall_ms = 0;
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm = {0};
    *ms = (int)(wall_ms % 1000);
    gmtime_r(&s, &tm);
    return tm;
}

void clock_rfc3339(int64_t wall_ms, char out[static CLOCK_RFC3339_SIZE])
{
    int ms;
    struct tm tm = split(wall_ms, &ms);
    size_t n = strftime(out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, CLOCK_RFC3339_SIZE - n, ".%03uZ", (unsigned)ms % 1000);
}

void clock_compact(int64_t wall_ms, char out[static CLOCK_COMPACT_SIZE])
{
    int ms;
    struct tm tm = split(wall_ms, &ms);
    strftime(out, CLOCK_COMPACT_SIZE, "%Y%m%d-%H%M%S", &tm);
}
