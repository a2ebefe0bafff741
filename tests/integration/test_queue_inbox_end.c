// test_queue_inbox_end.c - when a batch of the inbox ends: with what is in, and what was
// refused.
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "pushing.h"
#include "redis_server.h"
#include "test.h"

static void the_end_may_come_first(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char values[INBOX_MOST];
    inbox_push_end(f, "z", 2);
    inbox_push_job(f, "z", "one", "a cat");
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "11");
    assert_false(farm_status(f, "z").b.sealed);
    inbox_push_end(f, "z", 2); // again
    inbox_push_job(f, "z", "two", "a dog");
    inbox_push_job(f, "z", "three", "one too many");
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "210");
    struct status s = farm_status(f, "z");
    assert_true(s.b.sealed);
    assert_int_equal(s.b.total, 2);
    assert_int_equal(inbox_dead(f), 1);
    inbox_push_end(f, "z", 3); // another total
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "0");
    inbox_push_end(f, "empty", 0);
    inbox_place_all(f, &h, values);
    assert_true(farm_status(f, "empty").b.done_ms > 0);
}

static void what_is_refused_counts_for_the_end(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char values[INBOX_MOST];
    inbox_push_job(f, "z", "one", "a cat");
    inbox_push_job(f, "z", "two", "");
    inbox_push_job(f, "z", "three", "a dog");
    inbox_push_end(f, "z", 3);
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "1011");
    struct status s = farm_status(f, "z");
    assert_true(s.b.sealed && s.b.pushed);
    assert_int_equal(s.b.total, 2);
    assert_int_equal(s.b.refused, 1);
    assert_int_equal(s.b.expected, 3);
    assert_int_equal(inbox_dead(f), 1);
    assert_int_equal(farm_events(f, "z", EVENT_STEP, -1), 1);
    struct claims *c = farm_claim_at(f, &h, h.seq + 1, 5, "standard/gemini-3.1-flash-image");
    assert_int_equal(c->n, 2);
    farm_settle(f, &h, QUEUE_COMPLETED, 2, c->jobs);
    free(c);
    assert_true(farm_status(f, "z").b.done_ms > 0);
    inbox_push_job(f, "z", "four", ""); // it has its end
    inbox_place_all(f, &h, values);
    assert_int_equal(farm_status(f, "z").b.refused, 1);
    assert_int_equal(inbox_dead(f), 2);
}

// The letter comes before its batch, whose user is its first job's; the end comes before both.
static void the_refused_may_come_first(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char values[INBOX_MOST];
    inbox_push_end(f, "z", 3);
    inbox_push_with(f, "z", "two", "x", "seed", "often"); // found before its batch is read
    inbox_push_with(f, "z", NULL, "x", "count", NULL);
    inbox_push_with(f, "z", "one", "x", "user", "ann");
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "1001");
    struct claims *c = farm_claim_at(f, &h, h.seq + 1, 5, "standard/gemini-3.1-flash-image");
    assert_int_equal(c->n, 1);
    assert_string_equal(c->jobs[0].user, "ann");
    assert_int_equal(farm_status(f, "z").b.refused, 2);
    farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs);
    assert_true(farm_status(f, "z").b.done_ms > 0);
    free(c);
    inbox_push_job(f, "none", "one", ""); // nothing of it can be done
    inbox_push_end(f, "none", 1);
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "01");
    assert_true(farm_status(f, "none").b.done_ms > 0);
    assert_int_equal(farm_status(f, "none").b.total, 0);
}

