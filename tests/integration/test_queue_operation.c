// test_queue_operation.c - remote batches in the queue: jobs that are put into one, who holds
// it, who may act for it, what becomes of its money and its jobs.
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "broker/operation.h"
#include "farm.h"
#include "redis_server.h"
#include "test.h"

#define OP    "0123456789abcdef"
#define LANE  "batch/m"
#define ROUTE "1/batch/m"
#define KEEP  3600000
#define WORST 1000

struct begun {
    bool done;
    enum err err;
    char marks[FARM_MOST + 1];
    struct hand hand; // the operation's
};
struct taken {
    bool done, there;
    enum err err;
    char op[40], state[20], name[40];
    int64_t jobs;
    struct hand hand;
};

static void copy(char *to, size_t size, struct span s)
{
    assert_true(s.len < size);
    memcpy(to, s.ptr, s.len);
    to[s.len] = '\0';
}

static void told_begun(void *ctx, enum err e, struct span marks, struct span inc)
{
    struct begun *b = ctx;
    b->done = true;
    b->err = e;
    if (e == OK) {
        copy(b->marks, sizeof b->marks, marks);
        copy(b->hand.inc, sizeof b->hand.inc, inc);
    }
}

static void told_taken(void *ctx, enum err e, const struct operation *o)
{
    struct taken *t = ctx;
    t->done = true;
    t->err = e;
    t->there = o != NULL;
    if (!o)
        return;
    copy(t->op, sizeof t->op, o->op);
    copy(t->state, sizeof t->state, o->state);
    copy(t->name, sizeof t->name, o->name);
    copy(t->hand.inc, sizeof t->hand.inc, o->inc);
    t->jobs = o->jobs;
}

static struct begun begin_on(struct farm *f, const struct hand *h, const char *op,
                             unsigned most, int64_t day, const struct claims *c)
{
    struct queue_mark calls[FARM_MOST];
    struct begun b = {0};
    for (size_t i = 0; i < c->n; i++)
        calls[i] = (struct queue_mark){.field = c->jobs[i].field, .worst = WORST};
    struct operation_new o = {.inc = span_of(h->inc),
                              .op = span_of(op),
                              .batch = SPAN("b"),
                              .model = SPAN("m"),
                              .project = SPAN("default"),
                              .lease_ms = FARM_LEASE,
                              .keep_ms = KEEP,
                              .most = most,
                              .day = day,
                              .n = c->n,
                              .calls = calls};
    assert_int_equal(operation_begin(f->queue, &o, told_begun, &b), OK);
    wait_for(f->loop, &b.done, "an operation");
    return b;
}

static struct begun begin_as(struct farm *f, const struct hand *h, const char *op,
                             unsigned most, const struct claims *c)
{
    return begin_on(f, h, op, most, 0, c);
}

static struct begun begin(struct farm *f, const struct hand *h, const struct claims *c)
{
    struct begun b = begin_as(f, h, OP, 10, c);
    assert_int_equal(b.err, OK);
    return b;
}

static struct taken take_with(struct farm *f, const struct hand *h, const char *project)
{
    struct taken t = {0};
    struct span projects[] = {SPAN("spare"), span_of(project)};
    assert_int_equal(
        operation_take(f->queue, span_of(h->inc), FARM_LEASE, 2, projects, told_taken, &t), OK);
    wait_for(f->loop, &t.done, "an operation");
    return t;
}

static struct taken take(struct farm *f, const struct hand *h)
{
    return take_with(f, h, "default");
}

static struct told note(struct farm *f, const struct hand *op, const char *state)
{
    struct queue_fact facts[] = {{"state", span_of(state)}, {"name", SPAN("batches/x")}};
    struct told t = {0};
    assert_int_equal(
        operation_note(f->queue, span_of(op->inc), SPAN(OP), 2, facts, told_value, &t), OK);
    return farm_wait(f, OK, &t);
}

static struct told note_lost(struct farm *f, const struct hand *op)
{
    struct told t = {0};
    assert_int_equal(
        operation_note(f->queue, span_of(op->inc), SPAN(OP), 0, NULL, told_value, &t), OK);
    wait_for(f->loop, &t.done, "a note");
    return t;
}

static struct told end(struct farm *f, const struct hand *op, bool leave)
{
    struct told t = {0};
    assert_int_equal(operation_end(f->queue, span_of(op->inc), SPAN(OP), leave, told_value, &t),
                     OK);
    wait_for(f->loop, &t.done, "an end");
    return t;
}

