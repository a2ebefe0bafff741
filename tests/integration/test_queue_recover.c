// test_queue_recover.c - calls whose workers lost their leases, jobs that a worker does not
// know of, and cancellations that reach calls in flight: what each counts for, and how often.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit.h"
#include "farm.h"
#include "redis_server.h"
#include "test.h"

static struct claims *claim_ok(struct farm *f, struct hand *h, unsigned n)
{
    struct claims *c = farm_claim(f, h, n);
    assert_int_equal(c->err, OK);
    assert_int_equal(c->n, n);
    return c;
}

struct held_fields { // what was answered
    bool done;
    enum err err;
    size_t n;
    struct queue_field *fields;
    char marks[16];
};

static void told_fields(void *ctx, enum err e, const struct queue_field *f, size_t n)
{
    struct held_fields *h = ctx;
    h->done = true;
    h->err = e;
    h->n = n;
    for (size_t i = 0; i < n; i++)
        h->fields[i] = f[i];
}

static void told_open(void *ctx, enum err e, struct span marks)
{
    struct held_fields *h = ctx;
    h->done = true;
    h->err = e;
    assert_true(marks.len < sizeof h->marks);
    memcpy(h->marks, marks.ptr, marks.len);
}

static size_t farm_mine(struct farm *f, const struct hand *h, struct queue_field *fields)
{
    struct held_fields got = {.fields = fields};
    assert_int_equal(queue_mine(f->queue, span_of(h->inc), told_fields, &got), OK);
    wait_for(f->loop, &got.done, "what is held");
    assert_int_equal(got.err, OK);
    return got.n;
}

static struct told farm_handback(struct farm *f, const struct hand *h, size_t n,
                                 const struct queue_field *fields)
{
    struct told t = {0};
    enum err e = queue_handback(f->queue, span_of(h->inc), n, fields, told_value, &t);
    return farm_wait(f, e, &t);
}

// --- Calls that no settle counts ---

static const struct queue_figures MONEY = {
    .cost_micro = 39000, .input_tokens = 7, .output_tokens = 1290};

static struct told orphan(struct farm *f, const struct queue_orphan *o)
{
    struct told t = {0};
    return farm_wait(f, queue_orphan(f->queue, o, told_value, &t), &t);
}

// farm_create()'s nonce is read from the server, as it is none of this test's business.
static struct queue_orphan orphan_of(struct farm *f, const char *call, struct buf *nonce)
{
    redisReply *r = redis_server_ask(f->server, "HGET " FARM_PREFIX "b:b nonce");
    nonce->max = 64;
    buf_clear(nonce);
    buf_add(nonce, (struct span){r->str, r->len});
    freeReplyObject(r);
    return (struct queue_orphan){.batch = SPAN("b"),
                                 .nonce = buf_span(nonce),
                                 .call_id = span_of(call),
                                 .lane_model = SPAN(FARM_LANE),
                                 .figures = MONEY};
}

static void an_orphaned_call_counts_once(void **state)
{
    struct farm *f = *state;
    struct buf nonce = {0};
    farm_submit(f, "b", "ann", NULL, 2);
    struct queue_orphan o = orphan_of(f, "call-one", &nonce);
    assert_int_equal(orphan(f, &o).value, 1);
    assert_int_equal(orphan(f, &o).value, 0); // its answer was lost, say
    o.call_id = SPAN("call-two");
    assert_int_equal(orphan(f, &o).value, 1);
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.cost_micro, 2 * 39000);
    assert_int_equal(s.b.input_tokens, 14);
    assert_int_equal(s.b.output_tokens, 2 * 1290);
    o.nonce = SPAN("another batch's."); // of the same name, before
    o.call_id = SPAN("call-three");
    assert_int_equal(orphan(f, &o).err, ERR_MISSING);
    o.batch = SPAN("gone");
    assert_int_equal(orphan(f, &o).err, ERR_MISSING);
    assert_int_equal(farm_status(f, "b").b.cost_micro, 2 * 39000);
    audit(f->server);
    buf_free(&nonce);
}

