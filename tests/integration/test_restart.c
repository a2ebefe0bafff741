// test_restart.c - the server is killed at any moment and comes back from its append-only file:
// what was acknowledged is there, what was not may be said again, and nobody is taken for lost.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit.h"
#include "farm.h"
#include "test.h"

static const char *const durable[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};

static int durable_open(void **state)
{
    *state = farm_with(durable);
    return 0;
}

static void crash(struct farm *f)
{
    redis_server_kill(f->server);
    f->link->up = false;
    redis_server_again(f->server);
    link_up(f->link);
    audit(f->server);
}

static void every_step_survives(void **state)
{
    struct farm *f = *state;
    const uint32_t failed = 1;
    assert_int_equal(farm_create(f, "b", "ann").err, OK);
    crash(f);
    assert_int_equal(farm_chunk(f, "b", 0, 6).err, OK);
    crash(f);
    assert_int_equal(farm_seal(f, "b", 6).err, OK);
    crash(f);
    struct hand h = farm_hand(f, "w1");
    crash(f);
    struct claims *c = farm_claim(f, &h, 6);
    crash(f);
    assert_int_equal(c->n, 6);
    assert_int_equal(farm_renew(f, &h).active, 6);
    assert_string_equal(farm_sent(f, &h, 5, c->jobs).text, "11111");
    crash(f);
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs).text, "1");
    crash(f);
    assert_string_equal(farm_settle(f, &h, QUEUE_FAILED, 1, c->jobs + 1).text, "1");
    assert_string_equal(farm_requeue(f, &h, 3600000, 1, c->jobs + 2).text, "1");
    crash(f);
    assert_int_equal(farm_retry(f, "b", 2, 1, &failed).value, 1);
    crash(f);
    assert_int_equal(farm_cancel(f, "b", 0, NULL).value, 5);
    crash(f);
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.completed, 1);
    assert_int_equal(s.b.cancelled, 5);
    assert_int_equal(s.b.calls, 3);
    assert_int_equal(s.b.run, 2);
    assert_true(s.b.done_ms > 0);
    free(c);
}

static void the_same_answer_after_a_restart(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 6);
    struct claims *c = farm_claim(f, &h, 4);
    crash(f);
    struct claims *d = farm_claim_at(f, &h, h.seq, 4, NULL);
    assert_int_equal(d->n, 4);
    assert_memory_equal(c->jobs, d->jobs, 4 * sizeof c->jobs[0]);
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 4, c->jobs).text, "1111");
    crash(f);
    h.number--;
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 4, c->jobs).text, "1111");
    assert_int_equal(farm_status(f, "b").b.completed, 4);
    audit(f->server);
    free(c), free(d);
}

// The server was away for longer than a lease: its workers were not.
static void nobody_is_lost_by_a_gap(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 3);
    struct claims *c = farm_claim(f, &h, 3);
    assert_int_equal(farm_tick(f).err, OK);
    redis_server_do(f->server, "ZADD " FARM_PREFIX "leases 1 w1");            // ended meanwhile
    redis_server_do(f->server, "HINCRBY " FARM_PREFIX "cfg last_tick -4000"); // 4 s ago
    crash(f);
    // Before the first tick and after it, the worker goes on as if nothing had been.
    assert_string_equal(farm_sent(f, &h, 1, c->jobs).text, "1");
    assert_int_equal(farm_tick(f).value, 0);
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 1, c->jobs).text, "1");
    assert_int_equal(farm_renew(f, &h).active, 2);
    audit(f->server);
    // Who does not renew is lost when the hold is over.
    redis_server_do(f->server, "ZADD " FARM_PREFIX "leases 1 w1");
    assert_int_equal(farm_tick(f).value, 0); // the hold is still on
    assert_true(redis_server_number(f->server, "HGET " FARM_PREFIX "cfg hold") > 0);
    redis_server_do(f->server, "HSET " FARM_PREFIX "cfg hold 1");
    assert_int_equal(farm_tick(f).value, 2);
    assert_int_equal(farm_renew(f, &h).err, ERR_LOST);
    audit(f->server);
    free(c);
}

