// test_queue_lead.c - identical requests: who makes the call, who waits for it, and what
// becomes of those when it ends, in whatever way.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "broker/blob.h"
#include "farm.h"
#include "test.h"

#define MOST  64
#define DAY   86400000
#define INPUT 4000000000u

struct answers {
    bool done;
    enum err err;
    size_t n;
    char roles[MOST + 1];
    char batch[MOST][JOB_MAX_NAME + 1];
    uint32_t index[MOST], input[MOST];
    enum code refusal[MOST];
    struct told told;
};

static void told_answers(void *ctx, enum err e, const struct queue_answer *a, size_t n)
{
    struct answers *to = ctx;
    to->err = e;
    to->n = n;
    for (size_t i = 0; i < n; i++) {
        struct event ev;
        to->roles[i] = (char)a[i].role;
        to->index[i] = a[i].index;
        to->input[i] = a[i].input;
        snprintf(to->batch[i], sizeof *to->batch, "%.*s", (int)a[i].batch.len,
                 a[i].batch.len ? a[i].batch.ptr : "");
        if (a[i].event.len && event_decode(&ev, a[i].event) == OK)
            to->refusal[i] = ev.code;
    }
    told_value(&to->told, e, 0);
}

static struct answers ask_as(struct farm *f, const struct hand *h, uint64_t number, size_t n,
                             const struct held *jobs, const char *digests, const char *gone)
{
    struct answers a = {0};
    struct queue_asked asked[MOST];
    assert_true(n <= MOST);
    for (size_t i = 0; i < n; i++)
        asked[i] = (struct queue_asked){.field = jobs[i].field,
                                        .digest = {&digests[i], 1},
                                        .within_ms = DAY,
                                        .input = INPUT,
                                        .gone = span_of(gone)};
    enum err e = queue_lead(f->queue, span_of(h->inc), number, n, asked, told_answers, &a);
    farm_wait(f, e, &a.told);
    return a;
}

// Each job asks for the request that a letter of `digests` names.
static struct answers ask(struct farm *f, struct hand *h, size_t n, const struct held *jobs,
                          const char *digests)
{
    return ask_as(f, h, ++h->mark, n, jobs, digests, "");
}

static struct claims *claim_ok(struct farm *f, struct hand *h, unsigned want)
{
    struct claims *c = farm_claim(f, h, want);
    assert_int_equal(c->err, OK);
    assert_int_equal(c->n, want);
    return c;
}

static size_t claimed(struct farm *f, struct hand *h, unsigned want)
{
    struct claims *c = farm_claim(f, h, want);
    size_t n = c->n;
    free(c);
    return n;
}

static long long number(struct farm *f, const char *command)
{
    return redis_server_number(f->server, command);
}

static long long eval(struct farm *f, const char *script)
{
    return redis_server_number(f->server, "EVAL %s 0", script);
}

// What a queue is left with when nothing is asked for any more.
static void check(struct farm *f)
{
    audit(f->server);
    assert_int_equal(eval(f, "for _, k in ipairs(redis.call('KEYS', '*:d[dw]:*')) do "
                             "if redis.call('PTTL', k) < 0 then return 1 end end return 0"),
                     0);
}

// A leader, job 0, and three that follow it.
static struct claims *four(struct farm *f, struct hand *h)
{
    farm_submit(f, "b", "ann", NULL, 4);
    struct claims *c = claim_ok(f, h, 4);
    struct answers a = ask(f, h, 4, c->jobs, "xxxx");
    assert_int_equal(a.err, OK);
    assert_string_equal(a.roles, "lppp");
    audit(f->server);
    assert_int_equal(number(f, "ZCARD " FARM_PREFIX "d:b"), 3);
    return c;
}

// The followers are ready again, and ask; returns what they are answered.
static struct answers followers_ask(struct farm *f, struct hand *h)
{
    audit(f->server);
    struct claims *c = claim_ok(f, h, 3);
    struct answers a = ask(f, h, 3, c->jobs, "xxx");
    assert_int_equal(a.err, OK);
    audit(f->server);
    free(c);
    return a;
}