// The settle went through and its answer was lost; then the lease was lost, too.
static void what_a_settle_counted_is_no_orphan(void **state)
{
    struct farm *f = *state;
    struct buf nonce = {0};
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 2);
    struct claims *c = claim_ok(f, &h, 2);
    assert_string_equal(farm_sent(f, &h, 2, c->jobs).text, "11");
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs).text, "1");
    farm_expire(f, &h);
    farm_tick_all(f); // its lease and its jobs are gone; what it settled last is known for days
    assert_true(redis_server_number(f->server, "PTTL " FARM_PREFIX "w:w1") > 6 * 86400000);
    struct queue_orphan o = orphan_of(f, "call-one", &nonce);
    o.inc = SPAN("w1");
    o.number = h.number;
    assert_int_equal(orphan(f, &o).value, 0);
    assert_int_equal(farm_status(f, "b").b.cost_micro, 39000);
    o.number = h.number + 1; // this one never arrived
    assert_int_equal(orphan(f, &o).value, 1);
    assert_int_equal(farm_status(f, "b").b.cost_micro, 2 * 39000);
    audit(f->server);
    free(c);
    buf_free(&nonce);
}

// Who finds a record counts the call that made it, unless its maker has settled it.
static void a_record_found_counts_while_the_job_is_open(void **state)
{
    struct farm *f = *state;
    struct buf nonce = {0};
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 2);
    struct claims *c = claim_ok(f, &h, 2);
    assert_string_equal(farm_sent(f, &h, 2, c->jobs).text, "11");
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs).text, "1");
    struct queue_orphan o = orphan_of(f, "call-one", &nonce);
    o.while_open = true;
    o.index = c->jobs[0].ticket.index;
    o.run = 1;
    assert_int_equal(orphan(f, &o).value, 0);
    o.index = c->jobs[1].ticket.index;
    assert_int_equal(orphan(f, &o).value, 1);
    assert_int_equal(farm_status(f, "b").b.cost_micro, 2 * 39000);
    free(c);
    buf_free(&nonce);
}

static void settle_late(struct farm *f, struct hand *h, const struct held *job,
                        const char *call)
{
    struct queue_settle s = {.batch = SPAN("b"),
                             .field = job->field,
                             .op = QUEUE_COMPLETED,
                             .figures = MONEY,
                             .call_id = span_of(call)};
    s.figures.calls = 1;
    s.figures.images = 1;
    assert_string_equal(farm_settle_as(f, h, ++h->number, 1, &s).text, "d");
}

// A call ends, and is stored, after its job was cancelled; the job is opened again, and its
// next worker finds the record: whoever of the two comes first tells of the cost.
static void a_late_call_and_its_record_count_once(void **state)
{
    struct farm *f = *state;
    struct buf nonce = {0};
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 2);
    struct claims *c = claim_ok(f, &h, 2);
    assert_string_equal(farm_sent(f, &h, 2, c->jobs).text, "11");
    assert_int_equal(farm_cancel(f, "b", 0, NULL).value, 2);
    settle_late(f, &h, &c->jobs[0], "call-one");
    assert_int_equal(farm_status(f, "b").b.cost_micro, 39000);
    assert_int_equal(farm_retry(f, "b", 2, 2, (uint32_t[]){0, 1}).value, 2);
    struct queue_orphan o = orphan_of(f, "call-one", &nonce);
    o.while_open = true;
    o.run = 2;
    o.index = c->jobs[0].ticket.index;
    assert_int_equal(orphan(f, &o).value, 0);
    o.index = c->jobs[1].ticket.index;
    o.call_id = SPAN("call-two");
    assert_int_equal(orphan(f, &o).value, 1);
    settle_late(f, &h, &c->jobs[1], "call-two");
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.cost_micro, 2 * 39000);
    assert_int_equal(s.b.input_tokens, 14);
    assert_int_equal(s.b.calls, 2);
    assert_int_equal(s.b.images, 0); // they count where they complete a job
    audit(f->server);
    free(c);
    buf_free(&nonce);
}

// A mark whose answer was lost, and that was said again since, comes in when its call is under
// way: it takes nothing from its worker, though the job was cancelled meanwhile.
static void a_late_mark_does_nothing(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 2);
    struct claims *c = claim_ok(f, &h, 2);
    assert_string_equal(farm_sent(f, &h, 1, &c->jobs[0]).text, "1");
    assert_string_equal(farm_sent(f, &h, 1, &c->jobs[1]).text, "1");
    assert_int_equal(farm_cancel(f, "b", 0, NULL).value, 2);
    farm_sent_as(f, &h, 1, 1, &c->jobs[0], 0);
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 1, &c->jobs[0]).text, "d");
    audit(f->server);
    free(c);
}

