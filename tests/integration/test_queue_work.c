// test_queue_work.c - the life of a job with a worker: leases, claims, sent marks, settles, and
// what becomes of jobs whose workers are lost.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "farm.h"
#include "test.h"

static struct claims *claim_ok(struct farm *f, struct hand *h, unsigned want, size_t n)
{
    struct claims *c = farm_claim(f, h, want);
    assert_int_equal(c->err, OK);
    assert_int_equal(c->n, n);
    return c;
}

static void assert_marks(struct marks m, const char *text)
{
    assert_int_equal(m.err, OK);
    assert_string_equal(m.text, text);
}

// --- Leases ---

static void only_fresh_workers_register(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    assert_int_equal(farm_register(f, "w1").err, OK); // its answer may have been lost
    free(claim_ok(f, &h, 1, 0));
    assert_int_equal(farm_register(f, "w1").err, ERR_ORDER);
    assert_int_equal(farm_leave(f, &h).err, OK);
    assert_int_equal(farm_leave(f, &h).err, OK);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "leases"), 0);
}

static void without_a_lease_nothing_is_done(void **state)
{
    struct farm *f = *state;
    struct hand h = {.inc = "nobody"};
    struct held job = {.batch = "b", .id = "x"};
    farm_submit(f, "b", "ann", NULL, 3);
    struct claims *c = farm_claim(f, &h, 3);
    assert_int_equal(c->err, ERR_LOST);
    free(c);
    assert_int_equal(farm_sent(f, &h, 1, &job).err, ERR_LOST);
    assert_int_equal(farm_settle(f, &h, QUEUE_COMPLETED, 1, &job).err, ERR_LOST);
    assert_int_equal(farm_renew(f, &h).err, ERR_LOST);
    assert_int_equal(farm_status(f, "b").b.open, 3);
    audit(f->server);
}

static void a_lease_ends(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 3);
    struct claims *c = claim_ok(f, &h, 3, 3);
    assert_int_equal(farm_renew(f, &h).active, 3);
    farm_expire(f, &h);
    assert_int_equal(farm_sent(f, &h, 3, c->jobs).err, ERR_LOST);
    assert_int_equal(farm_settle(f, &h, QUEUE_COMPLETED, 3, c->jobs).err, ERR_LOST);
    assert_int_equal(farm_renew(f, &h).err, ERR_LOST);
    audit(f->server);
    free(c);
}

static void who_holds_jobs_does_not_leave(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 3);
    struct claims *c = claim_ok(f, &h, 3, 3);
    struct told t = farm_leave(f, &h);
    assert_int_equal(t.err, ERR_ORDER);
    assert_int_equal(t.value, 3);
    assert_marks(farm_settle(f, &h, QUEUE_REQUEUE, 3, c->jobs), "111");
    assert_int_equal(farm_leave(f, &h).err, OK);
    audit(f->server);
    free(c);
}

// --- Claims ---

static void claims_carry_what_is_needed(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 3);
    struct claims *c = claim_ok(f, &h, 2, 2);
    for (uint32_t i = 0; i < 2; i++) {
        char id[16];
        snprintf(id, sizeof id, "job-%u", i);
        assert_string_equal(c->jobs[i].batch, "b");
        assert_string_equal(c->jobs[i].user, "ann");
        assert_string_equal(c->jobs[i].list, FARM_ROUTE "/b");
        assert_string_equal(c->jobs[i].id, id);
        assert_int_equal(c->jobs[i].total, 3);
        assert_int_equal(c->jobs[i].ticket.index, i);
        assert_int_equal(c->jobs[i].ticket.run, 1);
        assert_int_equal(c->jobs[i].ticket.attempts, 0);
    }
    assert_int_equal(c->ready, 1);
    audit(f->server);
    free(c);
}

