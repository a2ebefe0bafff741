// test_queue_produce.c - batches on the way in: everything may be sent twice, nothing is taken
// half, and what does not fit is refused by index.
#include <stdlib.h>

#include "audit.h"
#include "farm.h"
#include "test.h"

static void a_batch_comes_in(void **state)
{
    struct farm *f = *state;
    struct told t = farm_create(f, "b", "ann");
    assert_int_equal(t.err, OK);
    assert_int_equal(t.value, 0);
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.total, -1);
    assert_false(s.b.sealed);
    t = farm_chunk(f, "b", 0, 3);
    assert_int_equal(t.err, OK);
    assert_int_equal(t.value, 3);
    t = farm_chunk(f, "b", 3, 2);
    assert_int_equal(t.value, 5);
    assert_int_equal(farm_seal(f, "b", 5).err, OK);
    s = farm_status(f, "b");
    assert_int_equal(s.b.total, 5);
    assert_int_equal(s.b.in, 5);
    assert_int_equal(s.b.open, 5);
    assert_true(s.b.sealed);
    assert_true(s.b.created_ms > 0);
    assert_int_equal(s.b.done_ms, 0);
    assert_int_equal(farm_events(f, "b", EVENT_SUBMITTED, -1), 1);
    audit(f->server);
}

static void everything_may_be_sent_twice(void **state)
{
    struct farm *f = *state;
    for (int i = 0; i < 2; i++) {
        struct told t = farm_create(f, "b", "ann");
        assert_int_equal(t.err, OK);
        assert_int_equal(t.value, i ? 10 : 0); // what is in already
        t = farm_chunk(f, "b", 0, 10);
        assert_int_equal(t.err, OK);
        assert_int_equal(t.value, 10);
    }
    struct told t = farm_chunk(f, "b", 5, 10); // half known, half new
    assert_int_equal(t.err, OK);
    assert_int_equal(t.value, 15);
    for (int i = 0; i < 2; i++)
        assert_int_equal(farm_seal(f, "b", 15).err, OK);
    assert_int_equal(farm_chunk(f, "b", 5, 10).err, OK); // even now: it says nothing new
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.in, 15);
    assert_int_equal(s.b.open, 15);
    assert_int_equal(farm_events(f, "b", EVENT_SUBMITTED, -1), 1);
    audit(f->server);
}

static void another_input_is_refused_by_index(void **state)
{
    struct farm *f = *state;
    assert_int_equal(farm_create(f, "b", "ann").err, OK);
    assert_int_equal(farm_chunk(f, "b", 0, 5).err, OK);
    assert_int_equal(farm_chunk_of(f, "b", 5, 2, NULL, "other").err, OK);
    struct told t = farm_chunk(f, "b", 2, 10); // 5 and 6 differ; 7 and on are not there
    assert_int_equal(t.err, ERR_EXISTS);
    assert_int_equal(t.value, 5);
    assert_int_equal(farm_status(f, "b").b.in, 7); // and nothing of it was taken
    audit(f->server);
}

static void another_batch_of_that_name_is_refused(void **state)
{
    struct farm *f = *state;
    struct told t = {0};
    assert_int_equal(farm_create(f, "b", "ann").err, OK);
    struct batch_options o = {.batch = SPAN("b"),
                              .nonce = (const uint8_t *)"fedcba9876543210",
                              .digest = SPAN("others"),
                              .total = -1,
                              .keep = 60};
    assert_int_equal(farm_wait(f, queue_create(f->queue, &o, told_value, &t), &t).err,
                     ERR_EXISTS);
}

static void gaps_are_refused(void **state)
{
    struct farm *f = *state;
    assert_int_equal(farm_create(f, "b", "ann").err, OK);
    assert_int_equal(farm_chunk(f, "b", 0, 3).err, OK);
    struct told t = farm_chunk(f, "b", 4, 3);
    assert_int_equal(t.err, ERR_ORDER);
    assert_int_equal(t.value, 3); // where to go on
    audit(f->server);
}

