// test_queue_steer.c - cancelling, opening again, pausing, and looking at it all.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "farm.h"
#include "test.h"

static int64_t cancel_all(struct farm *f, const char *batch)
{
    int64_t sum = 0;
    for (int i = 0; i < 100; i++) {
        struct told t = farm_cancel(f, batch, 0, NULL);
        assert_int_equal(t.err, OK);
        sum += t.value < 0 ? ~t.value : t.value;
        audit(f->server);
        if (t.value >= 0)
            return sum;
    }
    fail_msg("it never ends");
    return 0;
}

static struct claims *claim_ok(struct farm *f, struct hand *h, unsigned want, size_t n)
{
    struct claims *c = farm_claim(f, h, want);
    assert_int_equal(c->err, OK);
    assert_int_equal(c->n, n);
    return c;
}

// --- Cancelling ---

static void a_batch_is_cancelled_though_nobody_works(void **state)
{
    struct farm *f = *state;
    farm_submit(f, "b", "ann", NULL, 1200);
    farm_submit(f, "c", "ann", NULL, 3);
    assert_int_equal(cancel_all(f, "b"), 1200);
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.cancelled, 1200);
    assert_true(s.b.done_ms > 0);
    assert_false(s.b.cancelling);
    assert_int_equal(farm_events(f, "b", EVENT_CANCELLED, -1), 1200);
    assert_int_equal(farm_events(f, "b", EVENT_BATCH_DONE, -1), 1);
    assert_int_equal(cancel_all(f, "b"), 0); // again
    assert_int_equal(farm_events(f, "b", EVENT_BATCH_DONE, -1), 1);
    struct hand h = farm_hand(f, "w1");
    assert_int_equal(farm_work_off(f, &h), 3); // the other one is untouched
    audit(f->server);
}

static void workers_go_on_with_a_cancellation(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 1200);
    assert_true(farm_cancel(f, "b", 0, NULL).value < 0); // and its client goes away
    assert_true(farm_status(f, "b").b.cancelling);
    assert_int_equal(farm_renew(f, &h).n_cancelled, 1);
    farm_tick_all(f);
    assert_true(farm_status(f, "b").b.done_ms > 0);
    assert_int_equal(farm_renew(f, &h).n_cancelled, 1); // for as long as a lease lasts
    audit(f->server);
}

static void an_unsealed_batch_is_cancelled_too(void **state)
{
    struct farm *f = *state;
    assert_int_equal(farm_create(f, "b", "ann").err, OK);
    assert_int_equal(farm_chunk(f, "b", 0, 10).err, OK);
    assert_int_equal(cancel_all(f, "b"), 10);
    struct status s = farm_status(f, "b");
    assert_true(s.b.done_ms > 0);
    assert_int_equal(s.b.total, 10);
    assert_int_equal(farm_chunk(f, "b", 10, 5).err, ERR_ORDER); // its client learns of it
    assert_int_equal(farm_create(f, "empty", "ann").err, OK);
    assert_int_equal(cancel_all(f, "empty"), 0);
    assert_true(farm_status(f, "empty").b.done_ms > 0);
    audit(f->server);
}

static void delayed_and_active_jobs_are_cancelled(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 9);
    struct claims *c = claim_ok(f, &h, 6, 6);
    assert_int_equal(farm_requeue(f, &h, 3600000, 3, c->jobs).err, OK);
    assert_string_equal(farm_sent(f, &h, 1, c->jobs + 3).text, "1");
    assert_int_equal(cancel_all(f, "b"), 9);
    assert_true(farm_status(f, "b").b.done_ms > 0);
    assert_string_equal(farm_sent(f, &h, 2, c->jobs + 4).text, "00"); // no call for them
    assert_int_equal(farm_renew(f, &h).active, 1);                    // nor held any longer
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs + 3).text, "d");
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.cancelled, 9);
    assert_int_equal(s.b.completed, 0);
    assert_int_equal(s.b.cost_micro, 39000); // but its money was spent
    assert_int_equal(farm_leave(f, &h).err, OK);
    audit(f->server);
    free(c);
}