static void one_leads_the_others_follow(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1"), g = farm_hand(f, "w2");
    farm_submit(f, "b", "ann", NULL, 5);
    farm_submit(f, "c", "bob", NULL, 3);
    struct claims *c = claim_ok(f, &h, 8);
    assert_string_equal(ask(f, &h, 8, c->jobs, "xyxyxzxx").roles, "llpppl"
                                                                  "pp");
    assert_int_equal(claimed(f, &g, 5), 0);
    assert_int_equal(number(f, "HLEN " FARM_PREFIX "a:w1"), 3);
    assert_int_equal(number(f, "HLEN " FARM_PREFIX "dl:w1"), 3);
    check(f);
    free(c);
}

static void what_was_done_is_shared(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct claims *c = four(f, &h);
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs).text, "1");
    struct answers a = followers_ask(f, &h);
    assert_string_equal(a.roles, "ddd");
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(a.batch[i], "b");
        assert_int_equal(a.index[i], 0);
        assert_int_equal(a.input[i], INPUT);
    }
    farm_submit(f, "late", "bob", NULL, 1);
    struct claims *d = claim_ok(f, &h, 1);
    assert_string_equal(ask(f, &h, 1, d->jobs, "x").roles, "d");
    check(f);
    free(c), free(d);
}

static void a_time_that_is_over(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct claims *c = four(f, &h);
    farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs);
    assert_true(number(f, "PTTL " FARM_PREFIX "dd:x") <= DAY);
    redis_server_do(f->server, "HSET " FARM_PREFIX "dd:x ts 5");
    assert_string_equal(followers_ask(f, &h).roles, "lpp");
    check(f);
    free(c);
}

// Whoever could not have the image leads; what another one asks for meanwhile waits.
static void an_image_that_is_gone(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct claims *c = four(f, &h);
    farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs);
    struct claims *d = claim_ok(f, &h, 3);
    assert_string_equal(ask(f, &h, 3, d->jobs, "xxx").roles, "ddd");
    assert_string_equal(ask_as(f, &h, ++h.mark, 2, d->jobs, "xx", "b/0").roles, "lp");
    assert_string_equal(ask(f, &h, 1, d->jobs + 2, "x").roles, "p");
    farm_settle(f, &h, QUEUE_COMPLETED, 1, d->jobs);
    struct claims *e = claim_ok(f, &h, 2);
    struct answers a = ask_as(f, &h, ++h.mark, 2, e->jobs, "xx", "b/0");
    assert_string_equal(a.roles, "dd"); // of who led last
    assert_int_equal(a.index[0], d->jobs[0].ticket.index);
    check(f);
    free(c), free(d), free(e);
}

static void a_refusal_is_shared(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct claims *c = four(f, &h);
    assert_string_equal(farm_settle(f, &h, QUEUE_REFUSED, 1, c->jobs).text, "1");
    assert_int_equal(farm_status(f, "b").b.failed, 1);
    struct answers a = followers_ask(f, &h);
    assert_string_equal(a.roles, "rrr");
    assert_int_equal(a.refusal[2], CODE_SAFETY);
    assert_string_equal(a.batch[2], "b");
    const uint32_t first = 0;
    redis_server_do(f->server, "HSET " FARM_PREFIX "dd:x ts 5"); // it was some time ago
    assert_int_equal(farm_retry(f, "b", 2, 1, &first).value, 1);
    struct claims *d = claim_ok(f, &h, 1);
    eval(f, "local t = redis.call('HGET', 'genfarm:{q}:b:b', 'reopened_at') "
            "redis.call('HSET', 'genfarm:{q}:dd:x', 'ts', t - 1)");
    assert_string_equal(ask(f, &h, 1, d->jobs, "x").roles,
                        "l"); // who opens it again wants a call
    check(f);
    free(c), free(d);
}

static void a_leader_that_leaves_is_followed(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct claims *c = four(f, &h);
    assert_string_equal(farm_settle(f, &h, QUEUE_FAILED, 1, c->jobs).text, "1");
    struct claims *d = claim_ok(f, &h, 3);
    assert_string_equal(ask(f, &h, 3, d->jobs, "xxx").roles, "lpp");
    farm_requeue(f, &h, DAY, 1, d->jobs);
    struct claims *e = claim_ok(f, &h, 2);
    assert_string_equal(ask(f, &h, 2, e->jobs, "xx").roles, "lp");
    farm_settle(f, &h, QUEUE_CANCELLED, 1, e->jobs);
    struct claims *g = claim_ok(f, &h, 1);
    assert_string_equal(ask(f, &h, 1, g->jobs, "x").roles, "l");
    farm_settle(f, &h, QUEUE_FAILED, 1, g->jobs);
    assert_int_equal(number(f, "EXISTS " FARM_PREFIX "dd:x"), 0);
    assert_int_equal(number(f, "EXISTS " FARM_PREFIX "dl:w1"), 0);
    check(f);
    free(c), free(d), free(e), free(g);
}