static struct claims *claim_lane(struct farm *f, struct hand *h, unsigned n, const char *lane)
{
    struct claims *c = farm_claim_at(f, h, ++h->seq, n, lane);
    assert_int_equal(c->err, OK);
    assert_int_equal(c->n, n);
    return c;
}

// The operation's jobs, as whoever holds it gets them.
static struct claims *jobs_of(struct farm *f, struct hand *op)
{
    struct claims *c = farm_claim_at(f, op, 1, 0, LANE);
    assert_int_equal(c->err, OK);
    return c;
}

static void jobs_go_over_to_the_operation(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", ROUTE, 20);
    redis_server_do(f->server, "HSET " FARM_PREFIX "b:b budget 1000000");
    struct claims *c = claim_lane(f, &h, 20, LANE);
    struct begun b = begin(f, &h, c);
    assert_string_equal(b.marks, "11111111111111111111");
    assert_string_equal(b.hand.inc, OP ".1");
    assert_int_equal(farm_renew(f, &h).active, 0);
    assert_int_equal(farm_renew(f, &b.hand).active, 20);
    assert_int_equal(farm_status(f, "b").b.reserved_micro, 20 * WORST);
    audit(f->server);
    struct begun again = begin(f, &h, c); // its answer was lost
    assert_string_equal(again.marks, b.marks);
    assert_string_equal(again.hand.inc, b.hand.inc);
    assert_int_equal(farm_status(f, "b").b.reserved_micro, 20 * WORST);

    struct claims *mine = jobs_of(f, &b.hand);
    assert_int_equal(mine->n, 20);
    assert_int_equal(farm_settle(f, &b.hand, QUEUE_COMPLETED, 20, mine->jobs).err, OK);
    assert_int_equal(farm_status(f, "b").b.completed, 20);
    assert_int_equal(farm_status(f, "b").b.reserved_micro, 0);
    struct told t = end(f, &b.hand, false);
    assert_int_equal(t.err, OK);
    assert_int_equal(t.value, 0);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "ops"), 0);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "bo:" OP), 0);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "w:" OP ".1"), 0);
    audit(f->server);
    free(c);
    free(mine);
}

// What its rows took is corrected in the day it is made: it must have been reserved in that.
static void not_with_the_room_of_yesterday(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", ROUTE, 2);
    struct claims *c = claim_lane(f, &h, 2, LANE);
    redisReply *r = redis_server_ask(f->server, "TIME");
    int64_t day = strtoll(r->element[0]->str, NULL, 10) / 86400;
    freeReplyObject(r);
    assert_int_equal(begin_on(f, &h, OP, 10, day - 1, c).err, ERR_LIMIT);
    assert_int_equal(farm_renew(f, &h).active, 2);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "ops"), 0);
    struct begun b = begin_on(f, &h, OP, 10, day, c);
    assert_int_equal(b.err, OK);
    assert_string_equal(b.marks, "11");
    audit(f->server);
    free(c);
}

// After its worker's death another one takes it, under a fresh incarnation; the one before can
// do nothing, and nothing is told as unknown.
static void another_takes_it_over(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1"), other = farm_hand(f, "w2");
    farm_submit(f, "b", "ann", ROUTE, 9);
    redis_server_do(f->server, "HSET " FARM_PREFIX "b:b budget 1000000");
    struct claims *c = claim_lane(f, &h, 9, LANE);
    struct begun b = begin(f, &h, c);
    assert_int_equal(note(f, &b.hand, "running").err, OK);
    assert_false(take(f, &other).there); // somebody has it
    farm_expire(f, &b.hand);
    farm_tick_all(f);
    audit(f->server);
    assert_false(take_with(f, &other, "another").there); // has not the keys
    struct taken t = take(f, &other);
    assert_true(t.there);
    assert_string_equal(t.op, OP);
    assert_string_equal(t.state, "running");
    assert_string_equal(t.name, "batches/x");
    assert_int_equal(t.jobs, 9);
    assert_false(take(f, &other).there);

    struct claims *mine = jobs_of(f, &t.hand);
    assert_int_equal(mine->n, 9);
    assert_int_equal(farm_settle(f, &b.hand, QUEUE_COMPLETED, 9, mine->jobs).err, ERR_LOST);
    assert_int_equal(note_lost(f, &b.hand).err, ERR_LOST);
    assert_int_equal(end(f, &b.hand, true).err, ERR_LOST);
    assert_int_equal(farm_renew(f, &b.hand).err, ERR_LOST);
    assert_int_equal(farm_settle(f, &t.hand, QUEUE_COMPLETED, 4, mine->jobs).err, OK);
    assert_int_equal(end(f, &t.hand, false).value, 5);
    assert_int_equal(end(f, &t.hand, true).value, 5); // leaves it
    audit(f->server);
    struct taken again = take(f, &h);
    assert_true(again.there);
    struct claims *rest = jobs_of(f, &again.hand);
    assert_int_equal(rest->n, 5);
    assert_int_equal(farm_settle(f, &again.hand, QUEUE_COMPLETED, 5, rest->jobs).err, OK);
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.completed, 9);
    assert_int_equal(s.b.possible_double_bill, 0);
    assert_int_equal(s.b.reserved_micro, 0);
    assert_int_equal(farm_events(f, "b", EVENT_UNKNOWN, -1), 0);
    assert_int_equal(end(f, &again.hand, false).value, 0);
    audit(f->server);
    free(c);
    free(mine);
    free(rest);
}