static void single_jobs_are_cancelled(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 6);
    const uint32_t some[] = {1, 3, 3, 77};
    assert_int_equal(farm_cancel(f, "b", 4, some).value, 2); // 3 once, 77 is not there
    assert_int_equal(farm_cancel(f, "b", 4, some).value, 0);
    assert_int_equal(farm_status(f, "b").b.cancelled, 2);
    audit(f->server);
    struct claims *c = claim_ok(f, &h, 6, 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(c->jobs[i].ticket.index != 1 && c->jobs[i].ticket.index != 3);
    assert_int_equal(c->ready, 0);
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 4, c->jobs).text, "1111");
    assert_true(farm_status(f, "b").b.done_ms > 0);
    audit(f->server);
    free(c);
}

// What waits of a batch that ended by single cancellations would be counted as ready for ever.
static void nothing_waits_of_a_batch_that_ended(void **state)
{
    struct farm *f = *state;
    const uint32_t all[] = {0, 1, 2};
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 3);
    assert_int_equal(farm_cancel(f, "b", 3, all).value, 3);
    assert_true(farm_status(f, "b").b.done_ms > 0);
    assert_int_equal(farm_renew(f, &h).ready, 0);
    audit(f->server);
}

// Tickets of cancelled jobs may be many; a claim passes over a bounded number of them.
static void a_claim_among_many_cancelled_is_bounded(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    uint32_t indexes[1000];
    farm_submit(f, "b", "ann", NULL, 5001);
    for (uint32_t at = 0; at < 5000; at += 1000) {
        for (uint32_t i = 0; i < 1000; i++)
            indexes[i] = at + i;
        assert_int_equal(farm_cancel(f, "b", 1000, indexes).value, 1000);
    }
    int claims = 1;
    struct claims *c = farm_claim(f, &h, 1);
    assert_int_equal(c->n, 0);
    for (; c->n == 0 && claims < 20; claims++) {
        audit(f->server);
        assert_true(c->ready > 0); // it is told to come again
        free(c);
        c = farm_claim(f, &h, 1);
    }
    assert_int_equal(c->n, 1);
    assert_int_equal(c->jobs[0].ticket.index, 5000);
    assert_in_range(claims, 4, 7);
    audit(f->server);
    free(c);
}

// --- Opening again ---

static void ended_jobs_are_opened_again(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    const uint32_t all[] = {0, 1, 2, 3};
    farm_submit(f, "b", "ann", NULL, 4);
    struct claims *c = claim_ok(f, &h, 4, 4);
    farm_settle(f, &h, QUEUE_FAILED, 2, c->jobs);
    farm_settle(f, &h, QUEUE_COMPLETED, 2, c->jobs + 2);
    assert_true(farm_status(f, "b").b.done_ms > 0);
    struct told t = farm_retry(f, "b", 3, 2, all);
    assert_int_equal(t.err, ERR_ORDER); // not the next run
    assert_int_equal(t.value, 1);
    t = farm_retry(f, "b", 2, 2, all);
    assert_int_equal(t.err, OK);
    assert_int_equal(t.value, 2);
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.run, 2);
    assert_int_equal(s.b.open, 2);
    assert_int_equal(s.b.failed, 0);
    assert_int_equal(s.b.done_ms, 0);
    assert_int_equal(redis_server_number(f->server, "PTTL " FARM_PREFIX "in:b"), -1);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "expiring"), 0);
    audit(f->server);
    assert_int_equal(farm_retry(f, "b", 2, 2, all).value, 0); // sent again
    free(c);
    c = claim_ok(f, &h, 4, 2);
    assert_int_equal(c->jobs[0].ticket.run, 2);
    assert_int_equal(c->jobs[0].ticket.attempts, 0);
    farm_settle(f, &h, QUEUE_FAILED, 2, c->jobs);
    assert_int_equal(farm_retry(f, "b", 2, 2, all).value, 0); // still the same message
    assert_int_equal(farm_retry(f, "b", 2, 4, all).value, 2); // what it goes on with
    audit(f->server);
    assert_int_equal(farm_retry(f, "b", 3, 1, all).value, 1); // the next one
    audit(f->server);
    assert_int_equal(farm_work_off(f, &h), 3);
    assert_int_equal(farm_events(f, "b", EVENT_REOPENED, -1), 3);
    assert_int_equal(farm_events(f, "b", EVENT_BATCH_DONE, -1), 3);
    audit(f->server);
    free(c);
}