static void who_waits_for_a_next_try_leads_still(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct claims *c = four(f, &h);
    assert_string_equal(farm_sent(f, &h, 1, c->jobs).text, "1");
    assert_string_equal(farm_settle(f, &h, QUEUE_NOTE, 1, c->jobs).text, "1");
    assert_int_equal(claimed(f, &h, 3), 0);
    farm_submit(f, "c", "bob", NULL, 1);
    struct claims *d = claim_ok(f, &h, 1);
    assert_string_equal(ask(f, &h, 1, d->jobs, "x").roles, "p");
    check(f);
    free(c), free(d);
}

// It may have stored its image, though nobody told of it: the next one looks there first.
static void a_lost_leader(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1"), g = farm_hand(f, "w2");
    struct claims *c = four(f, &h);
    assert_string_equal(farm_sent(f, &h, 1, c->jobs).text, "1");
    farm_expire(f, &h);
    farm_tick_all(f);
    audit(f->server);
    struct claims *d = claim_ok(f, &g, 4);
    assert_int_equal(d->jobs[0].ticket.lost + d->jobs[1].ticket.lost + d->jobs[2].ticket.lost +
                         d->jobs[3].ticket.lost,
                     1);
    size_t other = d->jobs[0].ticket.lost ? 1 : 0; // not the lost one itself
    struct answers a = ask(f, &g, 1, &d->jobs[other], "x");
    assert_string_equal(a.roles, "L");
    assert_int_equal(a.index[0], 0);
    assert_string_equal(a.batch[0], "b");
    check(f);
    free(c), free(d);
}

static void a_leader_that_is_handed_back(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct claims *c = four(f, &h);
    struct told t = {0};
    enum err e = queue_handback(f->queue, span_of(h.inc), 1, &c->jobs[0].field, told_value, &t);
    assert_int_equal(farm_wait(f, e, &t).value, 1);
    audit(f->server);
    assert_int_equal(number(f, "EXISTS " FARM_PREFIX "dl:w1"), 0);
    struct claims *d = claim_ok(f, &h, 4);
    assert_int_equal(strcspn(ask(f, &h, 4, d->jobs, "xxxx").roles, "p"), 1);
    check(f);
    free(c), free(d);
}

// A cancelled job that asks to be marked as sent goes, and with it the lead.
static void a_leader_that_is_cancelled_before_it_is_sent(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    const uint32_t first = 0;
    struct claims *c = four(f, &h);
    assert_int_equal(farm_cancel(f, "b", 1, &first).value, 1);
    assert_string_equal(farm_sent(f, &h, 1, c->jobs).text, "0");
    assert_string_equal(followers_ask(f, &h).roles, "lpp");
    check(f);
    free(c);
}

// An image that was stored for a job that was cancelled meanwhile is an image.
static void a_leader_that_ends_after_it_was_cancelled(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    const uint32_t first = 0;
    struct claims *c = four(f, &h);
    assert_string_equal(farm_sent(f, &h, 1, c->jobs).text, "1");
    assert_int_equal(farm_cancel(f, "b", 1, &first).value, 1);
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs).text, "d");
    assert_string_equal(followers_ask(f, &h).roles, "ddd");
    check(f);
    free(c);
}

static void asking_twice(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct claims *c = four(f, &h);
    struct answers a = ask_as(f, &h, h.mark, 4, c->jobs, "xxxx", "");
    assert_string_equal(a.roles, "l000"); // who follows has left
    audit(f->server);
    a = ask_as(f, &h, h.mark - 1, 4, c->jobs, "xxxx", "");
    assert_int_equal(a.err, OK);
    assert_int_equal(a.n, 0); // answered long ago
    assert_int_equal(number(f, "SCARD " FARM_PREFIX "dw:x"), 3);
    farm_expire(f, &h);
    assert_int_equal(ask(f, &h, 1, c->jobs, "x").err, ERR_LOST);
    check(f);
    free(c);
}

