// account.c - see account.h.
#include "broker/account.h"

#include <stdlib.h>
#include <string.h>

#include "broker/queue_call.h"
#include "common/text.h"

#define CONFIG "genfarm:{budget}:cfg"
#define NONE   "genfarm:{budget}:none"

extern const unsigned char lua_account[];
extern const size_t lua_account_len;

static struct redis_script *script(void)
{
    static _Thread_local struct redis_script it;
    if (!it.name) {
        it.source = (struct span){(const char *)lua_account, lua_account_len};
        it.name = "account";
    }
    return &it;
}

bool account_name_ok(struct span name)
{
    struct span user = SPAN("user:"), project = SPAN("project:");
    size_t n = name.len > user.len && memcmp(name.ptr, user.ptr, user.len) == 0 ? user.len
               : name.len > project.len && memcmp(name.ptr, project.ptr, project.len) == 0
                   ? project.len
                   : 0;
    return n > 0 && job_name_ok((struct span){name.ptr + n, name.len - n});
}

// --- Asking ---------------------------------------------------------------------------------

struct ask {
    void (*read)(const struct ask *a, enum err e, const redisReply *r);
    union {
        account_reserved *reserved;
        account_done *value;
        account_shown *shown;
        account_names *names;
    } done;
    void *ctx;
    size_t n, n_names;
};

static void answered(void *ctx, enum err e, const redisReply *r)
{
    struct ask *a = ctx;
    a->read(a, e, e == OK ? r : NULL);
    free(a);
}

static struct args *begin(const char *op, size_t max, size_t texts)
{
    struct args *a = args_new(max + 3, texts);
    args_str(a, CONFIG);
    args_str(a, NONE);
    args_str(a, op);
    return a;
}

static enum err send(struct redis *r, double timeout, struct args *a, const struct ask *ask)
{
    struct ask *copy = a && a->err == OK ? malloc(sizeof *copy) : NULL;
    enum err e = copy ? OK : a && a->err ? a->err : ERR_NOMEM;
    if (e == OK) {
        *copy = *ask;
        e = redis_eval(r, timeout, answered, copy, script(), 2, a->n, a->v);
    }
    if (e != OK)
        free(copy);
    free(a);
    return e;
}

static void read_value(const struct ask *a, enum err e, const redisReply *r)
{
    int64_t one, value = 0;
    if (e == OK && (!reply_int(reply_at(r, 0), &one) || one != 1))
        e = ERR_FORMAT;
    if (e == OK && reply_at(r, 1) && !reply_int(reply_at(r, 1), &value))
        e = ERR_FORMAT;
    a->done.value(a->ctx, e, value);
}

// --- Calls ----------------------------------------------------------------------------------

// "" no limit, "-", or "usd/month ALLOWED USED UNTIL".
static bool read_verdict(struct span s, struct account_verdict *v)
{
    int64_t *const numbers[] = {&v->allowed, &v->used, &v->until_ms};
    *v = (struct account_verdict){.limited = s.len > 0};
    if (s.len < 2)
        return true;
    for (int i = 2; i >= 0; i--) {
        const char *space = memrchr(s.ptr, ' ', s.len);
        size_t at = space ? (size_t)(space - s.ptr) : 0;
        if (!space ||
            text_int((struct span){space + 1, s.len - at - 1}, 0, INT64_MAX, numbers[i]) != OK)
            return false;
        s.len = at;
    }
    v->limit = s;
    return true;
}

static void read_reserved(const struct ask *a, enum err e, const redisReply *r)
{
    struct account_verdict v[ACCOUNT_MAX_NAMES];
    struct span marks = {0}, text;
    int64_t day = 0;
    if (e == OK && (!reply_int(reply_at(r, 1), &day) || !reply_str(reply_at(r, 2), &marks) ||
                    marks.len != a->n))
        e = ERR_FORMAT;
    for (size_t i = 0; e == OK && i < a->n_names; i++)
        if (!reply_str(reply_at(r, 3 + i), &text) || !read_verdict(text, &v[i]))
            e = ERR_FORMAT;
    if (e == OK)
        a->done.reserved(a->ctx, OK, day, marks, v);
    else
        a->done.reserved(a->ctx, e, 0, (struct span){0}, NULL);
}

enum err account_reserve(struct redis *r, double timeout, struct span inc, int64_t lease_ms,
                         size_t n_names, const struct span *names, size_t n,
                         const struct account_call *calls, account_reserved *done, void *ctx)
{
    if (n < 1 || n > ACCOUNT_MAX_CALLS || n_names > ACCOUNT_MAX_NAMES)
        return ERR_RANGE;
    struct args *a = begin("reserve", 3 + n_names + 4 * n, (2 + 4 * n) * ARGS_INT);
    args_add(a, inc);
    args_int(a, lease_ms);
    args_uint(a, n_names);
    for (size_t i = 0; i < n_names; i++)
        args_add(a, names[i]);
    for (size_t i = 0; i < n; i++) {
        args_uint(a, calls[i].number);
        args_uint(a, calls[i].user + 1);
        args_uint(a, calls[i].project + 1);
        args_int(a, calls[i].worst);
    }
    return send(r, timeout, a,
                &(struct ask){.read = read_reserved,
                              .done.reserved = done,
                              .ctx = ctx,
                              .n = n,
                              .n_names = n_names});
}