// A job that is cancelled while it waits, and opened again, has two tickets: one is void.
static void an_old_ticket_is_void(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    const uint32_t one = 1;
    farm_submit(f, "b", "ann", NULL, 3);
    assert_int_equal(farm_cancel(f, "b", 1, &one).value, 1);
    assert_int_equal(farm_retry(f, "b", 2, 1, &one).value, 1);
    audit(f->server);
    struct claims *c = claim_ok(f, &h, 9, 3);
    unsigned seen = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->jobs[i].ticket.index == one) {
            assert_int_equal(c->jobs[i].ticket.run, 2);
            seen++;
        }
    assert_int_equal(seen, 1);
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 3, c->jobs).text, "111");
    audit(f->server);
    free(c);
}

// The worker that still calls for the first run cannot end the second.
static void an_old_run_ends_nothing(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1"), k = farm_hand(f, "w2");
    const uint32_t both[] = {0, 1};
    farm_submit(f, "b", "ann", NULL, 2);
    struct claims *c = claim_ok(f, &h, 2, 2);
    assert_string_equal(farm_sent(f, &h, 1, c->jobs).text, "1");
    assert_int_equal(farm_cancel(f, "b", 2, both).value, 2);
    assert_int_equal(farm_retry(f, "b", 2, 2, both).value, 2);
    audit(f->server);
    struct claims *d = claim_ok(f, &k, 2, 2);
    assert_string_equal(farm_sent(f, &h, 1, c->jobs + 1).text, "0");
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs).text, "d");
    assert_int_equal(farm_status(f, "b").b.open, 2);
    assert_string_equal(farm_settle(f, &k, QUEUE_COMPLETED, 2, d->jobs).text, "11");
    audit(f->server);
    free(c), free(d);
}

static void an_old_run_is_not_taken_back(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    const uint32_t both[] = {0, 1};
    farm_submit(f, "b", "ann", NULL, 2);
    free(claim_ok(f, &h, 2, 2));
    assert_int_equal(farm_cancel(f, "b", 2, both).value, 2);
    assert_int_equal(farm_retry(f, "b", 2, 2, both).value, 2);
    farm_expire(f, &h);
    farm_tick_all(f);
    assert_int_equal(redis_server_number(f->server, "LLEN " FARM_PREFIX "r:" FARM_ROUTE "/b"),
                     2);
    audit(f->server);
}

static void a_run_above_another_is_cancelled_in_its_own(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    const uint32_t none = 0;
    farm_submit(f, "b", "ann", NULL, 3);
    struct claims *c = claim_ok(f, &h, 1, 1);
    farm_settle(f, &h, QUEUE_FAILED, 1, c->jobs);
    assert_int_equal(farm_retry(f, "b", 2, 1, &none).value, 1);
    assert_int_equal(cancel_all(f, "b"), 3); // job 0 in run 2, the others in run 1
    assert_int_equal(farm_retry(f, "b", 3, 1, &none).value, 1);
    audit(f->server);
    free(c);
}

// --- Pausing ---