static void a_claim_sent_again_gives_the_same(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 10);
    struct claims *a = claim_ok(f, &h, 4, 4);
    struct claims *b = farm_claim_at(f, &h, 1, 4, NULL);
    assert_int_equal(b->n, 4);
    assert_memory_equal(a->jobs, b->jobs, 4 * sizeof a->jobs[0]);
    assert_int_equal(farm_renew(f, &h).active, 4);
    assert_marks(farm_settle(f, &h, QUEUE_COMPLETED, 2, a->jobs), "11");
    struct claims *rest = farm_claim_at(f, &h, 1, 4, NULL); // what still exists under it
    assert_int_equal(rest->n, 2);
    assert_int_equal(rest->jobs[0].ticket.index, 2);
    struct claims *next = farm_claim_at(f, &h, 2, 1, NULL);
    struct claims *late = farm_claim_at(f, &h, 1, 4, NULL); // came in late: pops nothing
    assert_int_equal(next->n, 1);
    assert_int_equal(late->n, 0);
    assert_int_equal(farm_renew(f, &h).active, 3);
    audit(f->server);
    free(a), free(b), free(rest), free(next), free(late);
}

static void an_empty_claim_counts_too(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    free(claim_ok(f, &h, 5, 0));
    farm_submit(f, "b", "ann", NULL, 3);
    struct claims *c = farm_claim_at(f, &h, 1, 5, NULL); // the same one, delayed on its way
    assert_int_equal(c->n, 0);
    free(c);
    assert_int_equal(farm_renew(f, &h).active, 0);
}

static void only_what_is_asked_for(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", "1/flex/m", 3);
    farm_submit(f, "c", "ann", "1/standard/other", 3);
    struct claims *c = claim_ok(f, &h, 5, 0);
    assert_int_equal(c->ready, 6); // but it learns of them
    free(c);
    c = farm_claim_at(f, &h, 2, 5, "flex/m");
    assert_int_equal(c->n, 3);
    free(c);
    audit(f->server);
}

static void users_and_batches_share(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "a1", "ann", NULL, 400);
    farm_submit(f, "a2", "ann", NULL, 400);
    farm_submit(f, "b1", "bob", NULL, 20);
    farm_submit(f, "c1", "cid", NULL, 5);
    unsigned ann = 0, first = 0, bob = 0, cid = 0;
    for (int i = 0; i < 6; i++) {
        struct claims *c = claim_ok(f, &h, 10, 10);
        for (size_t k = 0; k < c->n; k++) {
            ann += !strcmp(c->jobs[k].user, "ann");
            first += !strcmp(c->jobs[k].batch, "a1");
            bob += !strcmp(c->jobs[k].user, "bob");
            cid += !strcmp(c->jobs[k].user, "cid");
        }
        free(c);
    }
    assert_int_equal(cid, 5); // who has little is through with it
    assert_true(bob >= 16);   // a third of 60, about
    assert_true(ann <= 39);
    assert_true(first >= ann / 3 && first <= 2 * ann / 3);
    audit(f->server);
}

static void single_claims_go_round(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "a", "ann", NULL, 50);
    farm_submit(f, "b", "bob", NULL, 50);
    unsigned ann = 0;
    for (int i = 0; i < 20; i++) {
        struct claims *c = claim_ok(f, &h, 1, 1);
        ann += !strcmp(c->jobs[0].user, "ann");
        free(c);
    }
    assert_int_equal(ann, 10);
}

static void priorities_are_weighted(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    unsigned of[3] = {0};
    farm_submit(f, "low", "ann", "2/" FARM_LANE, 50);
    farm_submit(f, "normal", "ann", "1/" FARM_LANE, 50);
    farm_submit(f, "high", "ann", "0/" FARM_LANE, 50);
    for (int i = 0; i < 42; i++) {
        struct claims *c = claim_ok(f, &h, 1, 1);
        of[c->jobs[0].list[0] - '0']++;
        free(c);
    }
    assert_int_equal(of[0], 32); // 16 : 4 : 1
    assert_int_equal(of[1], 8);
    assert_int_equal(of[2], 2);
    struct claims *c = farm_claim(f, &h, 200); // nothing is left over
    assert_int_equal(c->n, 108);
    free(c);
    audit(f->server);
}