enum err account_tell(struct redis *r, double timeout, struct span inc, int64_t lease_ms,
                      uint64_t number, size_t n_sums, const struct account_sum *sums, size_t n,
                      const struct account_end *ends, account_done *done, void *ctx)
{
    if (n > ACCOUNT_MAX_CALLS || n_sums > ACCOUNT_MAX_NAMES)
        return ERR_RANGE;
    struct args *a = begin("tell", 4 + 5 * n + 6 * n_sums, (3 + 5 * (n + n_sums)) * ARGS_INT);
    args_add(a, inc);
    args_int(a, lease_ms);
    args_uint(a, number);
    args_uint(a, n_sums);
    for (size_t i = 0; i < n_sums; i++) {
        args_add(a, sums[i].name);
        args_int(a, sums[i].calls);
        args_int(a, sums[i].images);
        args_int(a, sums[i].micro);
        args_int(a, sums[i].unknown);
        args_int(a, sums[i].day);
    }
    for (size_t i = 0; i < n; i++) {
        args_uint(a, ends[i].number);
        args_int(a, ends[i].calls);
        args_int(a, ends[i].images);
        args_int(a, ends[i].micro);
        args_str(a, ends[i].unknown ? "1" : "0");
    }
    return send(r, timeout, a,
                &(struct ask){.read = read_value, .done.value = done, .ctx = ctx});
}

enum err account_keep(struct redis *r, double timeout, struct span inc, int64_t lease_ms,
                      account_done *done, void *ctx)
{
    struct args *a = begin("keep", 2, ARGS_INT);
    args_add(a, inc);
    args_int(a, lease_ms);
    return send(r, timeout, a,
                &(struct ask){.read = read_value, .done.value = done, .ctx = ctx});
}

enum err account_leave(struct redis *r, double timeout, struct span inc, account_done *done,
                       void *ctx)
{
    struct args *a = begin("leave", 1, 0);
    args_add(a, inc);
    return send(r, timeout, a,
                &(struct ask){.read = read_value, .done.value = done, .ctx = ctx});
}

// --- For people -----------------------------------------------------------------------------

#define NUMBERS 7 // of a period: calls, images, usd, unknown, and reserved of the first three

static bool read_period(const redisReply *r, size_t period, struct account_state *s)
{
    int64_t n[NUMBERS];
    for (size_t i = 0; i < NUMBERS; i++)
        if (!reply_int(reply_at(r, 5 + period * NUMBERS + i), &n[i]))
            return false;
    for (size_t i = 0; i < ACCOUNT_UNITS; i++) {
        s->of[period].used[i] = n[i];
        s->of[period].reserved[i] = n[4 + i];
    }
    s->of[period].unknown_micro = n[3];
    return reply_int(reply_at(r, 3 + period), &s->of[period].ends_ms);
}

static void read_shown(const struct ask *a, enum err e, const redisReply *r)
{
    struct account_state s = {0};
    if (e == OK && !reply_str(reply_at(r, 2), &s.spec))
        e = ERR_FORMAT;
    for (size_t i = 0; e == OK && i < ACCOUNT_PERIODS; i++)
        if (!read_period(r, i, &s))
            e = ERR_FORMAT;
    if (e == OK)
        account_read_spec(&s);
    a->done.shown(a->ctx, e, e == OK ? &s : NULL);
}

enum err account_show(struct redis *r, double timeout, struct span name, account_shown *done,
                      void *ctx)
{
    if (!account_name_ok(name))
        return ERR_RANGE;
    struct args *a = begin("show", 1, 0);
    args_add(a, name);
    return send(r, timeout, a,
                &(struct ask){.read = read_shown, .done.shown = done, .ctx = ctx});
}

enum err account_set(struct redis *r, double timeout, struct span name, struct span spec,
                     account_done *done, void *ctx)
{
    if (!account_name_ok(name))
        return ERR_RANGE;
    struct args *a = begin("set", 2, 0);
    args_add(a, name);
    args_add(a, spec);
    return send(r, timeout, a,
                &(struct ask){.read = read_value, .done.value = done, .ctx = ctx});
}

static void read_names(const struct ask *a, enum err e, const redisReply *r)
{
    size_t n = reply_count(r), skip = a->n; // of what stands before the names
    struct span *names = calloc(n + 1, sizeof *names);
    if (e == OK && !names)
        e = ERR_NOMEM;
    if (e == OK && n < skip)
        e = ERR_FORMAT;
    for (size_t i = skip; e == OK && i < n; i++)
        if (!reply_str(reply_at(r, i), &names[i - skip]))
            e = ERR_FORMAT;
    a->done.names(a->ctx, e, names, e == OK ? n - skip : 0);
    free(names);
}

enum err account_list(struct redis *r, double timeout, account_names *done, void *ctx)
{
    struct args *a = begin("list", 0, 0);
    return send(r, timeout, a,
                &(struct ask){.read = read_names, .done.names = done, .ctx = ctx, .n = 1});
}

enum err account_check(struct redis *r, double timeout, bool mend, account_names *done,
                       void *ctx)
{
    struct args *a = begin("check", 1, 0);
    args_str(a, mend ? "1" : "0");
    return send(r, timeout, a,
                &(struct ask){.read = read_names, .done.names = done, .ctx = ctx, .n = 1});
}