static void a_paused_batch_is_not_claimed(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 6);
    farm_submit(f, "c", "ann", NULL, 2);
    struct claims *c = claim_ok(f, &h, 2, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(farm_pause(f, "b", true).err, OK);
    assert_true(farm_status(f, "b").b.paused);
    audit(f->server);
    struct claims *d = farm_claim(f, &h, 20);
    for (size_t i = 0; i < d->n; i++)
        assert_string_equal(d->jobs[i].batch, "c");
    assert_int_equal(d->ready, 0);
    farm_settle(f, &h, QUEUE_REQUEUE, c->n, c->jobs); // comes back, and waits
    audit(f->server);
    for (int i = 0; i < 2; i++)
        assert_int_equal(farm_pause(f, "b", false).err, OK);
    audit(f->server);
    farm_settle(f, &h, QUEUE_COMPLETED, d->n, d->jobs);
    assert_int_equal(farm_work_off(f, &h), 8 - d->n);
    audit(f->server);
    free(c), free(d);
}

// Somebody who pauses what waits for money means it: more of that does not go on with it.
static void a_pause_outlives_a_budget(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 2);
    redis_server_do(f->server, "HSET " FARM_PREFIX "b:b budget 5");
    struct claims *c = claim_ok(f, &h, 2, 2);
    assert_string_equal(farm_sent_as(f, &h, ++h.mark, 1, c->jobs, 9).text, "b");
    assert_true(farm_status(f, "b").b.paused);
    farm_settle(f, &h, QUEUE_REQUEUE, 2, c->jobs);
    assert_int_equal(farm_pause(f, "b", true).err, OK);
    struct told t = {0};
    farm_wait(f, queue_budget(f->queue, SPAN("b"), 100, told_value, &t), &t);
    struct claims *none = farm_claim(f, &h, 2);
    assert_int_equal(none->n, 0);
    assert_int_equal(farm_pause(f, "b", false).err, OK);
    assert_int_equal(farm_work_off(f, &h), 2);
    audit(f->server);
    free(c), free(none);
}

static int64_t raise_budget(struct farm *f, int64_t micro)
{
    struct told t = {0};
    farm_wait(f, queue_budget(f->queue, SPAN("b"), micro, told_value, &t), &t);
    assert_int_equal(t.err, OK);
    return t.value;
}

// n jobs of which a call may cost 5, with a budget of 100.
static struct claims *dear(struct farm *f, struct hand *h, uint32_t n)
{
    farm_submit(f, "b", "ann", NULL, n);
    redis_server_do(f->server, "HSET " FARM_PREFIX "b:b budget 100 cheapest 5");
    return claim_ok(f, h, n, n);
}

static bool waits_for_money(struct farm *f)
{
    audit(f->server);
    return farm_status(f, "b").b.paused;
}

static void set_aside(struct farm *f, struct hand *h, size_t n, const struct held *jobs)
{
    assert_int_equal(strspn(farm_sent_as(f, h, ++h->mark, n, jobs, 200).text, "B"), n);
    assert_int_equal(strspn(farm_set_aside(f, h, 200, n, jobs).text, "1"), n);
}

// Jobs that never fit their batch's budget wait for a larger one, and the others go on.
static void the_others_go_on(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct claims *c = dear(f, &h, 6);
    set_aside(f, &h, 3, c->jobs);
    assert_false(waits_for_money(f));
    struct claims *none = claim_ok(f, &h, 6, 0);
    assert_string_equal(farm_sent_as(f, &h, ++h.mark, 3, c->jobs + 3, 30).text, "111");
    farm_settle(f, &h, QUEUE_COMPLETED, 2, c->jobs + 3);
    assert_false(waits_for_money(f));
    farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs + 5);
    assert_true(waits_for_money(f));
    assert_int_equal(raise_budget(f, 10000000), 3);
    assert_false(waits_for_money(f));
    struct claims *d = claim_ok(f, &h, 6, 3);
    assert_string_equal(farm_sent_as(f, &h, ++h.mark, 3, d->jobs, 200).text, "111");
    farm_settle(f, &h, QUEUE_COMPLETED, 3, d->jobs);
    assert_int_equal(farm_status(f, "b").b.completed, 6);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "mf:b"), 0);
    audit(f->server);
    free(c), free(d), free(none);
}

