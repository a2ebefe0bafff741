// test_sweep_queue.c - memory that runs out while the queue is called, or while its answer is
// read: whoever asked is told so, once, or the call is not accepted, and nothing is left
// behind.
//
// redis_eval() and redis_call() are this file's own (see --wrap in CMakeLists.txt).
#include <stdlib.h>
#include <string.h>

#include "broker/blob.h"
#include "broker/check.h"
#include "broker/dead.h"
#include "broker/queue.h"
#include "common/redis_wire.h"
#include "unit/fault.h"
#include "unit/test.h"

static struct {
    redis_done *done;
    void *ctx;
    unsigned told;
    enum err err;
    size_t n; // things that were told
} asked;

enum err __wrap_redis_eval(struct redis *r, double timeout, redis_done *done, void *ctx,
                           struct redis_script *script, size_t nkeys, size_t argc,
                           const struct span *argv);
enum err __wrap_redis_call(struct redis *r, double timeout, redis_done *done, void *ctx,
                           size_t argc, const struct span *argv);
void __wrap_redis_home(struct redis *r, struct span key);

enum err __wrap_redis_eval(struct redis *r, double timeout, redis_done *done, void *ctx,
                           struct redis_script *script, size_t nkeys, size_t argc,
                           const struct span *argv)
{
    (void)script, (void)nkeys;
    return __wrap_redis_call(r, timeout, done, ctx, argc, argv);
}

enum err __wrap_redis_call(struct redis *r, double timeout, redis_done *done, void *ctx,
                           size_t argc, const struct span *argv)
{
    (void)r, (void)timeout, (void)argc, (void)argv;
    asked.done = done;
    asked.ctx = ctx;
    return OK;
}

void __wrap_redis_home(struct redis *r, struct span key)
{
    (void)r, (void)key;
}

// --- Who is told -----------------------------------------------------------------------------

static void tell(enum err e, size_t n)
{
    asked.told++;
    asked.err = e;
    asked.n = n;
}

static void on_claims(void *ctx, enum err e, const struct queue_claims *c)
{
    (void)ctx;
    tell(e, e == OK ? c->n_jobs : 0);
}

static void on_answers(void *ctx, enum err e, const struct queue_answer *a, size_t n)
{
    (void)ctx, (void)a;
    tell(e, n);
}

static void on_marks(void *ctx, enum err e, struct span marks)
{
    (void)ctx;
    tell(e, marks.len);
}

static void on_renewed(void *ctx, enum err e, const struct queue_renewed *r)
{
    (void)ctx;
    tell(e, e == OK ? r->n_ready : 0);
}

static void on_fields(void *ctx, enum err e, const struct queue_field *f, size_t n)
{
    (void)ctx, (void)f;
    tell(e, n);
}

static void on_items(void *ctx, enum err e, const struct queue_item *items, size_t n)
{
    (void)ctx, (void)items;
    tell(e, n);
}

static void on_spans(void *ctx, enum err e, const struct span *names, size_t n)
{
    (void)ctx, (void)names;
    tell(e, n);
}

static void on_events(void *ctx, enum err e, const struct queue_event *ev, size_t n)
{
    (void)ctx, (void)ev;
    tell(e, n);
}

static void on_states(void *ctx, enum err e, const uint8_t *states, size_t n)
{
    (void)ctx, (void)states;
    tell(e, n);
}

static void on_problems(void *ctx, enum err e, uint64_t next, const struct check_problem *p,
                        size_t n)
{
    (void)ctx, (void)next, (void)p;
    tell(e, n);
}

static void on_page(void *ctx, enum err e, uint64_t next, const struct span *names, size_t n)
{
    (void)ctx, (void)next, (void)names;
    tell(e, n);
}

static void on_counts(void *ctx, enum err e, uint64_t next, const struct check_count *c,
                      size_t n)
{
    (void)ctx, (void)next, (void)c;
    tell(e, n);
}

static void on_value(void *ctx, enum err e, int64_t value)
{
    (void)ctx, (void)value;
    tell(e, 1);
}

// --- What is asked, and what the server says -------------------------------------------------

static struct queue *q;
static const struct queue_mark marks[] = {{{1, 1}, 1, SPAN(""), false},
                                          {{1, 2}, -1, SPAN("art"), true}};
static const struct queue_asked asking[] = {{.field = {1, 1}, .digest = SPAN("d")},
                                            {.field = {1, 2}, .digest = SPAN("d")}};
#define INC   SPAN("inc")
#define BATCH SPAN("batch")
#define CALL(name, call)       \
    static enum err name(void) \
    {                          \
        return call;           \
    }