static void sealed_is_sealed(void **state)
{
    struct farm *f = *state;
    assert_int_equal(farm_create(f, "b", "ann").err, OK);
    assert_int_equal(farm_chunk(f, "b", 0, 3).err, OK);
    struct told t = farm_seal(f, "b", 4);
    assert_int_equal(t.err, ERR_ORDER);
    assert_int_equal(t.value, 3);
    assert_false(farm_status(f, "b").b.sealed);
    assert_int_equal(farm_seal(f, "b", 3).err, OK);
    assert_int_equal(farm_chunk(f, "b", 3, 1).err, ERR_ORDER);
    assert_int_equal(farm_chunk(f, "b", 2, 2).err, ERR_ORDER);
    assert_int_equal(farm_status(f, "b").b.in, 3);
    audit(f->server);
}

static void nothing_without_a_batch(void **state)
{
    struct farm *f = *state;
    assert_int_equal(farm_chunk(f, "none", 0, 1).err, ERR_MISSING);
    assert_int_equal(farm_seal(f, "none", 0).err, ERR_MISSING);
    assert_int_equal(farm_status(f, "none").err, ERR_MISSING);
    assert_int_equal(farm_pause(f, "none", true).err, ERR_MISSING);
    assert_int_equal(farm_cancel(f, "none", 0, NULL).err, ERR_MISSING);
    uint32_t index = 0;
    assert_int_equal(farm_retry(f, "none", 2, 1, &index).err, ERR_MISSING);
    assert_int_equal(redis_server_number(f->server, "DBSIZE"), 0); // and left no keys
}

static void an_empty_batch_ends_at_once(void **state)
{
    struct farm *f = *state;
    assert_int_equal(farm_create(f, "b", "ann").err, OK);
    assert_int_equal(farm_seal(f, "b", 0).err, OK);
    assert_int_equal(farm_seal(f, "b", 0).err, OK);
    assert_true(farm_status(f, "b").b.done_ms > 0);
    assert_int_equal(farm_events(f, "b", EVENT_BATCH_DONE, -1), 1);
    audit(f->server);
}

static enum err create_limited(struct farm *f, const char *batch, int64_t total, int64_t most)
{
    struct told t = {0};
    struct batch_options o = {.batch = span_of(batch),
                              .nonce = (const uint8_t *)"0123456789abcdef",
                              .digest = SPAN("options"),
                              .total = total,
                              .keep = 60,
                              .max_queue = most};
    return farm_wait(f, queue_create(f->queue, &o, told_value, &t), &t).err;
}

static void a_full_queue_refuses(void **state)
{
    struct farm *f = *state;
    farm_submit(f, "first", "ann", NULL, 8);
    assert_int_equal(create_limited(f, "more", 3, 10), ERR_LIMIT);
    assert_int_equal(farm_status(f, "more").err, ERR_MISSING);
    assert_int_equal(create_limited(f, "more", 2, 10), OK);
    assert_int_equal(farm_chunk(f, "more", 0, 2).err, OK);
    assert_int_equal(create_limited(f, "more", 2, 10), OK); // again: it is in already
    assert_int_equal(create_limited(f, "third", 1, 10), ERR_LIMIT);
    struct hand h = farm_hand(f, "w1");
    struct claims *c = farm_claim(f, &h, 5);
    assert_int_equal(create_limited(f, "third", 1, 10), ERR_LIMIT); // active ones count
    farm_settle(f, &h, QUEUE_COMPLETED, c->n, c->jobs);
    assert_int_equal(create_limited(f, "third", 1, 10), OK);
    free(c);
    audit(f->server);
}