// Whatever ends the last one that fits, and whatever becomes of those that do not.
static void nothing_else_is_open(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    const uint32_t one[] = {0}, last[] = {3};
    struct claims *c = dear(f, &h, 4);
    set_aside(f, &h, 3, c->jobs);
    farm_cancel(f, "b", 1, one); // one that was set aside: two are left, and the last
    assert_false(waits_for_money(f));
    farm_cancel(f, "b", 1, last);
    assert_true(waits_for_money(f));
    assert_int_equal(farm_pause(f, "b", false).err, OK);
    struct claims *d = claim_ok(f, &h, 4, 2);
    set_aside(f, &h, 1, d->jobs);
    assert_false(waits_for_money(f));
    set_aside(f, &h, 1, d->jobs + 1);
    assert_true(waits_for_money(f));
    assert_int_equal(cancel_all(f, "b"), 2);
    assert_true(farm_status(f, "b").b.done_ms > 0);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "mf:b"), 0);
    audit(f->server);
    free(c), free(d);
}

static void the_last_one_is_lost(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct claims *c = dear(f, &h, 2);
    set_aside(f, &h, 1, c->jobs);
    assert_string_equal(farm_sent_to_fail(f, &h, 1, c->jobs + 1).text, "1");
    farm_expire(f, &h);
    farm_tick_all(f);
    assert_int_equal(farm_status(f, "b").b.failed, 1);
    assert_true(waits_for_money(f));
    free(c);
}

// What was said of a job in a run before says nothing of the next.
static void an_old_run_does_not_name_it(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1"), late = farm_hand(f, "w2");
    const uint32_t one[] = {0};
    struct claims *c = dear(f, &late, 1);
    farm_cancel(f, "b", 1, one);
    assert_int_equal(farm_retry(f, "b", 2, 1, one).value, 1);
    struct claims *d = claim_ok(f, &h, 1, 1);
    set_aside(f, &h, 1, d->jobs);
    assert_true(waits_for_money(f));
    assert_string_equal(farm_settle(f, &late, QUEUE_COMPLETED, 1, c->jobs).text, "d");
    assert_int_equal(redis_server_number(f->server, "HLEN " FARM_PREFIX "mf:b"), 1);
    free(c), free(d);
}

static void not_before_all_is_there(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct claims *c = dear(f, &h, 2);
    redis_server_do(f->server, "HSET " FARM_PREFIX "b:b sealed 0");
    set_aside(f, &h, 2, c->jobs);
    assert_false(waits_for_money(f));
    assert_int_equal(farm_seal(f, "b", 2).err, OK);
    assert_true(waits_for_money(f));
    free(c);
}

// The budget is raised between the refusal and what the worker says of it.
static void it_fits_by_now(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct claims *c = dear(f, &h, 2);
    assert_string_equal(farm_sent_as(f, &h, ++h.mark, 2, c->jobs, 200).text, "BB");
    assert_int_equal(raise_budget(f, 1000), 0);
    assert_string_equal(farm_set_aside(f, &h, 200, 2, c->jobs).text, "11");
    assert_int_equal(farm_work_off(f, &h), 2);
    audit(f->server);
    free(c);
}

static void some_at_a_time(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct claims *c = dear(f, &h, 600);
    set_aside(f, &h, 600, c->jobs);
    assert_true(waits_for_money(f));
    assert_int_equal(raise_budget(f, 1000), 500);
    assert_int_equal(raise_budget(f, 1000), 100);
    assert_int_equal(raise_budget(f, 1000), 0);
    assert_false(waits_for_money(f));
    assert_int_equal(farm_work_off(f, &h), 600);
    audit(f->server);
    free(c);
}