// --- Settles ---

static void a_batch_is_worked_off(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 1500);
    assert_int_equal(farm_work_off(f, &h), 1500);
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.completed, 1500);
    assert_int_equal(s.b.open, 0);
    assert_int_equal(s.b.images, 1500);
    assert_int_equal(s.b.cost_micro, 1500 * 39000);
    assert_int_equal(s.b.output_tokens, 1500 * 1290);
    assert_int_equal(s.b.bytes, 1500 * 1000);
    assert_true(s.b.done_ms > 0);
    assert_int_equal(farm_events(f, "b", EVENT_COMPLETED, -1), 1500);
    assert_int_equal(farm_events(f, "b", EVENT_BATCH_DONE, -1), 1);
    assert_int_equal(s.b.last_event, 1502);
    audit(f->server);
}

static void every_way_to_end(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 6);
    struct claims *c = claim_ok(f, &h, 6, 6);
    assert_marks(farm_sent(f, &h, 6, c->jobs), "111111");
    assert_int_equal(farm_status(f, "b").b.calls, 0); // not known yet to have gone out
    assert_marks(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs), "1");
    assert_marks(farm_settle(f, &h, QUEUE_FAILED, 1, c->jobs + 1), "1");
    assert_marks(farm_settle(f, &h, QUEUE_CANCELLED, 1, c->jobs + 2), "1");
    audit(f->server);
    c->jobs[3].ticket.attempts = 1;
    c->jobs[4].ticket.limited = 7;
    assert_marks(farm_settle(f, &h, QUEUE_REQUEUE, 1, c->jobs + 3), "1");
    assert_marks(farm_settle(f, &h, QUEUE_NOTE, 1, c->jobs + 4), "1");
    audit(f->server);
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.completed, 1);
    assert_int_equal(s.b.failed, 1);
    assert_int_equal(s.b.cancelled, 1);
    assert_int_equal(s.b.open, 3);
    struct claims *again = claim_ok(f, &h, 6, 1); // the one that went back, with its ticket
    assert_int_equal(again->jobs[0].ticket.index, 3);
    assert_int_equal(again->jobs[0].ticket.attempts, 1);
    assert_marks(farm_sent(f, &h, 1, c->jobs + 4), "1"); // noted: may be sent again
    assert_int_equal(farm_status(f, "b").b.calls, 5);
    assert_marks(farm_settle(f, &h, QUEUE_COMPLETED, 2, c->jobs + 4), "11");
    assert_marks(farm_settle(f, &h, QUEUE_COMPLETED, 1, again->jobs), "1");
    assert_true(farm_status(f, "b").b.done_ms > 0);
    audit(f->server);
    free(c), free(again);
}

static void a_settle_sent_again_gives_the_same(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 3);
    struct claims *c = claim_ok(f, &h, 3, 3);
    assert_marks(farm_settle(f, &h, QUEUE_COMPLETED, 2, c->jobs), "11");
    h.number--;
    assert_marks(farm_settle(f, &h, QUEUE_COMPLETED, 2, c->jobs), "11");
    assert_int_equal(farm_status(f, "b").b.completed, 2);
    assert_int_equal(farm_status(f, "b").b.images, 2); // not counted twice
    assert_int_equal(farm_events(f, "b", EVENT_COMPLETED, -1), 2);
    audit(f->server);
    free(c);
}

// A settle that was delayed on its way, and comes in when its successor has been.
static void a_late_settle_does_nothing(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 2);
    struct claims *c = claim_ok(f, &h, 2, 2);
    assert_marks(farm_settle(f, &h, QUEUE_NOTE, 1, c->jobs), "1");          // number 1
    assert_marks(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs + 1), "1"); // number 2
    assert_marks(farm_sent(f, &h, 1, c->jobs), "1");
    h.number = 0;
    farm_settle(f, &h, QUEUE_NOTE, 1, c->jobs); // 1 again: it must not undo the mark
    h.number = 1;
    assert_marks(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs + 1), "1"); // 2 again
    farm_expire(f, &h);
    farm_tick_all(f);
    assert_int_equal(farm_events(f, "b", EVENT_UNKNOWN, 0), 1); // was sent
    audit(f->server);
    free(c);
}

