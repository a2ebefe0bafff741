// test_pump.c - pumps: what gathers, what goes out again, what is told, and how often.
#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "unit/test.h"
#include "worker/pump.h"

#define ITEMS 12
#define SENDS 8

struct thing {
    struct pump_item item; // first
    int number;
    char mark;
    unsigned told; // how often; more than once is always wrong
};

struct bench {
    struct ev_loop *loop;
    struct pump *pump;
    struct thing things[ITEMS];
    struct { // what was sent
        uint64_t number;
        size_t n;
        int items[ITEMS];
    } sends[SENDS];
    unsigned n_sends;
    enum err next_send;     // what send() returns
    struct thing *add_next; // added from inside told()
};

static enum err send(void *ctx, uint64_t number, struct pump_item *const *items, size_t n)
{
    struct bench *b = ctx;
    assert_true(b->n_sends < SENDS && n > 0 && n <= ITEMS);
    b->sends[b->n_sends].number = number;
    b->sends[b->n_sends].n = n;
    for (size_t i = 0; i < n; i++)
        b->sends[b->n_sends].items[i] = ((struct thing *)items[i])->number;
    b->n_sends++;
    ev_break(b->loop, EVBREAK_ALL);
    return b->next_send;
}

static void told(void *ctx, struct pump_item *item, char mark)
{
    struct bench *b = ctx;
    struct thing *t = (struct thing *)item;
    t->mark = mark;
    t->told++;
    if (b->add_next)
        pump_add(b->pump, &b->add_next->item);
    b->add_next = NULL;
}

static int descending(const struct pump_item *a, const struct pump_item *b)
{
    return ((const struct thing *)b)->number - ((const struct thing *)a)->number;
}

static const struct pump_ops plain = {.send = send, .told = told};
static const struct pump_ops ordered = {.send = send, .order = descending, .told = told};

static void begin(struct bench *b, const struct pump_ops *ops, size_t most)
{
    *b = (struct bench){.loop = ev_loop_new(EVFLAG_AUTO)};
    b->pump = pump_new(b->loop, ops, b, most);
    assert_non_null(b->pump);
    for (int i = 0; i < ITEMS; i++)
        b->things[i].number = i;
}

static void end(struct bench *b)
{
    pump_free(b->pump);
    ev_loop_destroy(b->loop);
}

static void add(struct bench *b, int from, int to)
{
    for (int i = from; i < to; i++)
        pump_add(b->pump, &b->things[i].item);
}

// Runs until there is a request more; without a timer that is due, the loop ends by itself.
static void next_send(struct bench *b)
{
    unsigned before = b->n_sends;
    ev_run(b->loop, 0);
    assert_int_equal(b->n_sends, before + 1);
}

static void nothing_is_sent(struct bench *b)
{
    unsigned before = b->n_sends;
    ev_run(b->loop, 0); // returns at once: no watcher is active
    assert_int_equal(b->n_sends, before);
}

static void assert_told(const struct bench *b, int from, int to, char mark)
{
    for (int i = from; i < to; i++) {
        assert_int_equal(b->things[i].told, 1);
        assert_int_equal(b->things[i].mark, mark);
    }
}

static void assert_not_told(const struct bench *b, int from, int to)
{
    for (int i = from; i < to; i++)
        assert_int_equal(b->things[i].told, 0);
}

static void one_turn_is_one_request(void **state)
{
    (void)state;
    struct bench b;
    begin(&b, &plain, 100);
    assert_true(pump_idle(b.pump));
    add(&b, 0, 3);
    assert_int_equal(b.n_sends, 0); // never from inside
    assert_false(pump_idle(b.pump));
    next_send(&b);
    assert_int_equal(b.sends[0].n, 3);
    assert_int_equal(b.sends[0].items[0], 0);
    assert_int_equal(b.sends[0].items[2], 2);
    pump_answered(b.pump, OK, SPAN("1x2"));
    assert_int_equal(b.things[0].mark, '1');
    assert_int_equal(b.things[1].mark, 'x');
    assert_int_equal(b.things[2].mark, '2');
    assert_true(pump_idle(b.pump));
    nothing_is_sent(&b);
    end(&b);
}

