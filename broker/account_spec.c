// account_spec.c - the limits of an account as people write them:
// "usd=25/month,images=1000/day".
#include <inttypes.h>
#include <string.h>

#include "broker/account.h"
#include "common/text.h"

#define MOST 1000000000000000 // of anything: exact in the script's numbers

const char *const account_units[] = {"calls", "images", "usd"};
const char *const account_periods[] = {"day", "month"};

static size_t find(struct span s, const char *const *names, size_t n)
{
    size_t i = 0;
    while (i < n && !span_is(s, names[i]))
        i++;
    return i;
}

// What stands before `c`, which goes with it; all, and false, when there is none.
static bool cut(struct span *s, char c, struct span *out)
{
    const char *at = s->len ? memchr(s->ptr, c, s->len) : NULL;
    *out = (struct span){s->ptr, at ? (size_t)(at - s->ptr) : s->len};
    size_t skip = out->len + (at != NULL);
    *s = (struct span){s->ptr + skip, s->len - skip};
    return at != NULL;
}

// WHAT=N/PERIOD; USD in millionths.
static bool read_part(struct span part, bool people, size_t *unit, size_t *period, int64_t *n)
{
    struct span what, number;
    if (!cut(&part, '=', &what) || !cut(&part, '/', &number))
        return false;
    *unit = find(what, account_units, ACCOUNT_UNITS);
    *period = find(part, account_periods, ACCOUNT_PERIODS);
    if (*unit == ACCOUNT_UNITS || *period == ACCOUNT_PERIODS)
        return false;
    if (people && *unit == ACCOUNT_USD)
        return text_usd(number, n) == OK && *n >= 0 && *n <= MOST;
    return text_int(number, 0, MOST, n) == OK;
}

enum err account_spec(struct span text, struct buf *out, struct buf *why)
{
    bool seen[ACCOUNT_UNITS][ACCOUNT_PERIODS] = {0};
    struct span part;
    bool more;
    do {
        size_t unit, period;
        int64_t n;
        more = cut(&text, ',', &part);
        part = text_trim(part);
        if (!read_part(part, true, &unit, &period, &n) || seen[unit][period]) {
            buf_addf(why,
                     "%.*s: must be calls=N, images=N or usd=N, each with /day or /month, once",
                     (int)(part.len < 40 ? part.len : 40), part.ptr);
            return ERR_FORMAT;
        }
        seen[unit][period] = true;
        buf_addf(out, "%s%s=%" PRId64 "/%s", out->len ? "," : "", account_units[unit], n,
                 account_periods[period]);
    } while (more);
    return out->err;
}

void account_read_spec(struct account_state *s)
{
    struct span rest = s->spec, part;
    for (size_t p = 0; p < ACCOUNT_PERIODS; p++)
        for (size_t u = 0; u < ACCOUNT_UNITS; u++)
            s->of[p].allowed[u] = -1;
    while (rest.len) {
        size_t unit, period;
        int64_t n;
        cut(&rest, ',', &part);
        if (read_part(part, false, &unit, &period, &n))
            s->of[period].allowed[unit] = n;
    }
}

void account_show_spec(struct buf *out, struct span spec)
{
    struct span part;
    const char *comma = "";
    while (spec.len) {
        size_t unit, period;
        int64_t n;
        cut(&spec, ',', &part);
        if (!read_part(part, false, &unit, &period, &n))
            continue;
        buf_addf(out, "%s%s=", comma, account_units[unit]);
        if (unit == ACCOUNT_USD)
            buf_addf(out, n % 10000 ? "%" PRId64 ".%06" PRId64 : "%" PRId64 ".%02" PRId64,
                     n / 1000000, n % 10000 ? n % 1000000 : n % 1000000 / 10000);
        else
            buf_addf(out, "%" PRId64, n);
        buf_addf(out, "/%s", account_periods[period]);
        comma = ",";
    }
}