static void nothing_ends_twice(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1"), k = farm_hand(f, "w2");
    farm_submit(f, "b", "ann", NULL, 2);
    struct claims *c = claim_ok(f, &h, 2, 2);
    struct held twice[] = {c->jobs[0], c->jobs[0]};
    assert_marks(farm_settle(f, &h, QUEUE_COMPLETED, 2, twice), "1d"); // named twice
    assert_marks(farm_settle(f, &h, QUEUE_FAILED, 1, c->jobs), "0");   // gone
    farm_expire(f, &h);
    farm_tick_all(f);
    struct claims *d = claim_ok(f, &k, 2, 1);
    assert_int_equal(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs + 1).err, ERR_LOST);
    assert_marks(farm_settle(f, &k, QUEUE_COMPLETED, 1, d->jobs), "1");
    assert_int_equal(farm_status(f, "b").b.completed, 2);
    audit(f->server);
    free(c), free(d);
}

static void marks_tell_whose_jobs_they_are(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 3);
    struct claims *c = claim_ok(f, &h, 3, 3);
    struct held mixed[] = {c->jobs[0], c->jobs[1], c->jobs[2]};
    mixed[1].field.slot = 77;
    assert_marks(farm_sent(f, &h, 3, mixed), "101");
    assert_marks(farm_sent(f, &h, 3, mixed), "101"); // again
    assert_marks(farm_settle(f, &h, QUEUE_COMPLETED, 3, mixed), "101");
    assert_int_equal(farm_status(f, "b").b.calls, 2);
    audit(f->server);
    free(c);
}

static void several_batches_in_one_settle(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "a", "ann", NULL, 4);
    farm_submit(f, "b", "bob", NULL, 4);
    struct claims *c = claim_ok(f, &h, 8, 8);
    assert_marks(farm_settle(f, &h, QUEUE_COMPLETED, 8, c->jobs), "11111111");
    assert_true(farm_status(f, "a").b.done_ms > 0);
    assert_true(farm_status(f, "b").b.done_ms > 0);
    audit(f->server);
    free(c);
}

static void a_thousand_in_one_settle(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "a", "ann", NULL, 1000);
    for (int op = 0; op < 5; op++) {
        struct claims *c = claim_ok(f, &h, 1000, 1000);
        assert_marks(farm_sent(f, &h, 1, c->jobs), "1");
        struct marks m = op == 0   ? farm_settle(f, &h, QUEUE_NOTE, 1000, c->jobs)
                         : op == 4 ? farm_settle(f, &h, QUEUE_FAILED, 1000, c->jobs)
                         : op == 3 ? farm_requeue(f, &h, 1, 1000, c->jobs)
                                   : farm_settle(f, &h, QUEUE_REQUEUE, 1000, c->jobs);
        if (op == 0)
            m = farm_settle(f, &h, QUEUE_REQUEUE, 1000, c->jobs);
        assert_int_equal(m.err, OK);
        assert_int_equal(strspn(m.text, "1"), 1000);
        free(c);
        audit(f->server);
        for (int i = 0; op == 3 && i < 1000 && farm_renew(f, &h).ready < 1000; i++)
            farm_tick(f);
    }
    assert_int_equal(farm_status(f, "a").b.failed, 1000);
}