static void what_comes_meanwhile_goes_with_the_next(void **state)
{
    (void)state;
    struct bench b;
    begin(&b, &plain, 100);
    add(&b, 0, 1);
    next_send(&b);
    add(&b, 1, 5);
    nothing_is_sent(&b); // one is under way
    pump_answered(b.pump, OK, SPAN("1"));
    next_send(&b);
    assert_int_equal(b.sends[1].n, 4);
    assert_int_equal(b.sends[1].number, b.sends[0].number + 1);
    assert_not_told(&b, 1, 5);
    pump_answered(b.pump, OK, SPAN("1111"));
    assert_told(&b, 0, 5, '1');
    end(&b);
}

static void no_request_is_larger_than_allowed(void **state)
{
    (void)state;
    struct bench b;
    begin(&b, &plain, 5);
    add(&b, 0, ITEMS);
    static const size_t want[] = {5, 5, 2};
    for (unsigned i = 0; i < 3; i++) {
        next_send(&b);
        assert_int_equal(b.sends[i].n, want[i]);
        pump_answered(b.pump, OK, SPAN("11111"));
    }
    assert_told(&b, 0, ITEMS, '1');
    nothing_is_sent(&b);
    end(&b);
}

static void a_request_has_its_order(void **state)
{
    (void)state;
    struct bench b;
    begin(&b, &ordered, 100);
    add(&b, 0, 4);
    next_send(&b);
    for (int i = 0; i < 4; i++)
        assert_int_equal(b.sends[0].items[i], 3 - i);
    pump_answered(b.pump, OK, SPAN("abcd")); // marks go by the order that was sent
    for (int i = 0; i < 4; i++)
        assert_int_equal(b.things[i].mark, "dcba"[i]);
    end(&b);
}

// Its outcome is unknown: number, items and their order must be those of before, and what came
// meanwhile must not slip in.
static void an_unknown_outcome_is_sent_again_as_it_was(void **state)
{
    (void)state;
    static const enum err again[] = {ERR_NET, ERR_TIMEOUT, ERR_BUSY};
    struct bench b;
    begin(&b, &ordered, 100);
    add(&b, 0, 3);
    next_send(&b);
    add(&b, 3, 6);
    for (unsigned i = 0; i < 3; i++) {
        pump_answered(b.pump, again[i], SPAN(""));
        assert_not_told(&b, 0, 6);
        next_send(&b);
        assert_memory_equal(&b.sends[i + 1], &b.sends[0], sizeof b.sends[0]);
    }
    pump_answered(b.pump, OK, SPAN("111"));
    assert_told(&b, 0, 3, '1');
    next_send(&b);
    assert_int_equal(b.sends[4].number, b.sends[0].number + 1);
    assert_int_equal(b.sends[4].n, 3);
    end(&b);
}

static void what_could_not_be_sent_is_sent_later(void **state)
{
    (void)state;
    struct bench b;
    begin(&b, &plain, 100);
    b.next_send = ERR_BUSY;
    add(&b, 0, 2);
    next_send(&b);
    b.next_send = OK;
    next_send(&b);
    assert_memory_equal(&b.sends[1], &b.sends[0], sizeof b.sends[0]);
    pump_answered(b.pump, OK, SPAN("11"));
    assert_told(&b, 0, 2, '1');
    end(&b);
}

static void what_has_no_mark_is_told_a_zero(void **state)
{
    (void)state;
    struct bench b;
    begin(&b, &plain, 100);
    add(&b, 0, 3);
    next_send(&b);
    pump_answered(b.pump, OK, SPAN("1")); // shorter than what was asked
    assert_told(&b, 0, 1, '1');
    assert_told(&b, 1, 3, '0');
    add(&b, 3, 5);
    next_send(&b);
    pump_answered(b.pump, ERR_LOST, SPAN("11")); // marks of a refusal are no marks
    assert_told(&b, 3, 5, PUMP_MAYBE);
    nothing_is_sent(&b);
    end(&b);
}

