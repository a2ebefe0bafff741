// test_images.c - images that wait in Redis to be fetched: how long, within which bytes, and
// that nothing is removed of a batch that has not ended.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "broker/blob.h"
#include "broker/check.h"
#include "farm.h"
#include "test.h"

#define NONCE SPAN("0123456789abcdef") // farm_create()'s
#define WEEK  (7 * 86400000ll)
#define MUCH  (1ll << 50)

static int64_t number(struct farm *f, const char *command)
{
    return redis_server_number(f->server, command);
}

static void told_record(void *ctx, enum err e, struct span record)
{
    told_value(ctx, e, (int64_t)record.len);
}

// As a worker does. The record is of the batch whose nonce is in it.
static struct told store_as(struct farm *f, const char *name, int64_t bytes, struct span record)
{
    const struct span temp = SPAN("t/1/0");
    struct told t = {0};
    enum err e = blob_push(f->queue, temp, SPAN("bytes"), told_value, &t);
    assert_int_equal(farm_wait(f, e, &t).err, OK);
    t = (struct told){0};
    e = blob_keep(f->queue, span_of(name), record, bytes, 0, 1, &temp, told_record, &t);
    return farm_wait(f, e, &t);
}

static void store(struct farm *f, const char *name, int64_t bytes)
{
    struct told t = store_as(f, name, bytes, NONCE);
    assert_int_equal(t.err, OK);
    assert_int_equal(t.value, 0);
}

static int64_t fetch(struct farm *f, const char *name)
{
    struct told t = {0};
    return farm_wait(f, blob_drop(f->queue, span_of(name), told_value, &t), &t).value;
}

static bool is_there(struct farm *f, const char *name)
{
    char command[128];
    snprintf(command, sizeof command, "EXISTS " FARM_PREFIX "o:%s " FARM_PREFIX "o:%s/0", name,
             name);
    int64_t n = number(f, command);
    assert_true(n == 0 || n == 2);
    return n == 2;
}

static void will_stay(struct farm *f, const char *name)
{
    char command[128];
    for (int i = 0; i < 2; i++) {
        snprintf(command, sizeof command, "PTTL " FARM_PREFIX "o:%s%s", name, i ? "/0" : "");
        assert_int_equal(number(f, command), -1);
    }
}

struct stock {
    struct told told;
    struct blob_stock s;
    char batch[JOB_MAX_NAME + 1];
};

static void on_stock(void *ctx, enum err e, const struct blob_stock *s)
{
    struct stock *to = ctx;
    to->s = *s;
    snprintf(to->batch, sizeof to->batch, "%.*s", (int)s->batch.len, s->batch.ptr);
    told_value(&to->told, e, 0);
}

static struct stock trim(struct farm *f, int64_t keep_ms, int64_t most_ended,
                         int64_t most_stored, int64_t calm_ms)
{
    struct stock s = {0};
    const struct blob_bounds b = {keep_ms, most_ended, most_stored, calm_ms};
    enum err e = blob_trim(f->queue, &b, on_stock, &s);
    assert_int_equal(farm_wait(f, e, &s.told).err, OK);
    return s;
}

static void submit(struct farm *f, const char *batch, uint32_t n)
{
    farm_submit(f, batch, "ann", NULL, n);
}

static void end(struct farm *f)
{
    struct hand h = farm_hand(f, "w1");
    assert_true(farm_work_off(f, &h) > 0);
    assert_int_equal(farm_leave(f, &h).err, OK);
}

// As if it had ended so long ago.
static void ended_before(struct farm *f, const char *batch, int64_t ms)
{
    redis_server_do(f->server, "ZINCRBY " FARM_PREFIX "images %lld %s", (long long)-ms, batch);
}

static void on_problems(void *ctx, enum err e, uint64_t next, const struct check_problem *p,
                        size_t n)
{
    for (size_t i = 0; e == OK && i < n; i++)
        print_message("%.*s\n", (int)p[i].text.len, p[i].text.ptr);
    (void)next;
    told_value(ctx, e, (int64_t)n);
}

struct counts {
    struct told told;
    struct check_count wrong[2];
    char names[2][16];
};