// Producers push again what was not answered: neither those nor repeats end a batch too early.
static void the_same_is_refused_once(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char values[INBOX_MOST];
    inbox_push_end(f, "z", 4);
    for (int i = 0; i < 2; i++) {
        inbox_push_job(f, "z", "one", "a cat");
        inbox_push_job(f, "z", "two", "");
    }
    inbox_push_job(f, "z", "one", ""); // in already, and well
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "110200");
    assert_int_equal(farm_status(f, "z").b.refused, 1);
    inbox_push_job(f, "z", "two", "put right");
    inbox_push_job(f, "z", "three", "");
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "10");
    assert_false(farm_status(f, "z").b.sealed);
    assert_int_equal(farm_status(f, "z").b.refused, 1);
    inbox_push_job(f, "z", "four", "a cow");
    inbox_place_all(f, &h, values);
    assert_true(farm_status(f, "z").b.sealed);
    assert_int_equal(farm_status(f, "z").b.total, 3);
}

// Who counted what was pushed, and not what is different, may tell the right total.
static void a_wrong_end_can_be_put_right(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char values[INBOX_MOST];
    inbox_push_job(f, "z", "one", "a cat");
    inbox_push_job(f, "z", "one", "a cat");
    inbox_push_job(f, "z", "two", "");
    inbox_push_end(f, "z", 3);
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "1201");
    assert_false(farm_status(f, "z").b.sealed);
    inbox_push_end(f, "z", 0); // one is in
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "0");
    inbox_push_end(f, "z", 2);
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "1");
    assert_true(farm_status(f, "z").b.sealed);
    assert_int_equal(farm_status(f, "z").b.total, 1);
}

// It may leave out what was refused, once that is known.
static void an_end_may_tell_the_good_ones_only(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char values[INBOX_MOST];
    inbox_push_job(f, "z", "one", "");
    inbox_push_job(f, "z", "two", "");
    inbox_push_job(f, "z", "three", "");
    inbox_push_job(f, "z", "four", "a cat");
    inbox_push_end(f, "z", 2);
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "00011");
    assert_false(farm_status(f, "z").b.sealed);
    inbox_push_job(f, "z", "five", "a dog");
    inbox_place_all(f, &h, values);
    assert_true(farm_status(f, "z").b.sealed);
    assert_int_equal(farm_status(f, "z").b.total, 2);
}

static void malformed_ends_end_nothing(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char values[INBOX_MOST];
    inbox_push_job(f, "z", "one", "a cat");
    PUSH(f, "\x82\xa5"
            "batch\xa1z\xa4seal\xc3"); // no total
    PUSH(f, "\x83\xa5"
            "batch\xa1z\xa4seal\x01\xa5total\x01"); // not true
    inbox_push_with(f, "z", "two", "a cat", "seal",
                    "wax"); // a job of a person who seals letters
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "1001");
    struct status s = farm_status(f, "z");
    assert_int_equal(s.b.in, 2);
    assert_int_equal(s.b.refused, 0);
    assert_false(s.b.sealed);
    assert_int_equal(farm_events(f, "z", EVENT_STEP, -1), 2);
}

static void fewer_than_are_in_already(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char values[INBOX_MOST];
    inbox_push_job(f, "z", "one", "a cat");
    inbox_push_job(f, "z", "two", "a dog");
    inbox_push_end(f, "z", 1);
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "110");
    assert_false(farm_status(f, "z").b.sealed);
}

static void a_submitted_batch_takes_nothing_from_here(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char values[INBOX_MOST];
    farm_submit(f, "b", "ann", NULL, 2);
    inbox_push_job(f, "b", "one", "a cat");
    inbox_push_end(f, "b", 3);
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "00");
    assert_int_equal(farm_status(f, "b").b.in, 2);
    assert_int_equal(inbox_dead(f), 2);
    assert_int_equal(farm_create(f, "z", "ann").err, OK);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(the_end_may_come_first),
        T(what_is_refused_counts_for_the_end),
        T(the_refused_may_come_first),
        T(the_same_is_refused_once),
        T(a_wrong_end_can_be_put_right),
        T(an_end_may_tell_the_good_ones_only),
        T(malformed_ends_end_nothing),
        T(fewer_than_are_in_already),
        T(a_submitted_batch_takes_nothing_from_here),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