static void a_paused_batch_can_be_cancelled(void **state)
{
    struct farm *f = *state;
    farm_submit(f, "b", "ann", NULL, 6);
    assert_int_equal(farm_pause(f, "b", true).err, OK);
    assert_int_equal(cancel_all(f, "b"), 6);
    assert_true(farm_status(f, "b").b.done_ms > 0);
    const uint32_t some[] = {0, 1};
    assert_int_equal(farm_retry(f, "b", 2, 2, some).value, 2); // it is paused still
    audit(f->server);
    assert_int_equal(farm_pause(f, "b", false).err, OK);
    struct hand h = farm_hand(f, "w1");
    assert_int_equal(farm_work_off(f, &h), 2);
    audit(f->server);
}

static void the_whole_queue_is_paused(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 6);
    assert_int_equal(farm_pause(f, "", true).err, OK);
    struct claims *none = claim_ok(f, &h, 6, 0);
    assert_int_equal(none->ready, 0); // else it would be claimed again at once, for ever
    assert_int_equal(farm_renew(f, &h).ready, 0);
    free(none);
    assert_int_equal(farm_pause(f, "", false).err, OK);
    assert_int_equal(farm_renew(f, &h).ready, 6);
    free(claim_ok(f, &h, 6, 6));
}

static void held_for_an_account(struct farm *f)
{
    struct told t = {0};
    struct buf event = {.max = 256};
    event_encode(&event, &(struct event){.type = EVENT_BLOCKED, .run = 1});
    enum err e =
        queue_held(f->queue, SPAN("b"), SPAN("0123456789abcdef"), SPAN("user:ann"),
                   SPAN("usd/month"), INT64_C(1) << 50, buf_span(&event), told_value, &t);
    assert_int_equal(farm_wait(f, e, &t).value, 1);
    buf_free(&event);
}

// One is refused by a quota; it goes, and those that wait for money are left.
static void a_quota_and_a_budget(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    const uint32_t last[] = {1};
    struct claims *c = dear(f, &h, 2);
    set_aside(f, &h, 1, c->jobs);
    held_for_an_account(f);
    farm_requeue(f, &h, 0, 1, c->jobs + 1);
    assert_true(waits_for_money(f));
    farm_cancel(f, "b", 1, last);
    redis_server_do(f->server, "ZADD " FARM_PREFIX "held 1 b");
    farm_tick_all(f);
    assert_true(waits_for_money(f));
    assert_int_equal(raise_budget(f, 1000), 1);
    assert_int_equal(farm_work_off(f, &h), 1);
    audit(f->server);
    free(c);
}

// What has no room is tried again when its time has come, unless somebody paused it meanwhile.
static void a_batch_that_is_held_is_tried_again(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 6);
    held_for_an_account(f);
    free(claim_ok(f, &h, 6, 0));
    redis_server_do(f->server, "ZADD " FARM_PREFIX "held 1 b");
    assert_int_equal(farm_tick(f).err, OK);
    assert_false(farm_status(f, "b").b.paused);
    free(claim_ok(f, &h, 2, 2));
    held_for_an_account(f);
    assert_int_equal(farm_pause(f, "b", true).err, OK);
    redis_server_do(f->server, "ZADD " FARM_PREFIX "held 1 b");
    assert_int_equal(farm_tick(f).err, OK);
    assert_true(farm_status(f, "b").b.paused);
    assert_int_equal(farm_pause(f, "b", false).err, OK);
    free(claim_ok(f, &h, 6, 4));
    audit(f->server);
}

// --- Looking ---

struct seen {
    bool done;
    enum err err;
    size_t n;
    char text[256];
    uint8_t states[64];
};

