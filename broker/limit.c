// limit.c - asking for send slots, and telling of refusals.
#include "broker/limit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/queue_reply.h"

#define MAX_GROUP 512
#define MAX_ARGS  30
#define MAX_TEXT  4096   // of a spec, as it comes from Redis
#define MAX_TAKES 100000 // bytes, of what calls take
#define HALF_DAY  43200000000

extern const unsigned char lua_limit[];
extern const size_t lua_limit_len;

static struct redis_script *script(void)
{
    static _Thread_local struct redis_script it;
    if (!it.name) {
        it.source = (struct span){(const char *)lua_limit, lua_limit_len};
        it.name = "limit";
    }
    return &it;
}

#define HEAD 12 // elements of an answer before its slots

struct ask {
    limit_done *done;
    void *ctx;
    unsigned want;
    int64_t slots[]; // `want`: granted ones would be lost if there were no room for them
};

// What the answer begins with, in this order; then slots.
static bool read_head(const redisReply *r, struct limit_grant *g, size_t *n)
{
    struct span *texts[] = {
        [1] = &g->spec, [2] = &g->reason, [7] = &g->learned, [11] = &g->asks};
    int64_t *numbers[] = {[0] = &g->server_us,     [3] = &g->wait_us,     [4] = &g->today.calls,
                          [5] = &g->today.refused, [6] = &g->today.micro, [8] = &g->learned_us,
                          [9] = &g->day_ends_us,   [10] = &g->edited_us,  [11] = NULL};
    for (*n = 0; *n < HEAD; ++*n)
        if (numbers[*n] ? !reply_int(reply_at(r, *n), numbers[*n])
                        : !reply_str(reply_at(r, *n), texts[*n]) || texts[*n]->len > MAX_TEXT)
            return false;
    return true;
}

static enum err read_grant(const redisReply *r, struct limit_grant *g, int64_t *slots)
{
    size_t n = reply_count(r), head;
    if (!read_head(r, g, &head) || g->wait_us < 0)
        return ERR_FORMAT;
    for (size_t i = HEAD; i < n; i++) {
        if (!reply_int(reply_at(r, i), &slots[i - HEAD]))
            return ERR_FORMAT;
        if (slots[i - HEAD] < (i > HEAD ? slots[i - HEAD - 1] : 0))
            return ERR_FORMAT; // they rise
    }
    g->n = n - HEAD;
    return OK;
}

static void answered(void *ctx, enum err e, const redisReply *r)
{
    struct ask *ask = ctx;
    struct limit_grant g = {.slots_us = ask->slots};
    if (e == OK && (reply_count(r) > ask->want + HEAD || reply_count(r) < HEAD))
        e = ERR_FORMAT;
    if (e == OK)
        e = read_grant(r, &g, ask->slots);
    ask->done(ask->ctx, e, e == OK ? &g : NULL);
    free(ask);
}

static bool group_ok(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '{' || s.ptr[i] == '}' || (unsigned char)s.ptr[i] < ' ')
            return false;
    return s.len >= 1 && s.len <= MAX_GROUP;
}

// Arguments, with room for the texts of their numbers.
struct args {
    struct span v[MAX_ARGS];
    size_t n, used;
    char text[24 * MAX_ARGS + MAX_GROUP + 32];
};

static void add(struct args *a, struct span s)
{
    a->v[a->n++] = s.len ? s : SPAN("");
}

static void add_int(struct args *a, int64_t v)
{
    int n = snprintf(a->text + a->used, sizeof a->text - a->used, "%" PRId64, v);
    add(a, (struct span){a->text + a->used, (size_t)n});
    a->used += (size_t)n;
}

static void begin(struct args *a, struct span group, const char *op)
{
    int n =
        snprintf(a->text, sizeof a->text, "genfarm:{limit:%.*s}:l", (int)group.len, group.ptr);
    a->n = 0;
    a->used = (size_t)n;
    add(a, (struct span){a->text, (size_t)n});
    add(a, span_of(op));
}

static enum err send(struct redis *r, double timeout, const struct args *a, unsigned want,
                     limit_done *done, void *ctx)
{
    struct ask *ask = malloc(sizeof *ask + want * sizeof ask->slots[0]);
    if (!ask)
        return ERR_NOMEM;
    *ask = (struct ask){.done = done, .ctx = ctx, .want = want};
    enum err e = redis_eval(r, timeout, answered, ask, script(), 1, a->n, a->v);
    if (e != OK)
        free(ask);
    return e;
}

// "2x1:250:39000,1x1:9:151000": what is alike is said once.
static void say_takes(struct buf *out, const struct limit_units *takes, unsigned n)
{
    for (unsigned i = 0, same; i < n; i += same) {
        const struct limit_units *u = &takes[i];
        for (same = 1; i + same < n && memcmp(u, &takes[i + same], sizeof *u) == 0; same++)
            ;
        buf_addf(out, "%s%ux%" PRId64 ":%" PRId64 ":%" PRId64, i ? "," : "", same, u->images,
                 u->tokens, u->micro);
    }
}