static void without_a_gap_nothing_is_held_up(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 3);
    free(farm_claim(f, &h, 3));
    assert_int_equal(farm_tick(f).err, OK);
    redis_server_do(f->server, "ZADD " FARM_PREFIX "leases 1 w1");
    crash(f); // a quick restart
    farm_tick(f);
    // The restart may have taken more than 3 s on a busy machine; then it was a gap.
    if (redis_server_number(f->server, "HEXISTS " FARM_PREFIX "cfg hold") == 0)
        assert_int_equal(
            redis_server_number(f->server, "LLEN " FARM_PREFIX "r:" FARM_ROUTE "/b"), 3);
}

// A server that was killed while it wrote leaves the beginning of what a script did in its
// file: none of it may ever come to pass, neither at once nor after the next restart.
static void nothing_is_done_by_half(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 6);
    struct claims *c = farm_claim(f, &h, 6);
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 3, c->jobs).text, "111");
    redis_server_kill(f->server);
    redis_server_cut(f->server, 40); // within the settle's transaction
    crash(f);
    assert_int_equal(farm_status(f, "b").b.completed, 0);
    h.number--; // its answer was lost, too
    assert_string_equal(farm_settle(f, &h, QUEUE_COMPLETED, 3, c->jobs).text, "111");
    crash(f);
    assert_int_equal(farm_status(f, "b").b.completed, 3);
    free(c);
}

// --- Killed with a request under way ---

struct chaos {
    struct farm *f;
    uint64_t random;
    unsigned kills;
};

static unsigned below(struct chaos *c, unsigned n) // xorshift64
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return (unsigned)(c->random % n);
}

// Kills the server while it does what was just asked, or before, or after; one time in four.
static void meddle(struct chaos *c)
{
    struct timespec nap = {0, 1000L * below(c, 400)};
    if (below(c, 4) != 0)
        return;
    ev_run(c->f->loop, EVRUN_NOWAIT); // the request goes out
    nanosleep(&nap, NULL);            // how far it gets is the point
    redis_server_kill(c->f->server);
    c->kills++;
}

static void recover(struct chaos *c)
{
    if (redis_server_pid(c->f->server) == 0) {
        c->f->link->up = false;
        redis_server_again(c->f->server);
        audit(c->f->server);
    }
    link_up(c->f->link);
}

struct job_list {
    bool done;
    enum err err;
    size_t n;
    struct queue_field fields[64];
    struct ticket tickets[64];
};

static void got_jobs(void *ctx, enum err e, const struct queue_claims *c)
{
    struct job_list *l = ctx;
    l->done = true;
    l->err = e;
    l->n = 0;
    for (size_t i = 0; e == OK && i < c->n_jobs; i++) {
        l->fields[l->n].slot = c->jobs[i].slot;
        l->tickets[l->n++] = c->jobs[i].ticket;
    }
}

static void claim_through(struct chaos *c, struct hand *h, struct job_list *l)
{
    struct span lane = SPAN(FARM_LANE);
    h->seq++;
    do {
        *l = (struct job_list){0};
        recover(c);
        if (queue_claim(c->f->queue, span_of(h->inc), h->seq, 16, 1, &lane, got_jobs, l) != OK)
            continue;
        meddle(c);
        wait_for(c->f->loop, &l->done, "a claim");
    } while (!l->done || l->err != OK);
    for (size_t i = 0; i < l->n; i++)
        l->fields[i].seq = h->seq;
}

static void got_marks(void *ctx, enum err e, struct span marks)
{
    struct marks *m = ctx;
    m->done = true;
    m->err = e;
    snprintf(m->text, sizeof m->text, "%.*s", (int)marks.len, marks.len ? marks.ptr : "");
}