static void what_is_delayed_comes_back(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 3);
    struct claims *c = claim_ok(f, &h, 3, 3);
    assert_marks(farm_requeue(f, &h, 3600000, 1, c->jobs), "1");
    assert_marks(farm_requeue(f, &h, 30, 2, c->jobs + 1), "11");
    audit(f->server);
    free(claim_ok(f, &h, 3, 0)); // not yet
    int64_t promoted = 0;
    for (int i = 0; i < 10000 && promoted == 0; i++)
        promoted = farm_tick(f).value;
    assert_int_equal(promoted, 2);
    audit(f->server);
    struct claims *d = claim_ok(f, &h, 3, 2); // the hour has not passed
    redis_server_do(f->server, "ZADD " FARM_PREFIX "delayed 1 b");
    assert_int_equal(farm_tick(f).value, 0); // its own time counts, not what `delayed` says
    assert_true(redis_server_number(f->server, "ZSCORE " FARM_PREFIX "delayed b") > 1000);
    audit(f->server);
    free(c), free(d);
}

// --- Lost workers ---

static void lost_jobs_come_back(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1"), k = farm_hand(f, "w2");
    farm_submit(f, "b", "ann", NULL, 4);
    struct claims *c = claim_ok(f, &h, 4, 4);
    assert_marks(farm_sent(f, &h, 2, c->jobs), "11");
    farm_expire(f, &h);
    farm_tick_all(f);
    audit(f->server);
    assert_int_equal(farm_events(f, "b", EVENT_UNKNOWN, -1), 2); // the sent ones
    assert_int_equal(farm_status(f, "b").b.possible_double_bill, 2);
    struct claims *d = claim_ok(f, &k, 4, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(d->jobs[i].ticket.attempts, 0); // no attempt is burnt
        assert_int_equal(d->jobs[i].ticket.lost, 1);
    }
    assert_true(redis_server_number(f->server, "PTTL " FARM_PREFIX "w:w1") > 0); // goes later
    struct claims *late = farm_claim(f, &h, 1);
    assert_int_equal(late->err, ERR_LOST);
    free(c), free(d), free(late);
}

static void unknown_may_mean_failed(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 3);
    struct claims *c = claim_ok(f, &h, 3, 3);
    assert_marks(farm_sent(f, &h, 1, c->jobs), "1");
    assert_marks(farm_sent_to_fail(f, &h, 1, c->jobs + 1), "1"); // each as its job says
    farm_expire(f, &h);
    farm_tick_all(f);
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.failed, 1);
    assert_int_equal(s.b.open, 2);
    assert_int_equal(farm_events(f, "b", EVENT_UNKNOWN, -1), 2);
    assert_int_equal(farm_events(f, "b", EVENT_FAILED, -1), 1);
    audit(f->server);
    free(c);
}

static void poison_dies(void **state)
{
    struct farm *f = *state;
    farm_submit(f, "b", "ann", NULL, 1);
    for (int i = 0; i < 3; i++) {
        char inc[16];
        snprintf(inc, sizeof inc, "w%d", i);
        struct hand h = farm_hand(f, inc);
        struct claims *c = claim_ok(f, &h, 1, 1);
        assert_int_equal(c->jobs[0].ticket.lost, i);
        assert_marks(farm_sent(f, &h, 1, c->jobs), "1");
        farm_expire(f, &h);
        farm_tick_all(f);
        audit(f->server);
        free(c);
    }
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.failed, 1);
    assert_true(s.b.done_ms > 0);
    assert_int_equal(redis_server_number(f->server, "LLEN " FARM_PREFIX "dead"), 1);
}

// Jobs that lay beside it in its workers' hands are let off longer.
static void what_lies_beside_poison_lives(void **state)
{
    struct farm *f = *state;
    farm_submit(f, "b", "ann", NULL, 2);
    for (int i = 0; i < 10; i++) {
        char inc[16];
        snprintf(inc, sizeof inc, "w%d", i);
        struct hand h = farm_hand(f, inc);
        unsigned n = i < 3 ? 2 : 1;
        struct claims *c = claim_ok(f, &h, n, n);
        if (i < 3)
            assert_marks(farm_sent(f, &h, 1, c->jobs), "1");
        farm_expire(f, &h);
        farm_tick_all(f);
        assert_int_equal(farm_status(f, "b").b.failed, i < 2 ? 0 : i < 9 ? 1 : 2);
        audit(f->server);
        free(c);
    }
}

