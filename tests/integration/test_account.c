// test_account.c - what users and projects may use: reserved before, told after, never above;
// also when requests are sent twice, workers are lost, days end and memory is full.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/account.h"
#include "farm.h"
#include "test.h"

#define ANN   "user:ann"
#define RED   "project:red"
#define A     "genfarm:{budget}:"
#define LEASE 60000

static const struct span names[] = {SPAN(ANN), SPAN(RED)};

struct answer {
    bool done;
    enum err err;
    int64_t value, day;
    char marks[ACCOUNT_MAX_CALLS + 1], limit[32];
    struct account_verdict verdict; // the last one that refuses
    struct account_state state;
    size_t names;
};

static void on_reserved(void *ctx, enum err e, int64_t day, struct span marks,
                        const struct account_verdict *v)
{
    struct answer *a = ctx;
    a->done = true;
    a->err = e;
    a->day = day;
    snprintf(a->marks, sizeof a->marks, "%.*s", (int)marks.len, marks.len ? marks.ptr : "");
    for (int i = 0; e == OK && i < 2; i++)
        if (v[i].limit.len) {
            a->verdict = v[i];
            snprintf(a->limit, sizeof a->limit, "%.*s", (int)v[i].limit.len, v[i].limit.ptr);
        }
}

static void on_value(void *ctx, enum err e, int64_t value)
{
    struct answer *a = ctx;
    a->done = true;
    a->err = e;
    a->value = value;
}

static void on_shown(void *ctx, enum err e, const struct account_state *s)
{
    struct answer *a = ctx;
    a->done = true;
    a->err = e;
    if (s)
        a->state = *s;
}

static void on_names(void *ctx, enum err e, const struct span *all, size_t n)
{
    (void)all;
    struct answer *a = ctx;
    a->done = true;
    a->err = e;
    a->names = n;
}

static void await(struct farm *f, enum err started, struct answer *a)
{
    assert_int_equal(started, OK);
    wait_for(f->loop, &a->done, "an answer");
}

static struct redis *conn(struct farm *f)
{
    return queue_redis(f->queue);
}

static void set(struct farm *f, const char *name, const char *text)
{
    struct answer a = {0};
    struct buf spec = {.max = 256}, why = {.max = 256};
    if (text)
        assert_int_equal(account_spec(span_of(text), &spec, &why), OK);
    await(f, account_set(conn(f), 5., span_of(name), buf_span(&spec), on_value, &a), &a);
    assert_int_equal(a.err, OK);
    buf_free(&spec);
}

// n calls from number `first`, each of `micro` at worst.
static struct answer reserve(struct farm *f, const char *inc, uint64_t first, size_t n,
                             int64_t micro)
{
    struct answer a = {0};
    struct account_call calls[64];
    for (size_t i = 0; i < n; i++)
        calls[i] = (struct account_call){first + i, 0, 1, micro};
    await(
        f,
        account_reserve(conn(f), 5., span_of(inc), LEASE, 2, names, n, calls, on_reserved, &a),
        &a);
    return a;
}

static enum err tell(struct farm *f, const char *inc, uint64_t number, size_t n_sums,
                     const struct account_sum *sums, size_t n, const struct account_end *ends)
{
    struct answer a = {0};
    await(f,
          account_tell(conn(f), 5., span_of(inc), LEASE, number, n_sums, sums, n, ends,
                       on_value, &a),
          &a);
    return a.err;
}

static int64_t keep(struct farm *f, const char *inc)
{
    struct answer a = {0};
    await(f, account_keep(conn(f), 5., span_of(inc), LEASE, on_value, &a), &a);
    assert_int_equal(a.err, OK);
    return a.value;
}

static struct account_state show(struct farm *f, const char *name)
{
    struct answer a = {0};
    await(f, account_show(conn(f), 5., span_of(name), on_shown, &a), &a);
    assert_int_equal(a.err, OK);
    return a.state;
}

static size_t problems(struct farm *f, bool mend)
{
    struct answer a = {0};
    await(f, account_check(conn(f), 5., mend, on_names, &a), &a);
    assert_int_equal(a.err, OK);
    return a.names / 2;
}

static void assert_month(struct farm *f, const char *name, int64_t used, int64_t reserved)
{
    struct account_state s = show(f, name);
    assert_int_equal(s.of[ACCOUNT_MONTH].used[ACCOUNT_USD], used);
    assert_int_equal(s.of[ACCOUNT_MONTH].reserved[ACCOUNT_USD], reserved);
}

static void nothing_limits(void **state)
{
    struct farm *f = *state;
    assert_string_equal(reserve(f, "w1", 1, 3, 40000).marks, "fff");
    assert_int_equal(redis_server_number(f->server, "DBSIZE"), 0);
}