// The answer was lost, the job was cancelled, and the mark is said again: the call is not made,
// and nothing stays reserved for it.
static void a_mark_said_again_of_a_cancelled_job(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 1);
    redis_server_do(f->server, "HSET " FARM_PREFIX "b:b budget 1000000");
    struct claims *c = claim_ok(f, &h, 1);
    assert_string_equal(farm_sent_as(f, &h, 1, 1, c->jobs, 40000).text, "1");
    assert_int_equal(farm_status(f, "b").b.reserved_micro, 40000);
    assert_string_equal(farm_sent_as(f, &h, 1, 1, c->jobs, 40000).text, "1");
    assert_int_equal(farm_status(f, "b").b.reserved_micro, 40000);
    assert_int_equal(farm_cancel(f, "b", 0, NULL).value, 1);
    assert_string_equal(farm_sent_as(f, &h, 1, 1, c->jobs, 40000).text, "0");
    assert_int_equal(farm_status(f, "b").b.reserved_micro, 0);
    struct queue_field held[4];
    assert_int_equal(farm_mine(f, &h, held), 0);
    audit(f->server);
    free(c);
}

static int64_t used(struct farm *f, const char *figure)
{
    return redis_server_number(f->server, "HGET " FARM_PREFIX "use:%lld ann/" FARM_LANE "/%s",
                               (long long)time(NULL) / 86400, figure);
}

static void jobs_that_fail_without_a_worker_are_used(void **state)
{
    static const char *const names[] = {"w1", "w2", "w3"};
    struct farm *f = *state;
    farm_submit(f, "b", "ann", NULL, 1);
    for (unsigned i = 0; i < 3; i++) {
        struct hand h = farm_hand(f, names[i]);
        struct claims *c = claim_ok(f, &h, 1);
        assert_string_equal(farm_sent(f, &h, 1, c->jobs).text, "1");
        farm_expire(f, &h);
        farm_tick_all(f);
        free(c);
    }
    assert_int_equal(farm_status(f, "b").b.failed, 1);
    assert_int_equal(used(f, "failed"), 1);
    assert_int_equal(used(f, "unknown"), 3);
    assert_int_equal(used(f, "calls"), 3);
}

static void orphans_go_with_their_batch(void **state)
{
    struct farm *f = *state;
    struct buf nonce = {0};
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 1);
    struct queue_orphan o = orphan_of(f, "call-one", &nonce);
    assert_int_equal(orphan(f, &o).value, 1);
    farm_work_off(f, &h);
    assert_true(redis_server_number(f->server, "PTTL " FARM_PREFIX "oc:b") > 0);
    redis_server_do(f->server, "DEL " FARM_PREFIX "oc:b");
    assert_int_equal(orphan(f, &o).value, 1); // the first after the end
    assert_true(redis_server_number(f->server, "PTTL " FARM_PREFIX "oc:b") > 0);
    redis_server_do(f->server, "ZADD " FARM_PREFIX "expiring 1 b");
    farm_tick_all(f);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "oc:b"), 0);
    buf_free(&nonce);
}

// --- Calls that were under way when their job was cancelled ---

static void a_sent_call_of_a_cancelled_job_is_unknown(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 3);
    struct claims *c = claim_ok(f, &h, 3);
    assert_string_equal(farm_sent(f, &h, 2, c->jobs).text, "11");
    assert_int_equal(farm_cancel(f, "b", 0, NULL).value, 3);
    farm_expire(f, &h); // it never says what became of its calls
    farm_tick_all(f);
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.cancelled, 3);
    assert_int_equal(s.b.possible_double_bill, 2);
    assert_int_equal(s.b.calls, 2);
    assert_int_equal(farm_events(f, "b", EVENT_UNKNOWN, -1), 2);
    assert_int_equal(farm_events(f, "b", EVENT_CANCELLED, -1), 3);
    audit(f->server);
    free(c);
}

