// limit.c - limits as people write them, and asking for send slots.
#include "broker/limit.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "broker/queue_reply.h"
#include "common/text.h"

#define MAX_DIMENSIONS 16
#define MAX_COUNT      1000000000u
#define MAX_PERIOD     (31 * 24 * 3600.0)
#define MAX_NAME       32
#define MAX_GROUP      512

// --- What people write
// -------------------------------------------------------------------------

static const struct {
    const char *name;
    double period; // seconds
} bare[] = {{"rpm", 60}, {"rpd", 24 * 3600}};

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

static bool bare_period(struct span name, double *period)
{
    for (size_t i = 0; i < sizeof bare / sizeof *bare; i++)
        if (span_is(name, bare[i].name)) {
            *period = bare[i].period;
            return true;
        }
    return false;
}

static bool known(struct span name, const struct span *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (span_equal(name, names[i]))
            return true;
    return false;
}

static enum err read_part(struct span part, struct buf *out, struct span *name, struct buf *why)
{
    struct span value, count, period;
    uint64_t n;
    double seconds;
    if (!split(part, '=', name, &value) || !name_ok(*name))
        return wrong(why, part, "must be NAME=COUNT/PERIOD, as req=100/1s");
    if (split(value, '/', &count, &period)) {
        if (text_duration(period, &seconds) != OK || !(seconds >= 0.001) ||
            seconds > MAX_PERIOD)
            return wrong(why, part, "has no good period: 1ms to 31d, as 1s or 10m");
    } else if (bare_period(*name, &seconds)) {
        count = value;
    } else {
        return wrong(why, part, "needs a period, as req=100/1s; only rpm and rpd have one");
    }
    if (text_uint(count, 1, MAX_COUNT, &n) != OK)
        return wrong(why, part, "has no good count: 1 to 1000000000");
    buf_addf(out, "%s%.*s=%" PRIu64 "/%.0f", out->len ? "," : "", (int)name->len, name->ptr, n,
             round(seconds * 1e6));
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

// --- Asking
// ------------------------------------------------------------------------------------

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

struct ask {
    limit_done *done;
    void *ctx;
    unsigned want;
};

// {server us, spec, us from now of each slot...}, or a negative one alone: the wait, negated
static enum err read_grant(const redisReply *r, struct limit_grant *g, int64_t *slots)
{
    size_t n = reply_count(r);
    if (!reply_int(reply_at(r, 0), &g->server_us) || !reply_str(reply_at(r, 1), &g->spec) ||
        n > 2 + LIMIT_MAX_SLOTS)
        return ERR_FORMAT;
    for (size_t i = 2; i < n; i++) {
        if (!reply_int(reply_at(r, i), &slots[i - 2]))
            return ERR_FORMAT;
        if (slots[i - 2] < (i > 2 ? slots[i - 3] : INT64_MIN + 1))
            return ERR_FORMAT; // they rise
    }
    if (n == 3 && slots[0] < 0)
        g->next_us = -slots[0];
    else if (n > 2 && slots[0] < 0)
        return ERR_FORMAT;
    else
        g->n = n - 2;
    return OK;
}

static void answered(void *ctx, enum err e, const redisReply *r)
{
    struct ask *ask = ctx;
    struct limit_grant g = {0};
    int64_t *slots = calloc(ask->want + 1, sizeof *slots);
    if (e == OK && reply_count(r) > ask->want + 3)
        e = ERR_FORMAT;
    if (e == OK)
        e = slots ? read_grant(r, &g, slots) : ERR_NOMEM;
    g.slots_us = slots;
    ask->done(ask->ctx, e, e == OK ? &g : NULL);
    free(slots);
    free(ask);
}

static bool group_ok(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '{' || s.ptr[i] == '}' || (unsigned char)s.ptr[i] < ' ')
            return false;
    return s.len >= 1 && s.len <= MAX_GROUP;
}

enum err limit_ask(struct redis *r, double timeout, const struct limit_request *l,
                   limit_done *done, void *ctx)
{
    static const char *const how[] = {
        [LIMIT_KEEP] = "0", [LIMIT_SET] = "1", [LIMIT_CLEAR] = "2"};
    if (l->want > LIMIT_MAX_SLOTS || l->horizon_us < 0 || !group_ok(l->group))
        return ERR_RANGE;
    struct ask *ask = malloc(sizeof *ask);
    if (!ask)
        return ERR_NOMEM;
    *ask = (struct ask){.done = done, .ctx = ctx, .want = l->want};
    char key[MAX_GROUP + 32], want[16], horizon[24], from[24], to[24];
    int n =
        snprintf(key, sizeof key, "genfarm:{limit:%.*s}:l", (int)l->group.len, l->group.ptr);
    snprintf(want, sizeof want, "%u", l->want);
    snprintf(horizon, sizeof horizon, "%" PRId64, l->horizon_us);
    snprintf(from, sizeof from, "%" PRId64, l->back_from_us);
    snprintf(to, sizeof to, "%" PRId64, l->back_to_us);
    const struct span argv[] = {{key, (size_t)n},    span_of(want),
                                span_of(horizon),    span_of(from),
                                span_of(to),         l->spec.len ? l->spec : SPAN(""),
                                span_of(how[l->how])};
    enum err e =
        redis_eval(r, timeout, answered, ask, script(), 1, sizeof argv / sizeof *argv, argv);
    if (e != OK)
        free(ask);
    return e;
}