static void never_above(void **state)
{
    struct farm *f = *state;
    set(f, ANN, "usd=0.10/month");
    struct answer a = reserve(f, "w1", 1, 3, 40000);
    assert_string_equal(a.marks, "11w"); // 0.08 of 0.10 are out: it depends on what they take
    assert_string_equal(reserve(f, "w2", 1, 1, 40000).marks, "w");
    assert_string_equal(reserve(f, "w1", 1, 2, 40000).marks, "11"); // the answer was lost
    assert_month(f, ANN, 0, 80000);
    assert_month(f, RED, 0, 80000);
    const struct account_end ends[] = {{1, 1, 1, 38000, false}, {2, 1, 0, 0, true}};
    for (int i = 0; i < 2; i++)
        assert_int_equal(tell(f, "w1", 1, 0, NULL, 2, ends), OK);
    assert_month(f, ANN, 78000, 0);
    assert_int_equal(show(f, ANN).of[ACCOUNT_MONTH].unknown_micro, 40000);
    assert_int_equal(show(f, ANN).of[ACCOUNT_DAY].used[ACCOUNT_IMAGES], 2);
    a = reserve(f, "w2", 2, 1, 40000);
    assert_string_equal(a.marks, "b");
    assert_string_equal(a.limit, "usd/month");
    assert_int_equal(a.verdict.allowed, 100000);
    assert_int_equal(a.verdict.used, 78000);
    assert_int_equal(a.verdict.until_ms, show(f, ANN).of[ACCOUNT_MONTH].ends_ms);
    assert_int_equal(a.verdict.until_ms % 86400000, 0);
    assert_string_equal(reserve(f, "w2", 2, 1, 22000).marks, "1");
    assert_int_equal(problems(f, false), 0);
}

static void the_project_counts_too(void **state)
{
    struct farm *f = *state;
    set(f, RED, "calls=2/day,images=5/day");
    assert_string_equal(reserve(f, "w1", 1, 3, 1).marks, "11w");
    const struct account_end ends[] = {{1, 1, 1, 1, false}, {2, 1, 1, 1, false}};
    assert_int_equal(tell(f, "w1", 1, 0, NULL, 2, ends), OK);
    struct answer a = reserve(f, "w1", 3, 1, 1);
    assert_string_equal(a.marks, "b");
    assert_string_equal(a.limit, "calls/day");
    set(f, RED, NULL);
    assert_string_equal(reserve(f, "w1", 4, 1, 1).marks, "f");
}

static void not_sent_takes_nothing(void **state)
{
    struct farm *f = *state;
    set(f, ANN, "calls=1/day");
    assert_string_equal(reserve(f, "w1", 1, 1, 40000).marks, "1");
    assert_int_equal(tell(f, "w1", 1, 0, NULL, 1, &(struct account_end){.number = 1}), OK);
    assert_month(f, ANN, 0, 0);
    assert_string_equal(reserve(f, "w1", 2, 1, 40000).marks, "1");
}

// What was used without a limit is told in sums, each of them once.
static void sums_count_once(void **state)
{
    struct farm *f = *state;
    const struct account_sum sum = {SPAN(ANN), 5, 4, 150000, 40000, 0};
    for (int i = 0; i < 2; i++)
        assert_int_equal(tell(f, "w1", 1, 1, &sum, 0, NULL), OK);
    assert_month(f, ANN, 150000, 0);
    assert_int_equal(tell(f, "w1", 2, 1, &sum, 0, NULL), OK);
    assert_month(f, ANN, 300000, 0);
    assert_true(redis_server_number(f->server, "PTTL " A "a:" ANN) > 0);
    set(f, ANN, "usd=0.30/month");
    assert_string_equal(reserve(f, "w1", 1, 1, 1).marks, "b");
    assert_int_equal(redis_server_number(f->server, "PTTL " A "a:" ANN), -1);
}

static void lost_workers(void **state)
{
    struct farm *f = *state;
    set(f, ANN, "usd=1/month");
    reserve(f, "w1", 1, 3, 40000);
    reserve(f, "w2", 1, 1, 40000);
    redis_server_do(f->server, "ZADD " A "leases 1 w1");
    assert_int_equal(keep(f, "w2"),
                     0); // the first look for long: the server may have been away
    redis_server_do(f->server, "HSET " A "cfg hold 1");
    assert_int_equal(keep(f, "w2"), 3);
    assert_int_equal(keep(f, "w2"), 0);
    assert_month(f, ANN, 120000, 40000);
    assert_int_equal(show(f, ANN).of[ACCOUNT_MONTH].unknown_micro, 120000);
    const struct account_end late = {1, 1, 1, 38000, false}; // it comes back: too late
    assert_int_equal(tell(f, "w1", 1, 0, NULL, 1, &late), OK);
    assert_month(f, ANN, 120000, 40000);
    assert_int_equal(problems(f, false), 0);
}