static void add_units(struct args *a, const struct limit_units *u)
{
    add_int(a, u->images);
    add_int(a, u->tokens);
    add_int(a, u->micro);
}

static void add_news(struct args *a, const struct limit_news *n)
{
    add_int(a, n->number);
    add_units(a, &n->extra);
    add_int(a, n->did.calls);
    add_int(a, n->did.refused);
    add_int(a, n->did.micro);
    add_int(a, n->went_well_us);
    add_int(a, n->back.n);
    add_int(a, n->back.day_ends_us);
    add_int(a, n->back.from_us);
    add_int(a, n->back.to_us);
    add_units(a, &n->back.last);
}

enum err limit_ask(struct redis *r, double timeout, const struct limit_request *l,
                   limit_done *done, void *ctx)
{
    struct args a;
    struct buf takes = {.max = MAX_TAKES};
    if (l->want > LIMIT_MAX_SLOTS || l->horizon_us < 0 || !group_ok(l->group))
        return ERR_RANGE;
    if (l->takes)
        say_takes(&takes, l->takes, l->want);
    // Right where this host's clock is wrong by less than half a day: one of the two lies
    // ahead.
    int64_t now = l->now_us ? l->now_us : (int64_t)time(NULL) * 1000000;
    int64_t day_ends = limit_day_end(now - HALF_DAY);
    begin(&a, l->group, "take");
    add_int(&a, l->want);
    add_int(&a, l->horizon_us);
    add_int(&a, l->lead_us);
    add(&a, l->spec);
    add(&a, buf_span(&takes));
    add_int(&a, day_ends);
    add_int(&a, limit_day_end(day_ends));
    add(&a, l->inc);
    add_int(&a, l->held);
    add_int(&a, l->held_us);
    add(&a, l->teller);
    add_news(&a, &l->news);
    enum err e = takes.err ? takes.err : send(r, timeout, &a, l->want, done, ctx);
    buf_free(&takes);
    return e;
}

enum err limit_set(struct redis *r, double timeout, struct span group, struct span spec,
                   limit_done *done, void *ctx)
{
    struct args a;
    if (!group_ok(group))
        return ERR_RANGE;
    begin(&a, group, spec.len ? "set" : "clear");
    add(&a, spec);
    return send(r, timeout, &a, 0, done, ctx);
}

enum err limit_learn(struct redis *r, double timeout, struct span group, struct span spec,
                     limit_done *done, void *ctx)
{
    struct args a;
    if (!group_ok(group))
        return ERR_RANGE;
    begin(&a, group, "learn");
    add(&a, spec);
    add_int(&a, LIMIT_LEARNED_US);
    add_int(&a, LIMIT_DAY_US);
    return send(r, timeout, &a, 0, done, ctx);
}

enum err limit_refused(struct redis *r, double timeout, struct span group, int64_t cool_us,
                       int64_t sent_us, enum limit_cause cause, limit_done *done, void *ctx)
{
    struct args a;
    if (!group_ok(group) || cool_us < 0)
        return ERR_RANGE;
    begin(&a, group, "refused");
    add_int(&a, cool_us);
    add_int(&a, sent_us);
    add(&a, cause == LIMIT_BY_RATE ? SPAN("1") : SPAN("0"));
    add(&a, cause == LIMIT_BY_SPEND ? SPAN("spend") : SPAN(""));
    return send(r, timeout, &a, 0, done, ctx);
}

// --- The provider's day ---------------------------------------------------------------------

#define DAY 86400

// Days since 1970-01-01 of a date. Source: H. Hinnant, "chrono-compatible low-level date
// algorithms", days_from_civil.
static int64_t days_of(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

// The nth Sunday of a month, as days since 1970-01-01, which was a Thursday.
static int64_t sunday(int64_t y, int m, int nth)
{
    int64_t first = days_of(y, m, 1);
    int64_t weekday = (first + 4) % 7; // 0: Sunday
    return first + (7 - weekday) % 7 + 7 * (nth - 1);
}

// Seconds that Pacific time is behind UTC at that moment.
static int64_t behind(int64_t s)
{
    time_t at = (time_t)(s - 8 * 3600);
    struct tm tm;
    gmtime_r(&at, &tm);
    int64_t y = tm.tm_year + 1900;
    int64_t begins = sunday(y, 3, 2) * DAY + 10 * 3600; // 2:00 standard is 10:00 UTC
    int64_t ends = sunday(y, 11, 1) * DAY + 9 * 3600;   // 2:00 daylight is 9:00 UTC
    return s >= begins && s < ends ? 7 * 3600 : 8 * 3600;
}

int64_t limit_day_end(int64_t now_us)
{
    int64_t now = now_us / 1000000, local = now - behind(now);
    int64_t midnight = (local / DAY + 1) * DAY;
    return (midnight + behind(midnight + 8 * 3600)) * 1000000;
}