static void saw_names(void *ctx, enum err e, const struct span *names, size_t n)
{
    struct seen *s = ctx;
    s->done = true;
    s->err = e;
    s->n = n;
    for (size_t i = 0; i < n; i++)
        snprintf(s->text + strlen(s->text), sizeof s->text - strlen(s->text), "%.*s ",
                 (int)names[i].len, names[i].ptr);
}

static void batches_are_listed(void **state)
{
    struct farm *f = *state;
    struct seen s = {0};
    farm_submit(f, "first", "ann", NULL, 1);
    redis_server_do(f->server, "ZINCRBY " FARM_PREFIX "batches -5 first"); // 5 ms ago
    farm_submit(f, "second", "ann", NULL, 1);
    assert_int_equal(queue_list(f->queue, 10, saw_names, &s), OK);
    wait_for(f->loop, &s.done, "a list");
    assert_string_equal(s.text, "second first ");
    s = (struct seen){0};
    assert_int_equal(queue_list(f->queue, 1, saw_names, &s), OK);
    wait_for(f->loop, &s.done, "a list");
    assert_string_equal(s.text, "second ");
}

static void saw_states(void *ctx, enum err e, const uint8_t *states, size_t n)
{
    struct seen *s = ctx;
    s->done = true;
    s->err = e;
    s->n = n;
    if (n)
        memcpy(s->states, states, n);
}

static void states_are_told(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct seen s = {0};
    const uint32_t eight = 8;
    farm_submit(f, "b", "ann", NULL, 20);
    struct claims *c = claim_ok(f, &h, 7, 7);
    farm_settle(f, &h, QUEUE_COMPLETED, 5, c->jobs);
    farm_settle(f, &h, QUEUE_FAILED, 2, c->jobs + 5);
    farm_cancel(f, "b", 1, &eight);
    assert_int_equal(queue_states(f->queue, SPAN("b"), 3, 17, saw_states, &s), OK);
    wait_for(f->loop, &s.done, "states");
    const uint8_t want[17] = {1, 1, 2, 2, 0, 3};
    assert_int_equal(s.n, 17);
    assert_memory_equal(s.states, want, 17);
    free(c);
}

static void saw_inputs(void *ctx, enum err e, const struct span *inputs, size_t n)
{
    struct seen *s = ctx;
    s->done = true;
    s->err = e;
    s->n = n;
    for (size_t i = 0; i < n; i++) {
        struct span id = {0}, map;
        if (inputs[i].len)
            assert_int_equal(job_input_read(inputs[i], &id, &map), OK);
        snprintf(s->text + strlen(s->text), sizeof s->text - strlen(s->text), "[%.*s]",
                 (int)id.len, id.len ? id.ptr : "");
    }
}

static void inputs_are_kept(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct seen s = {0};
    farm_submit(f, "b", "ann", NULL, 5);
    farm_work_off(f, &h);
    const uint32_t which[] = {4, 9, 0};
    assert_int_equal(queue_inputs(f->queue, SPAN("b"), 3, which, saw_inputs, &s), OK);
    wait_for(f->loop, &s.done, "inputs");
    assert_string_equal(s.text, "[job-4][][job-0]");
}

static void saw_workers(void *ctx, enum err e, const struct queue_worker *w, size_t n)
{
    struct seen *s = ctx;
    s->done = true;
    s->err = e;
    s->n = n;
    for (size_t i = 0; i < n; i++) {
        assert_true(w[i].since_ms > 0 && w[i].lease_ends_ms > w[i].since_ms);
        snprintf(s->text + strlen(s->text), sizeof s->text - strlen(s->text), "%.*s@%.*s ",
                 (int)w[i].inc.len, w[i].inc.ptr, (int)w[i].host.len, w[i].host.ptr);
    }
}

static void workers_are_listed(void **state)
{
    struct farm *f = *state;
    struct seen s = {0};
    farm_hand(f, "w1");
    farm_hand(f, "w2");
    redis_server_do(f->server, "ZINCRBY " FARM_PREFIX "leases 5 w2");
    assert_int_equal(queue_workers(f->queue, saw_workers, &s), OK);
    wait_for(f->loop, &s.done, "workers");
    assert_string_equal(s.text, "w2@here w1@here ");
}