static struct told create_sized(struct farm *f, const char *batch, int64_t total, int64_t bytes,
                                int64_t most)
{
    struct told t = {0};
    struct batch_options o = {.batch = span_of(batch),
                              .nonce = (const uint8_t *)"0123456789abcdef",
                              .digest = SPAN("options"),
                              .total = total,
                              .bytes = bytes,
                              .max_bytes = most};
    return farm_wait(f, queue_create(f->queue, &o, told_value, &t), &t);
}

static void bytes_are_bounded_too(void **state)
{
    struct farm *f = *state;
    farm_submit(f, "first", "ann", NULL, 8);
    long long bytes = redis_server_number(f->server, "INCRBY " FARM_PREFIX "queued 0");
    assert_true(bytes > 0);
    struct told t = create_sized(f, "more", 2, 100, bytes + 99);
    assert_int_equal(t.err, ERR_LIMIT);
    assert_int_equal(t.value, ~bytes);
    assert_int_equal(create_sized(f, "more", 2, 100, bytes + 100).err, OK);
    // When the first one has ended there is room, and no longer when it is opened again.
    struct hand h = farm_hand(f, "w1");
    struct claims *c = farm_claim(f, &h, 8);
    farm_settle(f, &h, QUEUE_FAILED, c->n, c->jobs);
    audit(f->server);
    assert_int_equal(create_sized(f, "large", 1, bytes, 100 + bytes).err, OK);
    assert_int_equal(farm_retry(f, "first", 2, 1, (uint32_t[]){3}).err, OK);
    audit(f->server);
    assert_int_equal(create_sized(f, "third", 1, 1, 100 + 2 * bytes).err, ERR_LIMIT);
    free(c);
}

static void what_is_declared_counts(void **state)
{
    struct farm *f = *state;
    assert_int_equal(create_limited(f, "slow", 6, 10), OK);
    assert_int_equal(create_limited(f, "quick", 5, 10), ERR_LIMIT);
    assert_int_equal(farm_chunk(f, "slow", 0, 4).err, OK); // it is not counted twice
    assert_int_equal(create_limited(f, "quick", 5, 10), ERR_LIMIT);
    assert_int_equal(create_limited(f, "quick", 4, 10), OK);
    // Who has declared jobs and never sent them is waited for a minute.
    redis_server_do(f->server, "ZADD " FARM_PREFIX "batches 5 slow");
    assert_int_equal(create_limited(f, "third", 2, 10), OK);
}

static void what_cannot_be_is_refused_here(void **state)
{
    struct farm *f = *state;
    assert_int_equal(farm_create(f, "../up", "ann").err, ERR_RANGE);
    assert_int_equal(farm_create(f, "", "ann").err, ERR_RANGE);
    assert_int_equal(farm_create(f, "b", "a/b").err, ERR_RANGE);
    assert_int_equal(farm_chunk(f, "b", 0, 0).err, ERR_RANGE);
    assert_int_equal(farm_chunk(f, "b", QUEUE_MAX_INDEX - 1, 2).err, ERR_RANGE);
    assert_int_equal(farm_chunk(f, "b", 0, QUEUE_MAX_JOBS + 1).err, ERR_RANGE);
    assert_int_equal(redis_server_number(f->server, "DBSIZE"), 0);
}

static void a_large_chunk_goes_in_one_call(void **state)
{
    struct farm *f = *state;
    farm_submit(f, "b", "ann", NULL, 2500); // 1000, 1000, 500
    assert_int_equal(farm_status(f, "b").b.in, 2500);
    audit(f->server);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(a_batch_comes_in),
        T(everything_may_be_sent_twice),
        T(another_input_is_refused_by_index),
        T(another_batch_of_that_name_is_refused),
        T(gaps_are_refused),
        T(sealed_is_sealed),
        T(nothing_without_a_batch),
        T(an_empty_batch_ends_at_once),
        T(a_full_queue_refuses),
        T(bytes_are_bounded_too),
        T(what_is_declared_counts),
        T(what_cannot_be_is_refused_here),
        T(a_large_chunk_goes_in_one_call),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