static void settle_through(struct chaos *c, struct hand *h, const struct job_list *l)
{
    struct queue_settle s[64];
    struct buf events[64];
    struct marks m = {0};
    for (size_t i = 0; i < l->n; i++) {
        struct event e = {.type = EVENT_COMPLETED, .run = 1, .index = l->tickets[i].index};
        events[i] = (struct buf){.max = 4096};
        event_encode(&events[i], &e);
        s[i] = (struct queue_settle){.batch = SPAN("b"),
                                     .field = l->fields[i],
                                     .op = below(c, 3) ? QUEUE_COMPLETED : QUEUE_REQUEUE,
                                     .ticket = l->tickets[i]};
        if (s[i].op == QUEUE_COMPLETED)
            s[i].events[s[i].n_events++] = buf_span(&events[i]);
    }
    h->number++;
    do {
        m = (struct marks){0};
        recover(c);
        if (queue_settle(c->f->queue, span_of(h->inc), h->number, l->n, s, got_marks, &m) != OK)
            continue;
        meddle(c);
        wait_for(c->f->loop, &m.done, "a settle");
    } while (!m.done || m.err != OK);
    assert_int_equal(strspn(m.text, "1"), l->n);
    for (size_t i = 0; i < l->n; i++)
        buf_free(&events[i]);
}

static void killed_in_the_middle(void **state)
{
    struct farm *f = *state;
    struct chaos c = {.f = f, .random = 88172645463325252u};
    struct hand h = farm_hand(f, "w1");
    struct job_list l;
    farm_submit(f, "b", "ann", NULL, 300);
    do {
        claim_through(&c, &h, &l);
        if (l.n > 0)
            settle_through(&c, &h, &l);
    } while (l.n > 0);
    recover(&c);
    audit(f->server);
    struct status s = farm_status(f, "b");
    assert_int_equal(s.b.completed, 300);
    assert_true(s.b.done_ms > 0);
    assert_true(c.kills >= 5);
    assert_int_equal(farm_events(f, "b", EVENT_COMPLETED, -1), 300);
}

static void submitted_in_the_middle(void **state)
{
    struct farm *f = *state;
    struct chaos c = {.f = f, .random = 2463534242u};
    for (uint32_t step = 0; step < 12;) {
        struct told t = {0};
        char bytes[16];
        int n = snprintf(bytes, sizeof bytes, "%c%c%c%c%c%c", 0, 0, 0, step + 1, 0, 0);
        struct queue_input in = {FARM_ROUTE, {bytes, (size_t)n}};
        struct batch_options o = {.batch = SPAN("b"),
                                  .nonce = (const uint8_t *)"0123456789abcdef",
                                  .digest = SPAN("options"),
                                  .total = -1,
                                  .keep = 60};
        recover(&c);
        enum err e = step == 0 ? queue_create(f->queue, &o, told_value, &t)
                     : step == 11
                         ? queue_seal(f->queue, SPAN("b"), 10, told_value, &t)
                         : queue_chunk(f->queue, SPAN("b"), step - 1, 1, &in, told_value, &t);
        if (e != OK)
            continue;
        meddle(&c);
        wait_for(f->loop, &t.done, "an answer");
        assert_true(t.err == OK || err_retryable(t.err));
        step += t.err == OK;
    }
    recover(&c);
    audit(f->server);
    assert_int_equal(farm_status(f, "b").b.total, 10);
    assert_int_equal(farm_events(f, "b", EVENT_SUBMITTED, -1), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(every_step_survives),     T(the_same_answer_after_a_restart),
        T(nobody_is_lost_by_a_gap), T(without_a_gap_nothing_is_held_up),
        T(nothing_is_done_by_half), T(killed_in_the_middle),
        T(submitted_in_the_middle),
    };
    return cmocka_run_group_tests(tests, durable_open, farm_close);
}