static void followers_of_what_is_over_or_held_back(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 1);
    farm_submit(f, "held", "ann", NULL, 1);
    farm_submit(f, "over", "ann", NULL, 2);
    farm_submit(f, "gone", "ann", NULL, 1);
    struct claims *c = claim_ok(f, &h, 5);
    struct answers a = {0};
    size_t leader = 0;
    for (size_t i = 0; i < 5; i++)
        leader = strcmp(c->jobs[i].batch, "b") == 0 ? i : leader;
    ask(f, &h, 1, &c->jobs[leader], "x");
    for (size_t i = 0; i < 5; i++)
        if (i != leader)
            a = ask(f, &h, 1, &c->jobs[i], "x");
    assert_string_equal(a.roles, "p");
    farm_pause(f, "held", true);
    farm_cancel(f, "over", 0, NULL);
    eval(f, "local P = 'genfarm:{q}:' redis.call('LPOP', P .. 'live') "
            "local n = redis.call('HGET', P .. 'b:gone', 'in_bytes') "
            "redis.call('DECRBY', P .. 'queued', n) redis.call('ZREM', P .. 'batches', 'gone') "
            "redis.call('ZREM', P .. 'delayed', 'gone') "
            "for _, k in ipairs({'b:', 'in:', 'ls:', 'ev:', 'st:', 'd:'}) do "
            "redis.call('DEL', P .. k .. 'gone') end");
    farm_settle(f, &h, QUEUE_COMPLETED, 1, &c->jobs[leader]);
    check(f);
    assert_int_equal(claimed(f, &h, 5), 0);
    farm_pause(f, "held", false);
    assert_int_equal(claimed(f, &h, 5), 1);
    check(f);
    free(c);
}

// More than one call may wake: the rest are woken by ticks.
static void many_followers_are_woken_in_pieces(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 2501);
    struct claims *c = claim_ok(f, &h, 1);
    assert_string_equal(ask(f, &h, 1, c->jobs, "x").roles, "l");
    for (unsigned left = 2500; left > 0; left -= 50) {
        struct claims *d = claim_ok(f, &h, 50);
        char all[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
        assert_int_equal(strspn(ask(f, &h, 50, d->jobs, all).roles, "p"), 50);
        free(d);
    }
    farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs);
    assert_int_equal(number(f, "ZCARD " FARM_PREFIX "d:b"), 1500);
    audit(f->server);
    farm_tick_all(f);
    assert_int_equal(number(f, "ZCARD " FARM_PREFIX "d:b"), 0);
    assert_int_equal(number(f, "EXISTS " FARM_PREFIX "wakes"), 0);
    check(f);
    free(c);
}

static void when_memory_is_full(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct claims *c = four(f, &h);
    farm_submit(f, "c", "bob", NULL, 1);
    struct claims *d = claim_ok(f, &h, 1);
    redis_server_do(f->server, "CONFIG SET maxmemory 1");
    assert_int_equal(ask(f, &h, 1, d->jobs, "y").err, ERR_FULL);
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs).text, "1");
    redis_server_do(f->server, "CONFIG SET maxmemory 0");
    assert_string_equal(followers_ask(f, &h).roles, "ddd");
    check(f);
    free(c), free(d);
}

// --- Images that were fetched, and are kept for identical requests ---

static void told_blob(void *ctx, enum err e, struct span record)
{
    told_value(ctx, e, (int64_t)record.len);
}

static void keep(struct farm *f, const char *name, int64_t bytes, int64_t spare_s)
{
    const struct span temp = SPAN("t/1");
    struct told t = {0};
    enum err e = blob_push(f->queue, temp, SPAN("bytes"), told_value, &t);
    assert_int_equal(farm_wait(f, e, &t).err, OK);
    t = (struct told){0};
    e = blob_keep(f->queue, span_of(name), SPAN("0123456789abcdef"), bytes, spare_s, 1, &temp,
                  told_blob, &t); // the batch's nonce is in the record
    assert_int_equal(farm_wait(f, e, &t).err, OK);
}