static void on_counts(void *ctx, enum err e, uint64_t next, const struct check_count *c,
                      size_t n)
{
    struct counts *to = ctx;
    int64_t wrong = 0;
    assert_int_equal(next, 0);
    assert_int_equal(n, 2);
    for (size_t i = 0; e == OK && i < n; i++)
        if (c[i].is != c[i].told) {
            to->wrong[wrong] = c[i];
            snprintf(to->names[wrong], 16, "%.*s", (int)c[i].name.len, c[i].name.ptr);
            to->wrong[wrong].name = span_of(to->names[wrong]);
            wrong++;
        }
    told_value(&to->told, e, wrong);
}

static int64_t wrong_counts(struct farm *f, bool mend)
{
    struct counts c = {0};
    enum err e = check_counts(f->queue, CHECK_IMAGES, CHECK_FIRST, 0, NULL, on_counts, &c);
    int64_t n = farm_wait(f, e, &c.told).value;
    for (int64_t i = 0; mend && i < n; i++) {
        struct told t = {0};
        e = check_set_count(f->queue, &c.wrong[i], told_value, &t);
        assert_int_equal(farm_wait(f, e, &t).err, OK);
    }
    return n;
}

// How many problems fsck finds.
static int64_t problems(struct farm *f, const char *batch, bool mend)
{
    struct told t = {0};
    int64_t n = farm_wait(f, check_keys(f->queue, 0, mend, on_problems, &t), &t).value;
    t = (struct told){0};
    n += farm_wait(f, check_batch(f->queue, span_of(batch), mend, on_problems, &t), &t).value;
    return n + wrong_counts(f, mend);
}

static void check(struct farm *f, const char *batch)
{
    audit(f->server);
    assert_int_equal(problems(f, batch, false), 0);
}

// --- Tests -----------------------------------------------------------------------------------

static void nothing_goes_before_the_end(void **state)
{
    struct farm *f = *state;
    submit(f, "b", 2);
    store(f, "b/0", 100);
    will_stay(f, "b/0");
    struct stock s = trim(f, 0, 0, 0, 0); // no time, no bytes
    assert_int_equal(s.s.stored, 100);
    assert_int_equal(s.s.ended, 0);
    assert_int_equal(s.s.jobs, 0);
    farm_tick_all(f);
    assert_true(is_there(f, "b/0"));
    check(f, "b");
    end(f);
    s = trim(f, WEEK, MUCH, -1, 0);
    assert_int_equal(s.s.ended, 100);
    assert_int_equal(s.s.jobs, 0);
    will_stay(f, "b/0");
    check(f, "b");
    s = trim(f, 0, MUCH, -1, MUCH); // its time is over, however calm
    assert_int_equal(s.s.jobs, 1);
    assert_int_equal(s.s.bytes, 100);
    assert_string_equal(s.batch, "b");
    assert_false(is_there(f, "b/0"));
    assert_int_equal(trim(f, 0, 0, 0, 0).s.stored, 0);
    assert_int_equal(farm_status(f, "b").b.images_gone, 1);
    check(f, "b");
}

static void the_life_begins_at_the_end(void **state)
{
    struct farm *f = *state;
    submit(f, "old", 1);
    store(f, "old/0", 1);
    end(f);
    submit(f, "new", 1);
    store(f, "new/0", 2);
    end(f);
    ended_before(f, "old", WEEK);
    assert_int_equal(trim(f, WEEK, MUCH, -1, 0).s.jobs, 1);
    assert_int_equal(trim(f, WEEK, MUCH, -1, 0).s.jobs, 0);
    assert_false(is_there(f, "old/0"));
    assert_true(is_there(f, "new/0"));
    ended_before(f, "new", WEEK - 60000);
    assert_int_equal(trim(f, WEEK, MUCH, -1, 0).s.jobs, 0);
}