// The worker tells that it cut the call off: of its events only that one is still news.
static void an_unknown_call_is_told_though_the_job_is_over(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 1);
    struct claims *c = claim_ok(f, &h, 1);
    assert_string_equal(farm_sent(f, &h, 1, c->jobs).text, "1");
    assert_int_equal(farm_cancel(f, "b", 0, NULL).value, 1);
    struct buf unknown = {.max = 4096}, over = {.max = 4096};
    struct event e = {.type = EVENT_UNKNOWN, .run = 1, .ts_ms = 1, .id = SPAN("id")};
    event_encode(&unknown, &e);
    e.type = EVENT_CANCELLED;
    event_encode(&over, &e);
    struct queue_settle s = {.batch = SPAN("b"),
                             .field = c->jobs[0].field,
                             .op = QUEUE_CANCELLED,
                             .figures = {.unknown = 1, .calls = 1},
                             .n_events = 2,
                             .events = {buf_span(&unknown), buf_span(&over)}};
    assert_string_equal(farm_settle_as(f, &h, h.number + 1, 1, &s).text, "d");
    assert_int_equal(farm_events(f, "b", EVENT_UNKNOWN, -1), 1);
    assert_int_equal(farm_events(f, "b", EVENT_CANCELLED, -1), 1);
    assert_int_equal(farm_status(f, "b").b.possible_double_bill, 1);
    audit(f->server);
    buf_free(&unknown), buf_free(&over);
    free(c);
}

static void which_jobs_are_over(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 3);
    struct claims *c = claim_ok(f, &h, 3);
    const uint32_t middle = c->jobs[1].ticket.index;
    struct queue_field fields[4];
    for (int i = 0; i < 3; i++)
        fields[i] = c->jobs[i].field;
    fields[3] = (struct queue_field){999, 1};
    assert_int_equal(farm_renew(f, &h).n_cancelled, 0);
    assert_int_equal(farm_cancel(f, "b", 1, &middle).value, 1);
    assert_int_equal(farm_renew(f, &h).n_cancelled, 1); // single jobs, too
    struct held_fields got = {0};
    assert_int_equal(queue_open(f->queue, span_of(h.inc), 4, fields, told_open, &got), OK);
    wait_for(f->loop, &got.done, "which are open");
    assert_string_equal(got.marks, "1010");
    free(c);
}

// However many were cancelled of late, the last ones are told; and those since the renewal
// before, if that is longer ago than a lease.
static void the_last_cancelled_are_told(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    assert_int_equal(farm_renew(f, &h).n_cancelled, 0);
    long long seen = redis_server_number(f->server, "HGET " FARM_PREFIX "w:w1 seen");
    for (int i = 0; i <= 1000; i++)
        redis_server_do(f->server, "ZADD " FARM_PREFIX "cancelled %lld b%d", seen + i, i);
    struct renewal r = farm_renew(f, &h);
    assert_int_equal(r.n_cancelled, 1000);
    assert_string_equal(r.cancelled, "b1000");
    redis_server_do(f->server, "DEL " FARM_PREFIX "cancelled");
    redis_server_do(f->server, "HSET " FARM_PREFIX "w:w1 seen %lld", seen - 3 * FARM_LEASE);
    redis_server_do(f->server, "ZADD " FARM_PREFIX "cancelled %lld b", seen - 2 * FARM_LEASE);
    assert_int_equal(farm_renew(f, &h).n_cancelled, 1);
    assert_int_equal(farm_renew(f, &h).n_cancelled, 0);
}

// --- The server was away ---

static void nobody_is_reaped_for_the_servers_absence(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 1);
    struct claims *c = claim_ok(f, &h, 1);
    // It hung before anybody had ticked: the time since the first lease counts.
    redis_server_do(f->server, "ZADD " FARM_PREFIX "leases 1 w1");
    redis_server_do(f->server, "HINCRBY " FARM_PREFIX "cfg last_tick -3100");
    assert_string_equal(farm_sent(f, &h, 1, c->jobs).text, "1");
    assert_int_equal(farm_tick(f).value, 0);
    assert_string_equal(farm_settle(f, &h, QUEUE_NOTE, 1, c->jobs).text, "1");
    assert_int_equal(farm_renew(f, &h).err, OK);
    audit(f->server);
    free(c);
}