static int64_t drop(struct farm *f, const char *name)
{
    struct told t = {0};
    return farm_wait(f, blob_drop(f->queue, span_of(name), told_value, &t), &t).value;
}

static struct told copy_of(struct farm *f, const char *name)
{
    struct told t = {0};
    enum err e = blob_copy(f->queue, span_of(name), 0, SPAN("t/2"), told_value, &t);
    return farm_wait(f, e, &t);
}

static void a_spare_outlives_its_fetching(void **state)
{
    struct farm *f = *state;
    farm_create(f, "b", "ann");
    keep(f, "b/0", 100, 0);
    keep(f, "b/1", 200, 60);
    assert_int_equal(number(f, "GET " FARM_PREFIX "stored"), 300);
    assert_int_equal(drop(f, "b/0"), 1);
    assert_int_equal(drop(f, "b/1"), 1);
    assert_int_equal(drop(f, "b/1"), 0);
    assert_int_equal(number(f, "GET " FARM_PREFIX "stored"), 0);
    assert_int_equal(number(f, "GET " FARM_PREFIX "spare"), 200);
    assert_int_equal(copy_of(f, "b/0").err, ERR_MISSING);
    assert_int_equal(copy_of(f, "b/1").value, 1);
    assert_true(number(f, "PTTL " FARM_PREFIX "o:b/1/0") <= 60000);
    assert_true(number(f, "TTL " FARM_PREFIX "o:t/2") > 0);
    redis_server_do(f->server, "DEL " FARM_PREFIX "o:t/2");
    redis_server_do(f->server, "ZADD " FARM_PREFIX "spares 1 %s",
                    "200 1 b/1"); // its time is over
    farm_tick_all(f);
    assert_int_equal(
        eval(f, "return #redis.call('KEYS', '*o:b*') + #redis.call('KEYS', '*spare*')"), 0);
}

static void spares_are_bounded(void **state)
{
    struct farm *f = *state;
    const int64_t large = 100 << 20;
    char name[16];
    farm_create(f, "b", "ann");
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "b/%d", i);
        keep(f, name, large, 60 + i);
        assert_int_equal(drop(f, name), 1);
    }
    assert_int_equal(number(f, "GET " FARM_PREFIX "spare"), 2 * large);
    assert_int_equal(copy_of(f, "b/1").err, ERR_MISSING); // the ones nearest to their end went
    assert_int_equal(copy_of(f, "b/2").value, 1);
    keep(f, "b/9", (int64_t)300 << 20, 60); // larger than all may be together
    drop(f, "b/9");
    assert_int_equal(copy_of(f, "b/9").err, ERR_MISSING);
    assert_int_equal(number(f, "GET " FARM_PREFIX "spare"), 2 * large);
}

// What is stored under the name of a spare that has expired is not taken for it.
static void a_spare_that_was_replaced(void **state)
{
    struct farm *f = *state;
    farm_create(f, "b", "ann");
    keep(f, "b/1", 200, 60);
    drop(f, "b/1");
    redis_server_do(f->server,
                    "DEL " FARM_PREFIX "o:b/1 " FARM_PREFIX "o:b/1/0 " FARM_PREFIX "o:b/1/s");
    keep(f, "b/1", 300, 60);
    redis_server_do(f->server, "ZADD " FARM_PREFIX "spares 1 %s", "200 1 b/1");
    farm_tick_all(f);
    assert_int_equal(copy_of(f, "b/1").value, 1);
    assert_int_equal(number(f, "EXISTS " FARM_PREFIX "spare"), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(one_leads_the_others_follow),
        T(what_was_done_is_shared),
        T(a_time_that_is_over),
        T(an_image_that_is_gone),
        T(a_refusal_is_shared),
        T(a_leader_that_leaves_is_followed),
        T(who_waits_for_a_next_try_leads_still),
        T(a_lost_leader),
        T(a_leader_that_is_handed_back),
        T(a_leader_that_is_cancelled_before_it_is_sent),
        T(a_leader_that_ends_after_it_was_cancelled),
        T(asking_twice),
        T(followers_of_what_is_over_or_held_back),
        T(many_followers_are_woken_in_pieces),
        T(when_memory_is_full),
        T(a_spare_outlives_its_fetching),
        T(spares_are_bounded),
        T(a_spare_that_was_replaced),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
