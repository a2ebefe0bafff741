// test_queue_full.c - the server's memory is used up: nothing new comes in, and all that is
// there can be brought to its end.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "broker/blob.h"
#include "farm.h"
#include "test.h"

static void fill(struct farm *f)
{
    audit(f->server);
    redis_server_do(f->server, "CONFIG SET maxmemory 1");
}

static struct claims *claim_ok(struct farm *f, struct hand *h, unsigned want)
{
    struct claims *c = farm_claim(f, h, want);
    assert_int_equal(c->err, OK);
    assert_int_equal(c->n, want);
    return c;
}

static void nothing_new_comes_in(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    assert_int_equal(farm_create(f, "b", "ann").err, OK);
    assert_int_equal(farm_chunk(f, "b", 0, 5).err, OK);
    struct claims *c = claim_ok(f, &h, 2);
    fill(f);
    assert_int_equal(farm_create(f, "c", "ann").err, ERR_FULL);
    assert_int_equal(farm_chunk(f, "b", 5, 5).err, ERR_FULL);
    struct claims *d = farm_claim(f, &h, 2);
    assert_int_equal(d->err, ERR_FULL); // before it has popped anything
    assert_int_equal(farm_sent(f, &h, 2, c->jobs).err, ERR_FULL);
    assert_int_equal(farm_register(f, "w2").err, ERR_FULL);
    assert_int_equal(farm_status(f, "b").b.calls, 0);
    audit(f->server);
    redis_server_do(f->server, "CONFIG SET maxmemory 0");
    assert_int_equal(farm_chunk(f, "b", 5, 5).err, OK); // and goes on when there is room
    assert_int_equal(farm_sent(f, &h, 2, c->jobs).err, OK);
    audit(f->server);
    free(c), free(d);
}

static void kept(void *ctx, enum err e, struct span record)
{
    struct told *t = ctx;
    told_value(t, e, (int64_t)record.len);
}

static void images_are_refused(void **state)
{
    struct farm *f = *state;
    struct told t = {0};
    const struct span temps[] = {SPAN("t/1")}, record = SPAN("record of 0123456789abcdef");
    assert_int_equal(farm_create(f, "b", "ann").err, OK);
    assert_int_equal(
        farm_wait(f, blob_push(f->queue, temps[0], SPAN("chunk"), told_value, &t), &t).err, OK);
    assert_true(redis_server_number(f->server, "PTTL " FARM_PREFIX "o:t/1") > 0);
    fill(f);
    t = (struct told){0};
    assert_int_equal(
        farm_wait(f, blob_push(f->queue, temps[0], SPAN("chunk"), told_value, &t), &t).err,
        ERR_FULL);
    t = (struct told){0};
    enum err e = blob_keep(f->queue, SPAN("b/0"), record, 10, 0, 1, temps, kept, &t);
    assert_int_equal(farm_wait(f, e, &t).err, ERR_FULL);
    redis_server_do(f->server, "CONFIG SET maxmemory 0");
    t = (struct told){0};
    e = blob_keep(f->queue, SPAN("b/0"), record, 10, 0, 1, temps, kept, &t);
    assert_int_equal(farm_wait(f, e, &t).err, OK);
    assert_int_equal(t.value, 0); // ours
    t = (struct told){0};
    e = blob_keep(f->queue, SPAN("b/0"), SPAN("another"), 10, 0, 0, NULL, kept, &t);
    assert_int_equal(farm_wait(f, e, &t).err, OK);
    assert_int_equal(t.value, (int64_t)record.len); // which was there first
    redis_server_do(f->server, "CONFIG SET maxmemory 1");
    t = (struct told){0};
    e = blob_drop(f->queue, SPAN("b/0"), told_value, &t);
    assert_int_equal(farm_wait(f, e, &t).err, OK); // which makes room
    assert_int_equal(t.value, 1);
    assert_int_equal(redis_server_number(f->server, "GET " FARM_PREFIX "stored"), 0);
}