// Of what nobody came back to in time the outcome is unknown.
static void what_is_past_hope_is_lost(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", ROUTE, 3);
    redis_server_do(f->server, "HSET " FARM_PREFIX "b:b budget 1000000");
    struct claims *c = claim_lane(f, &h, 3, LANE);
    struct begun b = begin(f, &h, c);
    redis_server_do(f->server, "HSET " FARM_PREFIX "bo:" OP " until 1");
    farm_expire(f, &b.hand);
    farm_tick_all(f);
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.possible_double_bill, 3);
    assert_int_equal(s.b.spent_micro, 3 * WORST);
    assert_int_equal(farm_events(f, "b", EVENT_UNKNOWN, -1), 3);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "ops"), 0);
    audit(f->server);
    free(c);
    c = claim_lane(f, &h, 3, LANE);
    free(c);
}

static void the_rest_goes_into_the_standard_lane(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", ROUTE, 4);
    struct claims *c = claim_lane(f, &h, 4, LANE);
    struct begun b = begin(f, &h, c);
    struct claims *mine = jobs_of(f, &b.hand);
    assert_int_equal(farm_settle(f, &b.hand, QUEUE_STANDARD, 4, mine->jobs).err, OK);
    audit(f->server);
    struct claims *rest = claim_lane(f, &h, 4, "standard/m");
    assert_string_equal(rest->jobs[0].list, "1/standard/m/b");
    assert_int_equal(farm_sent(f, &h, 4, rest->jobs).err, OK);
    assert_int_equal(farm_settle(f, &h, QUEUE_COMPLETED, 4, rest->jobs).err, OK);
    audit(f->server);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "live"), 0);
    free(c);
    free(mine);
    free(rest);
}

static void only_what_may_be_sent_goes_in(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    uint32_t second = 1;
    farm_submit(f, "b", "ann", ROUTE, 4);
    redis_server_do(f->server, "HSET " FARM_PREFIX "b:b budget %d", 2 * WORST);
    struct claims *c = claim_lane(f, &h, 4, LANE);
    assert_int_equal(farm_cancel(f, "b", 1, &second).err, OK);
    struct begun b = begin(f, &h, c);
    assert_string_equal(b.marks, "101b");
    struct claims *mine = jobs_of(f, &b.hand);
    assert_int_equal(mine->n, 2);
    assert_int_equal(mine->jobs[1].field.slot, 3); // its place among those asked for
    assert_int_equal(farm_renew(f, &h).active, 1);
    struct begun none = begin_as(f, &h, "fedcba9876543210", 1, c);
    assert_int_equal(none.err, ERR_LIMIT);
    audit(f->server);
    free(c);
    free(mine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(jobs_go_over_to_the_operation, farm_fresh),
        cmocka_unit_test_setup(not_with_the_room_of_yesterday, farm_fresh),
        cmocka_unit_test_setup(another_takes_it_over, farm_fresh),
        cmocka_unit_test_setup(what_is_past_hope_is_lost, farm_fresh),
        cmocka_unit_test_setup(the_rest_goes_into_the_standard_lane, farm_fresh),
        cmocka_unit_test_setup(only_what_may_be_sent_goes_in, farm_fresh),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