static void a_large_worker_is_reaped_in_parts(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1"), k = farm_hand(f, "w2");
    farm_submit(f, "a", "ann", NULL, 300);
    farm_submit(f, "b", "bob", NULL, 300);
    struct claims *c = claim_ok(f, &h, 600, 600);
    farm_expire(f, &h);
    assert_int_equal(farm_tick(f).value, 200);
    audit(f->server); // half-way, too
    // It comes back meanwhile, and all of its claims are void at once, the lease as well.
    assert_int_equal(farm_settle(f, &h, QUEUE_COMPLETED, 600, c->jobs).err, ERR_LOST);
    assert_int_equal(farm_renew(f, &h).err, ERR_LOST);
    farm_leave(f, &h); // nor may it take what is being taken back with it
    farm_tick_all(f);
    audit(f->server);
    assert_int_equal(farm_work_off(f, &k), 600);
    audit(f->server);
    free(c);
}

// --- Retention ---

// A worker that settles what was cancelled, long after the batch has been forgotten.
static void nothing_is_left_of_a_forgotten_batch(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 3);
    struct claims *c = claim_ok(f, &h, 2, 2);
    assert_marks(farm_sent(f, &h, 1, c->jobs), "1");
    while (farm_cancel(f, "b", 0, NULL).value < 0)
        ;
    assert_true(farm_status(f, "b").b.done_ms > 0);
    redis_server_do(f->server, "ZADD " FARM_PREFIX "expiring 1 b");
    farm_tick_all(f);
    assert_int_equal(farm_status(f, "b").err, ERR_MISSING);
    farm_sent(f, &h, 1, c->jobs + 1);
    assert_marks(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs), "d");
    redisReply *keys = redis_server_ask(f->server, "KEYS *:b");
    assert_int_equal(keys->elements, 0);
    freeReplyObject(keys);
    keys = redis_server_ask(f->server, "KEYS *b");
    assert_int_equal(keys->elements, 0);
    freeReplyObject(keys);
    free(c);
}

static void batches_expire(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 3);
    farm_work_off(f, &h);
    assert_true(redis_server_number(f->server, "PTTL " FARM_PREFIX "b:b") > 3500000);
    assert_true(redis_server_number(f->server, "PTTL " FARM_PREFIX "in:b") > 3500000);
    assert_true(redis_server_number(f->server, "PTTL " FARM_PREFIX "ev:b") > 3500000);
    assert_true(redis_server_number(f->server, "PTTL " FARM_PREFIX "st:b") > 3500000);
    redis_server_do(f->server, "ZADD " FARM_PREFIX "expiring 1 b");
    assert_int_equal(farm_tick(f).value, 1);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "batches"), 0);
    assert_int_equal(farm_leave(f, &h).err, OK);
    redis_server_do(f->server, "DEL " FARM_PREFIX "wake");
    assert_int_equal(redis_server_number(f->server, "DBSIZE"),
                     2); // cfg, and the usage of the day
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(only_fresh_workers_register),
        T(without_a_lease_nothing_is_done),
        T(a_lease_ends),
        T(who_holds_jobs_does_not_leave),
        T(claims_carry_what_is_needed),
        T(a_claim_sent_again_gives_the_same),
        T(an_empty_claim_counts_too),
        T(only_what_is_asked_for),
        T(users_and_batches_share),
        T(single_claims_go_round),
        T(priorities_are_weighted),
        T(a_batch_is_worked_off),
        T(every_way_to_end),
        T(a_settle_sent_again_gives_the_same),
        T(a_late_settle_does_nothing),
        T(nothing_ends_twice),
        T(marks_tell_whose_jobs_they_are),
        T(several_batches_in_one_settle),
        T(a_thousand_in_one_settle),
        T(what_is_delayed_comes_back),
        T(lost_jobs_come_back),
        T(unknown_may_mean_failed),
        T(poison_dies),
        T(what_lies_beside_poison_lives),
        T(a_large_worker_is_reaped_in_parts),
        T(nothing_is_left_of_a_forgotten_batch),
        T(batches_expire),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