static void every_settle_works(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 6);
    struct claims *c = claim_ok(f, &h, 6);
    assert_string_equal(farm_sent(f, &h, 6, c->jobs).text, "111111");
    fill(f);
    assert_string_equal(farm_settle(f, &h, QUEUE_NOTE, 1, c->jobs + 5).text, "1");
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs).text, "1");
    assert_string_equal(farm_settle(f, &h, QUEUE_FAILED, 1, c->jobs + 1).text, "1");
    assert_string_equal(farm_settle(f, &h, QUEUE_CANCELLED, 1, c->jobs + 2).text, "1");
    assert_string_equal(farm_settle(f, &h, QUEUE_REQUEUE, 1, c->jobs + 3).text, "1");
    assert_string_equal(farm_requeue(f, &h, 3600000, 1, c->jobs + 4).text, "1");
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs).text, "0"); // gone
    audit(f->server);
    struct renewal r = farm_renew(f, &h);
    assert_int_equal(r.err, OK);
    assert_int_equal(r.active, 1);
    assert_string_equal(farm_settle(f, &h, QUEUE_REQUEUE, 1, c->jobs + 5).text, "1");
    assert_int_equal(farm_leave(f, &h).err, OK);
    audit(f->server);
    free(c);
}

static void lost_jobs_come_back(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 300);
    struct claims *c = claim_ok(f, &h, 300);
    assert_int_equal(farm_sent(f, &h, 10, c->jobs).err, OK);
    farm_expire(f, &h);
    fill(f);
    farm_tick_all(f);
    assert_int_equal(farm_events(f, "b", EVENT_UNKNOWN, -1), 10);
    audit(f->server);
    free(c);
}

static void delayed_jobs_come_back(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 5);
    struct claims *c = claim_ok(f, &h, 5);
    assert_string_equal(farm_requeue(f, &h, 1, 5, c->jobs).text, "11111");
    fill(f);
    int64_t moved = 0;
    for (int i = 0; i < 10000 && moved < 5; i++) {
        struct told t = farm_tick(f);
        assert_int_equal(t.err, OK);
        moved += t.value;
    }
    assert_int_equal(moved, 5);
    audit(f->server);
    free(c);
}

static void batches_are_cancelled(void **state)
{
    struct farm *f = *state;
    const uint32_t some[] = {1, 2};
    farm_submit(f, "b", "ann", NULL, 1200);
    farm_submit(f, "c", "ann", NULL, 3);
    farm_submit(f, "d", "ann", NULL, 1200);
    fill(f);
    for (int64_t v = -1; v < 0;) {
        struct told t = farm_cancel(f, "b", 0, NULL);
        assert_int_equal(t.err, OK);
        v = t.value;
        audit(f->server);
    }
    assert_int_equal(farm_cancel(f, "c", 2, some).err, OK);
    assert_int_equal(farm_cancel(f, "d", 0, NULL).err, OK);
    farm_tick_all(f);
    assert_true(farm_status(f, "b").b.done_ms > 0);
    assert_int_equal(farm_status(f, "c").b.cancelled, 2);
    assert_true(farm_status(f, "d").b.done_ms > 0);
    audit(f->server);
}

static void ended_jobs_are_opened_again(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    const uint32_t some[] = {0, 1};
    farm_submit(f, "b", "ann", NULL, 2);
    farm_submit(f, "c", "ann", NULL, 3);
    struct claims *c = claim_ok(f, &h, 5);
    for (size_t i = 0; i < c->n; i++)
        farm_settle(f, &h, QUEUE_FAILED, 1, c->jobs + i);
    fill(f);
    assert_int_equal(farm_retry(f, "b", 2, 2, some).value, 2);
    assert_int_equal(farm_retry(f, "c", 2, 2, some).value, 2);
    audit(f->server);
    free(c);
}

static void old_batches_go(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 20);
    farm_work_off(f, &h);
    redis_server_do(f->server, "ZADD " FARM_PREFIX "expiring 1 b");
    fill(f);
    assert_int_equal(farm_tick(f).value, 1);
    assert_int_equal(farm_status(f, "b").err, ERR_MISSING);
}

static void a_paused_queue_goes_on(void **state)
{
    struct farm *f = *state;
    farm_submit(f, "b", "ann", NULL, 20);
    assert_int_equal(farm_pause(f, "b", true).err, OK);
    assert_int_equal(farm_pause(f, "", true).err, OK);
    fill(f);
    assert_int_equal(farm_pause(f, "b", false).err, OK);
    assert_int_equal(farm_pause(f, "", false).err, OK);
    audit(f->server);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(nothing_new_comes_in),        T(images_are_refused),     T(every_settle_works),
        T(lost_jobs_come_back),         T(delayed_jobs_come_back), T(batches_are_cancelled),
        T(ended_jobs_are_opened_again), T(old_batches_go),         T(a_paused_queue_goes_on),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