// For bytes, the oldest go first, and only what is too much; of those that nobody is fetching.
static void bytes_of_ended_batches(void **state)
{
    struct farm *f = *state;
    char name[16];
    static const char *const batches[] = {"one", "two", "run"};
    for (int b = 0; b < 3; b++) {
        submit(f, batches[b], 5);
        for (int i = 0; i < 4; i++) {
            snprintf(name, sizeof name, "%s/%d", batches[b], i);
            store(f, name, 100);
        }
        if (b < 2)
            end(f);
    }
    ended_before(f, "one", 1000000);
    ended_before(f, "two", 500000);
    assert_int_equal(trim(f, WEEK, 800, -1, 0).s.jobs, 0);    // within
    assert_int_equal(trim(f, WEEK, 500, -1, MUCH).s.jobs, 0); // they may be being fetched
    struct stock s = trim(f, WEEK, 500, -1, 400000);
    assert_string_equal(s.batch, "one");
    assert_int_equal(s.s.jobs, 3);
    assert_int_equal(s.s.stored, 900);
    assert_int_equal(s.s.ended, 500);
    assert_int_equal(farm_status(f, "one").b.images_gone, 3);
    check(f, "one");
    // Calls wait for room: what is left of it, then the next; never what has not ended.
    s = trim(f, WEEK, MUCH, 750, 0);
    assert_string_equal(s.batch, "one");
    assert_int_equal(s.s.bytes, 100);
    s = trim(f, WEEK, MUCH, 0, 0);
    assert_string_equal(s.batch, "two");
    assert_int_equal(s.s.bytes, 400);
    s = trim(f, WEEK, MUCH, 0, 0);
    assert_int_equal(s.s.jobs, 0);
    assert_int_equal(s.s.stored, 400);
    assert_int_equal(s.s.ended, 0);
    check(f, "run");
}

// A client that comes late, but comes, is left alone.
static void what_is_being_fetched_stays(void **state)
{
    struct farm *f = *state;
    submit(f, "b", 2);
    store(f, "b/0", 100);
    store(f, "b/1", 100);
    end(f);
    ended_before(f, "b", 1000000);
    assert_int_equal(fetch(f, "b/0"), 1);
    assert_int_equal(fetch(f, "b/0"), 0);
    assert_int_equal(trim(f, WEEK, 0, 0, 60000).s.jobs, 0);
    assert_int_equal(trim(f, WEEK, 0, 0, 60000).s.ended, 100);
    assert_int_equal(fetch(f, "b/1"), 1);
    assert_int_equal(trim(f, WEEK, 0, 0, 0).s.stored, 0);
    assert_int_equal(
        number(f, "EXISTS " FARM_PREFIX "im:b " FARM_PREFIX "images " FARM_PREFIX "kept"), 0);
    check(f, "b");
}

static void opened_again_it_is_unfinished(void **state)
{
    struct farm *f = *state;
    submit(f, "b", 2);
    store(f, "b/0", 100);
    store(f, "b/1", 100);
    end(f);
    ended_before(f, "b", WEEK);
    assert_int_equal(farm_retry(f, "b", 2, 1, (const uint32_t[]){1}).err, OK);
    struct stock s = trim(f, 0, 0, 0, 0);
    assert_int_equal(s.s.jobs, 0);
    assert_int_equal(s.s.ended, 0);
    check(f, "b");
    end(f);
    assert_int_equal(trim(f, WEEK, MUCH, -1, 0).s.ended, 200);
    assert_int_equal(trim(f, WEEK, MUCH, -1, 0).s.jobs, 0); // from this end on
    check(f, "b");
}

// A call that ends after its batch has.
static void stored_after_the_end(void **state)
{
    struct farm *f = *state;
    submit(f, "b", 1);
    end(f);
    store(f, "b/0", 100);
    assert_int_equal(trim(f, WEEK, MUCH, -1, 0).s.ended, 100);
    store_as(f, "b/0", 100, NONCE); // again: the first stays
    assert_int_equal(trim(f, WEEK, MUCH, -1, 0).s.stored, 100);
    check(f, "b");
    redis_server_do(f->server, "ZADD " FARM_PREFIX "expiring 1 b");
    farm_tick_all(f);
    assert_false(is_there(f, "b/0"));
    store(f, "b/0", 100); // nobody could ask for it
    assert_int_equal(
        number(f, "EXISTS " FARM_PREFIX "o:b/0 " FARM_PREFIX "im:b " FARM_PREFIX "o:t/1/0"), 0);
    check(f, "b");
}