// What a lost worker told may come again, of a reply that was lost.
static void told_again_after_a_reap(void **state)
{
    struct farm *f = *state;
    const struct account_sum sum = {SPAN(ANN), 3, 3, 117000, 0, 0};
    set(f, ANN, "usd=1/month");
    reserve(f, "w1", 1, 1, 40000);
    assert_int_equal(tell(f, "w1", 1, 1, &sum, 0, NULL), OK);
    keep(f, "w2");
    for (int i = 0; i < 3; i++) {
        redis_server_do(f->server, "ZADD " A "leases 1 w1");
        redis_server_do(f->server, "HSET " A "cfg hold 1");
        assert_int_equal(keep(f, "w2"), i == 0); // its number is no call
        assert_int_equal(redis_server_number(f->server, "EXISTS " A "leases"), 0);
        assert_true(redis_server_number(f->server, "PTTL " A "r:w1") > 86000000);
        assert_int_equal(tell(f, "w1", 1, 1, &sum, 0, NULL), OK);
        assert_month(f, ANN, 157000, 0);
    }
    assert_int_equal(keep(f, "w1"), 0); // it was not lost after all: what it reserves stays
    assert_int_equal(redis_server_number(f->server, "PTTL " A "r:w1"), -1);
    assert_int_equal(problems(f, false), 0);
}

static void leave(struct farm *f, const char *inc)
{
    struct answer a = {0};
    await(f, account_leave(conn(f), 5., span_of(inc), on_value, &a), &a);
    assert_int_equal(a.err, OK);
}

static void who_leaves_is_not_lost(void **state)
{
    struct farm *f = *state;
    const struct account_sum sum = {SPAN(ANN), 3, 3, 117000, 0, 0};
    assert_int_equal(tell(f, "w1", 1, 1, &sum, 0, NULL), OK);
    leave(f, "w1");
    assert_int_equal(redis_server_number(f->server, "EXISTS " A "leases"), 0);
    assert_int_equal(tell(f, "w1", 1, 1, &sum, 0, NULL), OK); // a copy of it comes late
    assert_month(f, ANN, 117000, 0);
    set(f, ANN, "usd=1/month");
    reserve(f, "w2", 1, 1, 40000);
    leave(f, "w2"); // with a call under way, it is not gone
    assert_int_equal(redis_server_number(f->server, "ZCARD " A "leases"), 2);
    assert_int_equal(redis_server_number(f->server, "PTTL " A "r:w2"), -1);
    assert_month(f, ANN, 117000, 40000);
    leave(f, "w3"); // of whom nothing is known
}

// A call counts in the day and month it was reserved in; what is over is forgotten.
static void days_end(void **state)
{
    struct farm *f = *state;
    set(f, ANN, "calls=2/day,usd=1/month");
    reserve(f, "w1", 1, 2, 40000);
    redis_server_do(f->server, "HINCRBY " A "a:" ANN " day -1");
    redisReply *r = redis_server_ask(f->server, "HGET " A "r:w1 1");
    char value[256];
    long day, rest;
    assert_int_equal(sscanf(r->str, "%ld %ld", &day, &rest), 2);
    snprintf(value, sizeof value, "%ld%s", day - 1, strchr(r->str, ' '));
    freeReplyObject(r);
    redis_server_do(f->server, "HSET " A "r:w1 1 %s", value);
    assert_string_equal(reserve(f, "w1", 3, 2, 40000).marks, "11"); // a new day
    const struct account_end ends[] = {{1, 1, 1, 38000, false}};
    assert_int_equal(tell(f, "w1", 1, 0, NULL, 1, ends), OK);
    struct account_state s = show(f, ANN);
    assert_int_equal(s.of[ACCOUNT_DAY].used[ACCOUNT_CALLS], 0);
    assert_int_equal(s.of[ACCOUNT_MONTH].used[ACCOUNT_CALLS], 1);
}

static int64_t today(struct farm *f)
{
    return show(f, ANN).of[ACCOUNT_DAY].ends_ms / 86400000 - 1;
}

