// test_ledger.c - the ledger: each call is entered once, by the script that counts it, with the
// figures that were counted.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/ledger.h"
#include "farm.h"
#include "test.h"

#define MOST 64

struct page {
    bool done;
    enum err err;
    size_t n;
    int64_t first, lost;
    struct ledger_call calls[MOST]; // spans are gone, but for:
    char outcome[MOST][32], id[MOST][32], project[MOST][32], user[MOST][32];
};

static void keep(char to[static 32], struct span s)
{
    snprintf(to, 32, "%.*s", (int)s.len, s.ptr);
}

static void on_page(void *ctx, enum err e, const struct ledger_page *p)
{
    struct page *out = ctx;
    out->done = true;
    out->err = e;
    if (e != OK)
        return;
    out->n = p->n;
    out->first = p->first;
    out->lost = p->lost;
    assert_true(p->n <= MOST);
    for (size_t i = 0; i < p->n; i++) {
        assert_int_equal(ledger_read(&out->calls[i], p->entries[i]), OK);
        keep(out->outcome[i], out->calls[i].outcome);
        keep(out->id[i], out->calls[i].id);
        keep(out->project[i], out->calls[i].project);
        keep(out->user[i], out->calls[i].user);
    }
}

static int64_t today(struct farm *f)
{
    redisReply *r = redis_server_ask(f->server, "TIME");
    int64_t day = strtoll(r->element[0]->str, NULL, 10) / 86400;
    freeReplyObject(r);
    return day;
}

static struct page *read_from(struct farm *f, int64_t from, unsigned most)
{
    struct page *p = calloc(1, sizeof *p);
    int64_t day = today(f);
    assert_int_equal(queue_calls(f->queue, day, from, most, on_page, p), OK);
    while (!p->done)
        ev_run(f->loop, EVRUN_ONCE);
    assert_int_equal(p->err, OK);
    if (day != today(f)) { // midnight has passed
        free(p);
        skip();
    }
    return p;
}

static struct buf detail(const struct held *j, const char *outcome)
{
    struct buf out = {.max = LEDGER_MAX_DETAIL};
    ledger_detail(&out, &(struct ledger_call){.outcome = span_of(outcome),
                                              .user = span_of(j->user),
                                              .batch = span_of(j->batch),
                                              .id = span_of(j->id),
                                              .index = j->ticket.index,
                                              .run = 1,
                                              .attempt = 1,
                                              .project = SPAN("red"),
                                              .latency_ms = 12,
                                              .call_id = SPAN("call-one")});
    assert_int_equal(out.err, OK);
    return out;
}

static struct queue_settle settle_of(const struct held *j, enum queue_op op,
                                     const struct buf *d)
{
    return (struct queue_settle){.batch = span_of(j->batch),
                                 .field = j->field,
                                 .op = op,
                                 .ticket = j->ticket,
                                 .figures = {.cost_micro = 39000,
                                             .input_tokens = 7,
                                             .output_tokens = 1290,
                                             .bytes = 1000,
                                             .images = 1,
                                             .calls = 1},
                                 .call_id = SPAN("call-one"),
                                 .detail = buf_span(d)};
}

static struct claims *begin(struct farm *f, struct hand *h, unsigned n)
{
    *h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, n);
    struct claims *c = farm_claim(f, h, n);
    assert_int_equal(c->n, n);
    assert_int_equal(farm_sent(f, h, n, c->jobs).err, OK);
    return c;
}

static void an_entry_for_a_call(void **state)
{
    struct farm *f = *state;
    struct hand h;
    struct claims *c = begin(f, &h, 1);
    struct buf d = detail(&c->jobs[0], "ok");
    struct queue_settle s = settle_of(&c->jobs[0], QUEUE_COMPLETED, &d);
    for (int i = 0; i < 2; i++) // its answer may have been lost
        assert_string_equal(farm_settle_as(f, &h, 1, 1, &s).text, "1");
    struct page *p = read_from(f, 0, MOST);
    assert_int_equal(p->n, 1);
    const struct queue_figures *got = &p->calls[0].figures;
    assert_int_equal(got->cost_micro, 39000);
    assert_int_equal(got->input_tokens, 7);
    assert_int_equal(got->output_tokens, 1290);
    assert_int_equal(got->bytes, 1000);
    assert_int_equal(got->images, 1);
    assert_int_equal(got->unknown, 0);
    assert_int_equal(got->calls, 1);
    assert_string_equal(p->outcome[0], "ok");
    assert_string_equal(p->id[0], c->jobs[0].id);
    assert_string_equal(p->user[0], "ann");
    assert_int_equal(p->calls[0].latency_ms, 12);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "late"), 0);
    free(p);
    free(c);
    buf_free(&d);
}

static void no_call_no_entry(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    farm_submit(f, "b", "ann", NULL, 20);
    farm_work_off(f, &h);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "lg"), 0);
}

// The job was cancelled under it: its image does not count, its money does.
static void a_late_call_as_it_counts(void **state)
{
    struct farm *f = *state;
    struct hand h;
    struct claims *c = begin(f, &h, 1);
    struct buf d = detail(&c->jobs[0], "ok");
    struct queue_settle s = settle_of(&c->jobs[0], QUEUE_COMPLETED, &d);
    assert_int_equal(farm_cancel(f, "b", 0, NULL).err, OK);
    assert_string_equal(farm_settle_as(f, &h, 1, 1, &s).text, "d");
    struct page *p = read_from(f, 0, MOST);
    assert_int_equal(p->n, 1);
    assert_int_equal(p->calls[0].figures.images, 0);
    assert_int_equal(p->calls[0].figures.cost_micro, 39000);
    assert_int_equal(farm_status(f, "b").b.cost_micro, 39000);
    free(p);
    free(c);
    buf_free(&d);
}