CALL(claim, queue_claim(q, INC, 1, 2, 0, NULL, on_claims, NULL))
CALL(lead, queue_lead(q, INC, 1, 2, asking, on_answers, NULL))
CALL(sent, queue_sent(q, INC, 1, 2, marks, on_marks, NULL))
CALL(renew, queue_renew(q, INC, 1, 1, SPAN(""), on_renewed, NULL))
CALL(mine, queue_mine(q, INC, on_fields, NULL))
CALL(inbox, queue_inbox_take(q, INC, 1, 9, on_items, NULL))
CALL(list, queue_list(q, 9, on_spans, NULL))
CALL(events, queue_events(q, BATCH, 0, 9, 0, on_events, NULL))
CALL(states, queue_states(q, BATCH, 0, 4, on_states, NULL))
CALL(keys, check_keys(q, 0, false, on_problems, NULL))
CALL(batches, check_batches(q, CHECK_FIRST, true, on_page, NULL))
CALL(counts, check_counts(q, CHECK_JOBS, CHECK_FIRST, 1, &BATCH, on_counts, NULL))
CALL(chunks, blob_read(q, BATCH, 0, 0, 2, on_spans, NULL))
CALL(cancel, queue_cancel(q, BATCH, 0, NULL, on_value, NULL))

// '|' stands for a line's end.
static const struct call {
    enum err (*ask)(void);
    const char *answer;
    size_t n; // things in it
} calls[] = {
    {claim,
     "*4|:1|:5|*2|$10|standard/m|$1|5|*1|*8|$16|1/standard/m/one|$3|ann|$1|n|:9|$1|5|:1|"
     "$10|0123456789|$1|i|",
     1},
    {lead, "*3|:1|*1|$1|l|*5|$1|d|$1|b|$1|3|$1|n|$1|7|", 2},
    {sent, "*2|:1|$2|1b|", 2},
    {renew, "*5|:1|:5|:2|*2|$10|standard/m|$1|5|*1|$1|b|", 1},
    {mine, "*2|:1|*2|$3|1:1|$3|1:2|", 2},
    {inbox, "*6|:1|:5|$3|1:1|$1|a|$3|1:2|$1|b|", 2},
    {list, "*2|$1|b|$1|c|", 2},
    {events, "*1|*2|$1|s|*1|*2|$3|1-0|*2|$1|e|$1|x|", 1},
    {states, "$1|5|", 4},
    {keys, "*3|:1|$1|0|*2|$1|p|$1|1|", 1},
    {batches, "*3|:1|$1|0|*2|$1|b|$1|c|", 2},
    {counts, "*3|:1|$1|0|*3|$1|n|$1|1|$1|2|", 1},
    {chunks, "*2|$1|a|$1|b|", 2},
    {cancel, "*3|:1|:5|:0|", 1},
};

static redisReply *reply_of(const char *answer)
{
    redisReader *reader = redis_wire_reader();
    void *reply = NULL;
    assert_non_null(reader);
    for (const char *p = answer; *p; p++)
        redisReaderFeed(reader, *p == '|' ? "\r\n" : p, *p == '|' ? 2 : 1);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);
    return reply;
}

struct act {
    const struct call *call;
    const redisReply *reply;
};

static enum err ask_and_read(void *ctx)
{
    const struct act *a = ctx;
    asked.told = 0;
    asked.done = NULL;
    enum err e = a->call->ask();
    if (e != OK) {
        assert_null(asked.done);
        return e;
    }
    assert_int_equal(asked.told, 0); // never from inside
    asked.done(asked.ctx, OK, a->reply);
    assert_int_equal(asked.told, 1);
    if (asked.err == OK && asked.n != a->call->n)
        fail_msg("%s: %zu things", a->call->answer, asked.n);
    if (asked.err != OK && asked.err != ERR_NOMEM)
        fail_msg("%s: %s", a->call->answer, err_text(asked.err));
    return asked.err;
}

static void calls_and_their_answers(void **state)
{
    (void)state;
    q = queue_new(NULL, SPAN("q"), 1);
    assert_non_null(q);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        redisReply *reply = reply_of(calls[i].answer);
        struct act a = {&calls[i], reply};
        fault_sweep(fault_alloc, ERR_NOMEM, ask_and_read, &a);
        freeReplyObject(reply);
    }
    queue_free(q);
}

static enum err make_queue(void *ctx)
{
    (void)ctx;
    struct queue *one = queue_new(NULL, SPAN("q"), 1);
    queue_free(one);
    return one ? OK : ERR_NOMEM;
}

static void a_queue_of_its_own(void **state)
{
    (void)state;
    fault_sweep(fault_alloc, ERR_NOMEM, make_queue, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_and_their_answers),
        cmocka_unit_test(a_queue_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