// Workers that live are back soon, however long their leases are, and however long nobody
// ticked.
static void a_gap_holds_up_for_a_while_only(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 1);
    free(claim_ok(f, &h, 1));
    assert_int_equal(farm_tick(f).err, OK);
    redis_server_do(f->server, "ZADD " FARM_PREFIX "leases 1 w1");
    redis_server_do(f->server, "HINCRBY " FARM_PREFIX "cfg last_tick -86400000");
    assert_int_equal(farm_tick(f).value, 0);
    long long tick = redis_server_number(f->server, "HGET " FARM_PREFIX "cfg last_tick");
    long long hold = redis_server_number(f->server, "HGET " FARM_PREFIX "cfg hold");
    assert_int_equal(hold, tick + 10000);
    redis_server_do(f->server, "HSET " FARM_PREFIX "cfg hold %lld", tick);
    assert_int_equal(farm_tick(f).value, 1);
    audit(f->server);
}

// A worker that is known to be dead waits for nothing, and is no longer one.
static void who_is_known_to_be_dead_is_reaped_at_once(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1"), other = farm_hand(f, "w2");
    struct told t = {0};
    const struct span incs[] = {SPAN("w1"), SPAN("nobody")};
    farm_submit(f, "b", "ann", NULL, 2);
    struct claims *c = claim_ok(f, &h, 1);
    free(claim_ok(f, &other, 1));
    redis_server_do(f->server, "HINCRBY " FARM_PREFIX "cfg last_tick -4000");
    assert_int_equal(farm_wait(f, queue_void(f->queue, 2, incs, told_value, &t), &t).value, 1);
    assert_int_equal(farm_renew(f, &h).err, ERR_LOST);
    assert_int_equal(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs).err, ERR_LOST);
    assert_int_equal(farm_tick(f).value, 1);
    assert_int_equal(farm_tick(f).value, 0);
    assert_int_equal(farm_renew(f, &other).active, 1);
    assert_int_equal(redis_server_number(f->server, "ZCARD " FARM_PREFIX "leases"), 1);
    audit(f->server);
    free(c);
}

// --- Jobs that their worker does not know of ---

static void strays_are_handed_back(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    struct queue_field fields[8];
    farm_submit(f, "b", "ann", NULL, 3);
    struct claims *c = claim_ok(f, &h, 3);
    assert_string_equal(farm_sent(f, &h, 1, c->jobs).text, "1");
    redis_server_do(f->server, "HSET " FARM_PREFIX "a:w1 999:1 ithing");
    size_t n = farm_mine(f, &h, fields);
    assert_int_equal(n, 4);
    assert_int_equal(farm_handback(f, &h, n, fields).value, 4);
    assert_int_equal(farm_handback(f, &h, n, fields).value, 0); // again
    assert_int_equal(farm_mine(f, &h, fields), 0);
    assert_int_equal(farm_events(f, "b", EVENT_UNKNOWN, -1), 1); // of the one that was sent
    assert_int_equal(redis_server_number(f->server, "LLEN " FARM_PREFIX "inbox"), 1);
    redis_server_do(f->server, "DEL " FARM_PREFIX "inbox");
    audit(f->server);
    struct claims *again = claim_ok(f, &h, 3);
    for (size_t i = 0; i < 3; i++) {
        bool sent = strcmp(again->jobs[i].id, c->jobs[0].id) == 0;
        assert_int_equal(again->jobs[i].ticket.attempts, 0);
        assert_int_equal(again->jobs[i].ticket.lost, sent);
    }
    farm_expire(f, &h);
    assert_int_equal(farm_handback(f, &h, n, fields).err, ERR_LOST);
    free(c), free(again);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(an_orphaned_call_counts_once),
        T(what_a_settle_counted_is_no_orphan),
        T(a_record_found_counts_while_the_job_is_open),
        T(a_late_call_and_its_record_count_once),
        T(a_late_mark_does_nothing),
        T(a_mark_said_again_of_a_cancelled_job),
        T(jobs_that_fail_without_a_worker_are_used),
        T(orphans_go_with_their_batch),
        T(a_sent_call_of_a_cancelled_job_is_unknown),
        T(an_unknown_call_is_told_though_the_job_is_over),
        T(which_jobs_are_over),
        T(the_last_cancelled_are_told),
        T(nobody_is_reaped_for_the_servers_absence),
        T(a_gap_holds_up_for_a_while_only),
        T(who_is_known_to_be_dead_is_reaped_at_once),
        T(strays_are_handed_back),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
