// cmd_quota.c - genfarm quota: shows, sets and clears what users and projects may use by day
// and month.
#include <ev.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cmd.h"
#include "client/quota.h"
#include "common/clock.h"
#include "common/json.h"

#define TIMEOUT    5.0
#define MOST_SHOWN 10000

struct quota {
    struct cmd *cmd;
    struct session *session;
    struct buf names; // of the accounts that have limits, each ended by a NUL
    bool done;
    enum err err;
};

static void on_names(void *ctx, enum err e, const struct span *names, size_t n)
{
    struct quota *q = ctx;
    q->done = true;
    q->err = e;
    for (size_t i = 0; i < n && i < MOST_SHOWN; i++) {
        if (!account_name_ok(names[i]))
            continue;
        buf_add(&q->names, names[i]);
        buf_add_byte(&q->names, '\0');
    }
    if (q->err == OK)
        q->err = q->names.err;
}

static void on_set(void *ctx, enum err e, int64_t value)
{
    (void)value;
    struct quota *q = ctx;
    q->done = true;
    q->err = e;
}

// --- Showing --------------------------------------------------------------------------------

static void put_numbers(struct json_object *o, const char *name, const int64_t n[ACCOUNT_UNITS])
{
    struct json_object *of = json_object_new_object();
    for (unsigned u = 0; u < ACCOUNT_UNITS; u++)
        if (u == ACCOUNT_USD)
            json_put_usd(of, account_units[u], n[u]);
        else
            json_put_int(of, account_units[u], n[u]);
    json_put(o, name, of);
}

static void print_json(const char *name, const struct account_state *a, struct span limits)
{
    char until[CLOCK_RFC3339_SIZE];
    struct json_object *o = json_object_new_object();
    json_put_cstr(o, "account", name);
    json_put_str(o, "limits", limits);
    for (unsigned p = 0; p < ACCOUNT_PERIODS; p++) {
        struct json_object *of = json_object_new_object();
        put_numbers(of, "used", a->of[p].used);
        put_numbers(of, "reserved", a->of[p].reserved);
        json_put_usd(of, "unknown_usd", a->of[p].unknown_micro);
        clock_rfc3339(a->of[p].ends_ms, until);
        json_put_cstr(of, "until", until);
        json_put(o, account_periods[p], of);
    }
    cmd_print(o);
}

static void print(const char *name, const struct account_state *a, struct span limits)
{
    printf("%s  %.*s\n", name, (int)limits.len, limits.len ? limits.ptr : "");
    for (unsigned p = 0; p < ACCOUNT_PERIODS; p++) {
        struct buf used = {.max = 64}, reserved = {.max = 64};
        cmd_show_usd(&used, a->of[p].used[ACCOUNT_USD]);
        cmd_show_usd(&reserved, a->of[p].reserved[ACCOUNT_USD]);
        printf("  this %-5s  %" PRId64 " calls, %" PRId64
               " images, %s; %s reserved for %" PRId64 " calls under way\n",
               account_periods[p], a->of[p].used[ACCOUNT_CALLS], a->of[p].used[ACCOUNT_IMAGES],
               buf_str(&used), buf_str(&reserved), a->of[p].reserved[ACCOUNT_CALLS]);
        buf_free(&used);
        buf_free(&reserved);
    }
}

static enum err show(struct quota *q, const char *name)
{
    struct account_state a;
    struct buf limits = {.max = 1024};
    enum err e =
        quota_read(&(struct patience){.session = q->session}, span_of(name), &a, &limits);
    if (e == OK && q->cmd->json)
        print_json(name, &a, buf_span(&limits));
    else if (e == OK)
        print(name, &a, limits.len ? buf_span(&limits) : SPAN("no limits"));
    buf_free(&limits);
    return e;
}

static int show_all(struct quota *q)
{
    enum err e = account_list(session_redis(q->session), TIMEOUT, on_names, q);
    e = session_finish(q->session, e, &q->done, &q->err);
    for (size_t at = 0; e == OK && at < q->names.len; at += strlen(q->names.ptr + at) + 1)
        e = show(q, q->names.ptr + at);
    if (e == OK && q->names.len == 0 && !q->cmd->json)
        cmd_say(0, "no user and no project has limits");
    return e == OK ? EXIT_DONE : cmd_fail(q->cmd, e);
}

// --- Changing -------------------------------------------------------------------------------

static int change(struct quota *q, const char *name, const char *text)
{
    struct cmd *c = q->cmd;
    struct buf spec = {.max = 1024};
    struct session_value v = {0};
    if (text && account_spec(span_of(text), &spec, &c->why) != OK) {
        buf_free(&spec);
        return cmd_say(EXIT_USAGE, "%s", buf_str(&c->why));
    }
    enum err e = account_set(session_redis(q->session), TIMEOUT, span_of(name), buf_span(&spec),
                             on_set, q);
    e = session_finish(q->session, e, &q->done, &q->err);
    buf_free(&spec);
    if (e == OK)
        e = session_value(
            q->session,
            queue_unheld(session_queue(q->session), span_of(name), session_on_value, &v), &v);
    if (e == OK && v.value > 0)
        cmd_say(0, "%" PRId64 " batches that waited for it go on", v.value);
    return e == OK ? EXIT_DONE : cmd_fail(c, e);
}

static int bad_name(const char *word)
{
    return cmd_say(EXIT_USAGE, "%.110s is no account: user:NAME or project:NAME", word);
}

static int act(struct quota *q)
{
    struct cmd *c = q->cmd;
    const char *verb = c->words.n ? c->words.at[0] : "";
    bool set = strcmp(verb, "set") == 0, clear = strcmp(verb, "clear") == 0;
    enum err e = OK;
    if (c->words.n == 0)
        return show_all(q);
    if ((set && c->words.n != 3) || (clear && c->words.n != 2))
        return cmd_say(EXIT_USAGE, "quota %s",
                       set ? "set user:NAME SPEC, as usd=25/month,images=1000/day"
                           : "clear user:NAME");
    for (size_t i = set || clear; i < (set ? 2 : c->words.n); i++)
        if (!account_name_ok(span_of(c->words.at[i])))
            return bad_name(c->words.at[i]);
    if (set || clear)
        return change(q, c->words.at[1], set ? c->words.at[2] : NULL);
    for (size_t i = 0; e == OK && i < c->words.n; i++)
        e = show(q, c->words.at[i]);
    return e == OK ? EXIT_DONE : cmd_fail(c, e);
}

int cmd_quota(struct cmd *c)
{
    struct quota q = {.cmd = c, .names = {.max = MOST_SHOWN * (ACCOUNT_MAX_NAME + 1)}};
    enum err e = cmd_connect(c, c->redis, c->queue, &q.session);
    if (e != OK)
        return cmd_fail(c, e);
    int status = act(&q);
    session_close(q.session);
    buf_free(&q.names);
    return status;
}