static void a_lost_lease_ends_everything_once(void **state)
{
    (void)state;
    struct bench b;
    begin(&b, &plain, 2);
    add(&b, 0, 4);
    next_send(&b); // 0 and 1 are under way, 2 and 3 wait
    pump_lost(b.pump);
    assert_told(&b, 0, 2, PUMP_MAYBE);
    assert_told(&b, 2, 4, '0');
    assert_true(pump_idle(b.pump));
    add(&b, 4, 5); // of the next incarnation
    nothing_is_sent(&b);
    pump_answered(b.pump, OK, SPAN("11")); // the late answer is of the one before
    assert_told(&b, 0, 2, PUMP_MAYBE);
    assert_told(&b, 2, 4, '0');
    assert_not_told(&b, 4, 5);
    next_send(&b);
    assert_int_equal(b.sends[1].n, 1);
    assert_int_equal(b.sends[1].items[0], 4);
    assert_true(b.sends[1].number != b.sends[0].number);
    pump_answered(b.pump, OK, SPAN("1"));
    assert_told(&b, 4, 5, '1');
    end(&b);
}

static void what_waits_for_another_try_is_lost_too(void **state)
{
    (void)state;
    struct bench b;
    begin(&b, &plain, 100);
    add(&b, 0, 2);
    next_send(&b);
    pump_answered(b.pump, ERR_NET, SPAN(""));
    pump_lost(b.pump);
    assert_told(&b, 0, 2, PUMP_MAYBE);
    nothing_is_sent(&b); // the timer fires, and finds nothing
    add(&b, 2, 3);
    next_send(&b);
    assert_int_equal(b.sends[1].n, 1);
    pump_answered(b.pump, OK, SPAN("1"));
    assert_told(&b, 2, 3, '1');
    end(&b);
}

static void being_told_may_add_more(void **state)
{
    (void)state;
    struct bench b;
    begin(&b, &plain, 100);
    add(&b, 0, 2);
    next_send(&b);
    b.add_next = &b.things[2];
    pump_answered(b.pump, OK, SPAN("11"));
    assert_told(&b, 0, 2, '1');
    next_send(&b);
    assert_int_equal(b.sends[1].n, 1);
    assert_int_equal(b.sends[1].items[0], 2);
    b.add_next = &b.things[3];
    pump_lost(b.pump);
    assert_told(&b, 2, 3, PUMP_MAYBE);
    assert_not_told(&b, 3, 4); // added under the next incarnation
    pump_answered(b.pump, ERR_NET, SPAN(""));
    next_send(&b);
    assert_int_equal(b.sends[2].items[0], 3);
    end(&b);
}

static void what_was_not_told_is_forgotten_at_the_end(void **state)
{
    (void)state;
    struct bench b;
    begin(&b, &plain, 1);
    add(&b, 0, 3);
    next_send(&b);
    end(&b);
    assert_not_told(&b, 0, 3);
    pump_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_turn_is_one_request),
        cmocka_unit_test(what_comes_meanwhile_goes_with_the_next),
        cmocka_unit_test(no_request_is_larger_than_allowed),
        cmocka_unit_test(a_request_has_its_order),
        cmocka_unit_test(an_unknown_outcome_is_sent_again_as_it_was),
        cmocka_unit_test(what_could_not_be_sent_is_sent_later),
        cmocka_unit_test(what_has_no_mark_is_told_a_zero),
        cmocka_unit_test(a_lost_lease_ends_everything_once),
        cmocka_unit_test(what_waits_for_another_try_is_lost_too),
        cmocka_unit_test(being_told_may_add_more),
        cmocka_unit_test(what_was_not_told_is_forgotten_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