// All of a batch that has expired goes, a part at a time.
static void with_its_batch(void **state)
{
    struct farm *f = *state;
    char name[16];
    submit(f, "b", 250);
    for (int i = 0; i < 250; i++) {
        snprintf(name, sizeof name, "b/%d", i);
        store(f, name, 10);
    }
    end(f);
    redis_server_do(f->server, "ZADD " FARM_PREFIX "expiring 1 b");
    assert_int_equal(farm_tick(f).err, OK);
    assert_int_equal(number(f, "GET " FARM_PREFIX "stored"), 1500);
    farm_tick_all(f);
    assert_int_equal(trim(f, WEEK, MUCH, -1, 0).s.stored, 0);
    assert_int_equal(number(f, "EXISTS " FARM_PREFIX "images " FARM_PREFIX "kept"), 0);
    check(f, "b");
}

// Between a batch's end and its removal another one may take its name: it is not removed, nor
// are the old one's images taken for its own.
static void a_name_that_is_used_again(void **state)
{
    struct farm *f = *state;
    submit(f, "b", 1);
    assert_int_equal(store_as(f, "b/0", 100, SPAN("its 0123456789abcdef")).value, 0);
    end(f);
    redis_server_do(f->server, "ZADD " FARM_PREFIX "expiring 1 b");
    redis_server_do(f->server, "DEL %sb:b %sin:b %sst:b %sev:b %sls:b", FARM_PREFIX,
                    FARM_PREFIX, FARM_PREFIX, FARM_PREFIX, FARM_PREFIX);
    submit(f, "b", 1);
    redis_server_do(f->server, "HSET " FARM_PREFIX "b:b nonce fedcba9876543210");
    farm_tick_all(f);
    assert_int_equal(farm_status(f, "b").err, OK);
    assert_int_equal(trim(f, 0, 0, 0, 0).s.jobs, 0);
    assert_int_equal(store_as(f, "b/0", 30, SPAN("its fedcba9876543210")).value, 0); // ours
    assert_int_equal(trim(f, 0, 0, 0, 0).s.stored, 30);
    check(f, "b");
}

static void over_memory(void **state)
{
    struct farm *f = *state;
    submit(f, "b", 2);
    store(f, "b/0", 100);
    store(f, "b/1", 100);
    struct hand h = farm_hand(f, "w1");
    struct claims *c = farm_claim(f, &h, 2);
    assert_string_equal(farm_sent(f, &h, 2, c->jobs).text, "11");
    redis_server_do(f->server, "CONFIG SET maxmemory 1");
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 2, c->jobs).text, "11");
    free(c);
    assert_int_equal(fetch(f, "b/0"), 1);
    assert_int_equal(trim(f, 0, 0, 0, 0).s.jobs, 1); // which make room
    assert_int_equal(trim(f, 0, 0, 0, 0).s.stored, 0);
    redis_server_do(f->server, "CONFIG SET maxmemory 0");
    check(f, "b");
}

static void fsck_knows(void **state)
{
#define DO(command, arguments) "redis.call('" command "', '" FARM_PREFIX "' .. " arguments ")"
    static const char *const damage[] = {
        DO("INCRBY", "'stored', 7"),
        DO("SET", "'kept', 7"),
        DO("ZREM", "'images', 'b'"),
        DO("ZADD", "'images', 5, 'run'"),
        DO("ZADD", "'images', 'inf', 'b'"),
        DO("HINCRBY", "'im:b', 'bytes', 1"),
        DO("HSET", "'im:gone', 1, '5 1', 'bytes', 5, 'fetched', 0"),
        DO("SET", "'o:b/7', 'record'"),
    };
#undef DO
    struct farm *f = *state;
    submit(f, "b", 1);
    store(f, "b/0", 100);
    end(f);
    submit(f, "run", 1);
    store(f, "run/0", 10);
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        check(f, "b");
        check(f, "run");
        redis_server_do(f->server, "EVAL %s 0", damage[i]);
        assert_true(problems(f, "b", false) + problems(f, "run", false) > 0);
        for (int n = 0; n < 3; n++) // what one mends may show another
            problems(f, "b", true), problems(f, "run", true);
        farm_tick_all(f);
    }
    check(f, "b");
    assert_true(is_there(f, "b/0") && is_there(f, "run/0"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(nothing_goes_before_the_end),
        T(the_life_begins_at_the_end),
        T(bytes_of_ended_batches),
        T(what_is_being_fetched_stays),
        T(opened_again_it_is_unfinished),
        T(stored_after_the_end),
        T(with_its_batch),
        T(a_name_that_is_used_again),
        T(over_memory),
        T(fsck_knows),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