static void lost_calls_and_what_they_cost(void **state)
{
    struct farm *f = *state;
    struct hand h;
    struct claims *c = begin(f, &h, 3);
    redis_server_do(f->server, "HSET " FARM_PREFIX "w:w1 project blue");
    farm_expire(f, &h);
    farm_tick_all(f);
    struct page *p = read_from(f, 0, MOST);
    assert_int_equal(p->n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(p->outcome[i], "worker_lost");
        assert_string_equal(p->project[i], "blue");
        assert_string_equal(p->user[i], "ann");
        assert_int_equal(p->calls[i].figures.calls, 1);
        assert_int_equal(p->calls[i].figures.unknown, 1);
    }
    free(p);
    struct buf d = detail(&c->jobs[0], "ok");
    char nonce[17] = {0};
    redisReply *r = redis_server_ask(f->server, "HGET " FARM_PREFIX "b:b nonce");
    memcpy(nonce, r->str, 16);
    freeReplyObject(r);
    struct queue_orphan o = {.batch = SPAN("b"),
                             .nonce = {nonce, 16},
                             .call_id = SPAN("call-one"),
                             .lane_model = SPAN(FARM_LANE),
                             .figures = {.cost_micro = 500},
                             .detail = buf_span(&d)};
    for (int i = 0; i < 2; i++) {
        struct told t = {0};
        assert_int_equal(queue_orphan(f->queue, &o, told_value, &t), OK);
        assert_int_equal(farm_wait(f, OK, &t).value, i == 0);
    }
    p = read_from(f, 3, MOST);
    assert_int_equal(p->n, 1);
    assert_int_equal(p->first, 3);
    assert_int_equal(p->calls[0].figures.calls, 0);
    assert_int_equal(p->calls[0].figures.cost_micro, 500);
    free(p);
    free(c);
    buf_free(&d);
}

static void a_worker_that_enters_none(void **state)
{
    struct farm *f = *state;
    struct hand h;
    free(begin(f, &h, 2));
    redis_server_do(f->server, "HSET " FARM_PREFIX "w:w1 ledger 0");
    farm_expire(f, &h);
    farm_tick_all(f);
    assert_int_equal(farm_status(f, "b").b.calls, 2);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "lg"), 0);
}

// Entries keep their numbers when older ones go; days long past go altogether.
static void the_oldest_go(void **state)
{
    struct farm *f = *state;
    struct hand h;
    struct claims *c = begin(f, &h, 10);
    struct buf d = detail(&c->jobs[0], "ok");
    struct queue_settle s[10];
    for (size_t i = 0; i < 10; i++)
        s[i] = settle_of(&c->jobs[i], QUEUE_COMPLETED, &d);
    assert_string_equal(farm_settle_as(f, &h, 1, 10, s).text, "1111111111");
    redis_server_do(f->server, "RPUSH " FARM_PREFIX "lg:5 x y");
    redis_server_do(f->server, "HSET " FARM_PREFIX "lg 5 2");
    farm_tick_all(f);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "lg:5"), 0);
    struct page *p = read_from(f, 4, 3);
    assert_int_equal(p->n, 3);
    assert_int_equal(p->first, 4);
    free(p);
    queue_keep_ledger(f->queue, 100); // room for one, and no more than needed goes
    farm_tick_all(f);
    p = read_from(f, 0, MOST);
    assert_int_equal(p->n, 1);
    assert_int_equal(p->first, 9);
    free(p);
    queue_keep_ledger(f->queue, 10);
    farm_tick_all(f);
    queue_keep_ledger(f->queue, LEDGER_BYTES);
    p = read_from(f, 0, MOST);
    assert_int_equal(p->n, 0);
    assert_int_equal(p->first, 10);
    free(p);
    free(c);
    buf_free(&d);
}

static void what_is_no_entry(void **state)
{
    (void)state;
    struct ledger_call c;
    struct held j = {.batch = "b", .user = "ann", .id = "x"};
    struct buf d = detail(&j, "ok"), all = {.max = 4096};
    for (int i = 0; i < 34; i++)
        buf_add_byte(&all, i == 0 ? 1 : 0);
    buf_add(&all, buf_span(&d));
    assert_int_equal(ledger_read(&c, buf_span(&all)), OK);
    for (size_t n = 0; n < all.len; n++) { // cut anywhere; in memory of that size
        char *cut = malloc(n + 1);
        memcpy(cut, all.ptr, n);
        assert_int_equal(ledger_read(&c, (struct span){cut, n}), ERR_FORMAT);
        free(cut);
    }
    all.ptr[0] = 2;
    assert_int_equal(ledger_read(&c, buf_span(&all)), ERR_FORMAT);
    buf_free(&all);
    buf_free(&d);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(an_entry_for_a_call),       T(no_call_no_entry),
        T(a_late_call_as_it_counts),  T(lost_calls_and_what_they_cost),
        T(a_worker_that_enters_none), T(the_oldest_go),
        T(what_is_no_entry),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