// What a call took after all counts where its worst did, and never where that is forgotten.
static void corrections_have_a_day(void **state)
{
    struct farm *f = *state;
    int64_t day = today(f);
    set(f, ANN, "usd=1/month");
    struct answer a = reserve(f, "w1", 1, 1, 70000);
    assert_int_equal(a.day, day);
    char before[64];
    snprintf(before, sizeof before, "%lld 1 70000 " ANN " " RED, (long long)day - 1);
    redis_server_do(f->server, "HSET " A "r:w1 2 %s", before);
    a = reserve(f, "w1", 1, 2, 70000); // one of them before midnight; the answer was lost
    assert_string_equal(a.marks, "11");
    assert_int_equal(a.day, day - 1);
    const struct account_end begun[] = {{1, 1, 1, 0, true}, {2, 1, 1, 0, true}};
    assert_int_equal(tell(f, "w1", 1, 0, NULL, 2, begun), OK);
    assert_int_equal(show(f, ANN).of[ACCOUNT_DAY].used[ACCOUNT_USD], 70000);
    struct account_sum sum = {SPAN(ANN), 0, 0, -35000, -70000, day - 31};
    assert_int_equal(tell(f, "w1", 2, 1, &sum, 0, NULL), OK);
    assert_int_equal(show(f, ANN).of[ACCOUNT_DAY].used[ACCOUNT_USD], 70000);
    assert_month(f, ANN, 70000, 0);
    sum.day = day;
    assert_int_equal(tell(f, "w1", 3, 1, &sum, 0, NULL), OK);
    assert_int_equal(show(f, ANN).of[ACCOUNT_DAY].used[ACCOUNT_USD], 35000);
    assert_month(f, ANN, 35000, 0);
}

// A batch that ends after midnight is put right in the month, where it was made in that.
static void yesterday_is_of_this_month(void **state)
{
    struct farm *f = *state;
    int64_t day = today(f);
    struct account_sum sum = {SPAN(ANN), 1, 1, 70000, 70000, 0};
    assert_int_equal(tell(f, "w1", 1, 1, &sum, 0, NULL), OK);
    sum = (struct account_sum){SPAN(ANN), 0, 0, -35000, -70000, day - 1};
    assert_int_equal(tell(f, "w1", 2, 1, &sum, 0, NULL), OK);
    assert_int_equal(show(f, ANN).of[ACCOUNT_DAY].used[ACCOUNT_USD], 70000);
    time_t now = (time_t)(day * 86400);
    struct tm utc;
    gmtime_r(&now, &utc);
    assert_month(f, ANN, utc.tm_mday > 1 ? 35000 : 70000, 0);
}

static void memory_is_full(void **state)
{
    struct farm *f = *state;
    set(f, ANN, "usd=1/month");
    reserve(f, "w1", 1, 2, 40000);
    redis_server_do(f->server, "CONFIG SET maxmemory 1");
    assert_int_equal(reserve(f, "w1", 3, 1, 40000).err, ERR_FULL);
    const struct account_end ends[] = {{1, 1, 1, 38000, false}, {2, 1, 1, 38000, false}};
    assert_int_equal(tell(f, "w1", 1, 0, NULL, 2, ends), OK);
    assert_int_equal(keep(f, "w1"), 0);
    assert_month(f, ANN, 76000, 0);
}

static void check_mends(void **state)
{
    struct farm *f = *state;
    set(f, ANN, "usd=1/month");
    reserve(f, "w1", 1, 2, 40000);
    assert_int_equal(problems(f, false), 0);
    redis_server_do(f->server, "HINCRBY " A "a:" ANN " mru 5");
    assert_int_equal(problems(f, false), 1);
    assert_int_equal(problems(f, true), 1);
    assert_int_equal(problems(f, false), 0);
    assert_month(f, ANN, 0, 80000);
}

static void words(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "usd",
                                      "usd=1",
                                      "usd=1/week",
                                      "usd=-1/day",
                                      "usd=1e3/day",
                                      "cents=1/day",
                                      "calls=1.5/day",
                                      "usd=1/day,",
                                      "usd=1/day,usd=1/day"};
    struct buf out = {.max = 256}, why = {.max = 256}, shown = {.max = 256};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(account_spec(span_of(bad[i]), &out, &why), ERR_FORMAT);
    buf_clear(&out);
    assert_int_equal(account_spec(SPAN("usd=25/month, images=1000/day"), &out, &why), OK);
    assert_string_equal(buf_str(&out), "usd=25000000/month,images=1000/day");
    account_show_spec(&shown, buf_span(&out));
    assert_string_equal(buf_str(&shown), "usd=25.00/month,images=1000/day");
    assert_true(account_name_ok(SPAN(ANN)) && account_name_ok(SPAN(RED)));
    assert_false(account_name_ok(SPAN("user:")) || account_name_ok(SPAN("ann")) ||
                 account_name_ok(SPAN("user:a b")));
    buf_free(&out);
    buf_free(&why);
    buf_free(&shown);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(nothing_limits),
        T(never_above),
        T(the_project_counts_too),
        T(not_sent_takes_nothing),
        T(sums_count_once),
        T(lost_workers),
        T(told_again_after_a_reap),
        T(who_leaves_is_not_lost),
        T(days_end),
        T(corrections_have_a_day),
        T(yesterday_is_of_this_month),
        T(memory_is_full),
        T(check_mends),
        T(words),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