struct stream {
    bool done;
    size_t n;
    uint64_t last;
};

static void saw_events(void *ctx, enum err e, const struct queue_event *ev, size_t n)
{
    struct stream *s = ctx;
    assert_int_equal(e, OK);
    s->done = true;
    s->n = n;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(ev[i].number, s->last + 1);
        s->last++;
    }
}

static void events_are_read_from_anywhere(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct stream s = {.last = 3};
    farm_submit(f, "b", "ann", NULL, 10);
    farm_work_off(f, &h);
    assert_int_equal(queue_events(f->queue, SPAN("b"), 3, 5, 0, saw_events, &s), OK);
    wait_for(f->loop, &s.done, "events");
    assert_int_equal(s.n, 5);
    s = (struct stream){.last = 12}; // after the last
    assert_int_equal(queue_events(f->queue, SPAN("b"), 12, 5, 0, saw_events, &s), OK);
    wait_for(f->loop, &s.done, "events");
    assert_int_equal(s.n, 0);
}

static void events_and_work_are_waited_for(void **state)
{
    struct farm *f = *state;
    struct link *own = link_new(f->loop, redis_server_url(f->server), NULL);
    struct queue *q = queue_new(own->redis, SPAN("q"), 5);
    struct stream s = {0};
    struct told t = {0};
    link_up(own);
    assert_int_equal(queue_events(q, SPAN("b"), 0, 5, 5, saw_events, &s), OK);
    assert_int_equal(farm_create(f, "b", "ann").err, OK);
    wait_for(f->loop, &s.done, "an event");
    assert_int_equal(s.n, 1);
    assert_int_equal(queue_wait(q, 5, told_value, &t), OK);
    wait_seconds(f->loop, 0.02);
    assert_false(t.done);
    assert_int_equal(farm_chunk(f, "b", 0, 1).err, OK);
    wait_for(f->loop, &t.done, "to be woken");
    assert_int_equal(t.value, 1);
    redis_server_do(f->server, "DEL " FARM_PREFIX "wake");
    t = (struct told){0};
    assert_int_equal(queue_wait(q, 0.02, told_value, &t), OK);
    wait_for(f->loop, &t.done, "the end of the wait");
    assert_int_equal(t.err, OK);
    assert_int_equal(t.value, 0);
    queue_free(q);
    link_free(own);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(a_batch_is_cancelled_though_nobody_works),
        T(workers_go_on_with_a_cancellation),
        T(an_unsealed_batch_is_cancelled_too),
        T(delayed_and_active_jobs_are_cancelled),
        T(single_jobs_are_cancelled),
        T(nothing_waits_of_a_batch_that_ended),
        T(a_claim_among_many_cancelled_is_bounded),
        T(ended_jobs_are_opened_again),
        T(an_old_ticket_is_void),
        T(an_old_run_ends_nothing),
        T(an_old_run_is_not_taken_back),
        T(a_run_above_another_is_cancelled_in_its_own),
        T(a_paused_batch_is_not_claimed),
        T(a_pause_outlives_a_budget),
        T(the_others_go_on),
        T(nothing_else_is_open),
        T(the_last_one_is_lost),
        T(an_old_run_does_not_name_it),
        T(not_before_all_is_there),
        T(it_fits_by_now),
        T(some_at_a_time),
        T(a_paused_batch_can_be_cancelled),
        T(the_whole_queue_is_paused),
        T(a_quota_and_a_budget),
        T(a_batch_that_is_held_is_tried_again),
        T(batches_are_listed),
        T(states_are_told),
        T(inputs_are_kept),
        T(workers_are_listed),
        T(events_are_read_from_anywhere),
        T(events_and_work_are_waited_for),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
