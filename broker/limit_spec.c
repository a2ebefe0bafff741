// limit_spec.c - limits as people write them.
#include "broker/limit.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

#define MAX_DIMENSIONS 16
#define MAX_COUNT      1000000000u
#define MAX_PERIOD     (31 * 24 * 3600.0)
#define MAX_NAME       32

static const struct {
    const char *name;
    const char *period; // in us, or "day"; "0": no period
} bare[] = {{"rpm", "60000000"}, {"ipm", "60000000"},     {"tpm", "60000000"},
            {"rpd", "day"},      {"usd10m", "600000000"}, {"inflight", "0"}};

static bool name_ok(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_'))
            return false;
    }
    return s.len >= 1 && s.len <= MAX_NAME;
}

static enum err wrong(struct buf *why, struct span part, const char *text)
{
    if (why) {
        buf_add_str(why, "limit \"");
        text_show(why, part, 64);
        buf_addf(why, "\" %s", text);
    }
    return ERR_FORMAT;
}

// Splits `s` at the first `c`; false when there is none.
static bool split(struct span s, char c, struct span *before, struct span *after)
{
    const char *at = s.len ? memchr(s.ptr, c, s.len) : NULL;
    if (!at)
        return false;
    *before = (struct span){s.ptr, (size_t)(at - s.ptr)};
    *after = (struct span){at + 1, s.len - before->len - 1};
    return true;
}

static const char *bare_period(struct span name)
{
    for (size_t i = 0; i < sizeof bare / sizeof *bare; i++)
        if (span_is(name, bare[i].name))
            return bare[i].period;
    return NULL;
}

static bool is_usd(struct span name)
{
    return name.len >= 3 && memcmp(name.ptr, "usd", 3) == 0;
}

static bool known(struct span name, const struct span *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (span_equal(name, names[i]))
            return true;
    return false;
}

static void add_part(struct buf *out, struct span name, uint64_t n, const char *period)
{
    buf_addf(out, "%s%.*s=%" PRIu64 "/%s", out->len ? "," : "", (int)name.len, name.ptr,
             is_usd(name) ? n * 1000000 : n, period);
}

#define PERIOD_SIZE 32

// "100/1s", or "600" where the name says of what period: `us` gets its microseconds.
static enum err read_period(struct span part, struct span name, struct span value,
                            struct span *count, char us[static PERIOD_SIZE], struct buf *why)
{
    struct span period;
    double seconds;
    const char *fixed = bare_period(name);
    if (split(value, '/', count, &period)) {
        if (text_duration(period, &seconds) != OK || !(seconds >= 0.001) ||
            seconds > MAX_PERIOD)
            return wrong(why, part, "has no good period: 1ms to 31d, as 1s or 10m");
        snprintf(us, PERIOD_SIZE, "%.0f", round(seconds * 1e6));
        return OK;
    }
    if (!fixed)
        return wrong(why, part,
                     "needs a period, as req=100/1s; only rpm, ipm, tpm, rpd, usd10m and "
                     "inflight have none");
    snprintf(us, PERIOD_SIZE, "%s", fixed);
    *count = value;
    return OK;
}

static enum err read_part(struct span part, struct buf *out, struct span *name, struct buf *why)
{
    struct span value, count;
    uint64_t n;
    char us[PERIOD_SIZE];
    if (span_is(part, "strict")) {
        *name = part;
        add_part(out, part, 1, "0");
        return OK;
    }
    if (!split(part, '=', name, &value) || !name_ok(*name))
        return wrong(why, part, "must be NAME=COUNT/PERIOD, as req=100/1s");
    enum err e = read_period(part, *name, value, &count, us, why);
    if (e != OK)
        return e;
    if (text_uint(count, 1, MAX_COUNT, &n) != OK)
        return wrong(why, part, "has no good count: 1 to 1000000000");
    add_part(out, *name, n, us);
    return OK;
}

enum err limit_spec(struct span text, struct buf *out, struct buf *why)
{
    struct span names[MAX_DIMENSIONS], rest = text_trim(text), part;
    struct buf spec = {.max = 4096};
    enum err e = OK;
    size_t n = 0;
    bool more = true;
    while (e == OK && more) {
        struct span all = rest;
        more = split(all, ',', &part, &rest);
        part = text_trim(more ? part : all);
        if (n == MAX_DIMENSIONS)
            e = wrong(why, part, "is one too many: at most 16");
        else if ((e = read_part(part, &spec, &names[n], why)) == OK &&
                 known(names[n], names, n))
            e = wrong(why, part, "is there twice");
        n++;
    }
    if (e == OK && !(e = spec.err))
        buf_add(out, buf_span(&spec));
    buf_free(&spec);
    return e == OK ? out->err : e;
}

static void show_part(struct buf *out, struct span name, uint64_t count, struct span period)
{
    const char *own = bare_period(name);
    uint64_t us = 0;
    if (is_usd(name))
        count /= 1000000;
    buf_addf(out, "%s%.*s", out->len ? "," : "", (int)name.len, name.ptr);
    if (span_is(name, "strict"))
        return;
    buf_addf(out, "=%" PRIu64, count);
    if ((own && span_is(period, own)) || text_uint(period, 1, UINT64_MAX, &us) != OK)
        return;
    if (us % 1000000 == 0)
        buf_addf(out, "/%" PRIu64 "s", us / 1000000);
    else if (us % 1000 == 0)
        buf_addf(out, "/%" PRIu64 "ms", us / 1000);
    else
        buf_addf(out, "/%" PRIu64 ".%06" PRIu64 "s", us / 1000000, us % 1000000);
}

void limit_show(struct buf *out, struct span spec)
{
    struct span rest = spec, part, name, value, count, period;
    bool more = spec.len > 0;
    while (more) {
        struct span all = rest;
        uint64_t n;
        more = split(all, ',', &part, &rest);
        if (!more)
            part = all;
        if (split(part, '=', &name, &value) && split(value, '/', &count, &period) &&
            text_uint(count, 0, UINT64_MAX, &n) == OK)
            show_part(out, name, n, period);
    }
}
