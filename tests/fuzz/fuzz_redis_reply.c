// What a server answers: the first byte chooses the call, the others are the answer as it comes
// over the wire. Whoever asked is told once, and of nothing that is not there.
//
// redis_eval() and redis_call() are this file's own (see --wrap in CMakeLists.txt): they keep
// who is to be told.
#include <string.h>

#include "broker/blob.h"
#include "broker/check.h"
#include "broker/dead.h"
#include "broker/event.h"
#include "broker/ledger.h"
#include "broker/limit.h"
#include "broker/operation.h"
#include "broker/queue.h"
#include "common/redis_wire.h"
#include "fuzz.h"

static redis_done *done;
static void *done_ctx;
static unsigned told;

enum err __wrap_redis_eval(struct redis *r, double timeout, redis_done *d, void *ctx,
                           struct redis_script *script, size_t nkeys, size_t argc,
                           const struct span *argv);
enum err __wrap_redis_call(struct redis *r, double timeout, redis_done *d, void *ctx,
                           size_t argc, const struct span *argv);
void __wrap_redis_home(struct redis *r, struct span key);

static enum err keep(redis_done *d, void *ctx)
{
    FUZZ_CHECK(!done);
    done = d;
    done_ctx = ctx;
    return OK;
}

enum err __wrap_redis_eval(struct redis *r, double timeout, redis_done *d, void *ctx,
                           struct redis_script *script, size_t nkeys, size_t argc,
                           const struct span *argv)
{
    (void)r, (void)timeout, (void)script, (void)nkeys, (void)argc, (void)argv;
    return keep(d, ctx);
}

enum err __wrap_redis_call(struct redis *r, double timeout, redis_done *d, void *ctx,
                           size_t argc, const struct span *argv)
{
    (void)r, (void)timeout, (void)argc, (void)argv;
    return keep(d, ctx);
}

void __wrap_redis_home(struct redis *r, struct span key)
{
    (void)r, (void)key;
}

// --- Who is told: every byte of it can be read ----------------------------------------------

static void touch(struct span s)
{
    volatile unsigned sum = 0;
    for (size_t i = 0; i < s.len; i++)
        sum += (unsigned char)s.ptr[i];
}

static void on_value(void *ctx, enum err e, int64_t value)
{
    (void)ctx, (void)e, (void)value;
    told++;
}

static void on_marks(void *ctx, enum err e, struct span marks)
{
    (void)ctx;
    FUZZ_CHECK(e != OK || marks.len == 2);
    touch(marks);
    told++;
}

static void on_claims(void *ctx, enum err e, const struct queue_claims *c)
{
    (void)ctx;
    FUZZ_CHECK((e == OK) == (c != NULL));
    for (size_t i = 0; c && i < c->n_jobs; i++) {
        const struct queue_claimed *j = &c->jobs[i];
        const struct span all[] = {j->list, j->batch, j->model, j->lane,
                                   j->user, j->nonce, j->input};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            touch(all[k]);
        FUZZ_CHECK(j->total <= QUEUE_MAX_INDEX && job_name_ok(j->batch));
    }
    for (size_t i = 0; c && i < c->n_ready; i++)
        touch(c->ready[i].lane_model);
    told++;
}

static void on_answers(void *ctx, enum err e, const struct queue_answer *a, size_t n)
{
    (void)ctx;
    FUZZ_CHECK(e == OK || n == 0);
    FUZZ_CHECK(n == 0 || n == 2);
    for (size_t i = 0; i < n; i++) {
        touch(a[i].batch);
        touch(a[i].nonce);
        touch(a[i].event);
        FUZZ_CHECK(a[i].role != QUEUE_SHARES || job_name_ok(a[i].batch));
    }
    told++;
}

static void on_renewed(void *ctx, enum err e, const struct queue_renewed *r)
{
    (void)ctx;
    FUZZ_CHECK(e != OK || r);
    for (size_t i = 0; e == OK && i < r->n_cancelled; i++)
        touch(r->cancelled[i]);
    for (size_t i = 0; e == OK && i < r->n_ready; i++)
        touch(r->ready[i].lane_model);
    told++;
}

static void on_fields(void *ctx, enum err e, const struct queue_field *f, size_t n)
{
    (void)ctx;
    volatile uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += f[i].seq + f[i].slot;
    FUZZ_CHECK(e == OK || n == 0);
    told++;
}

static void on_items(void *ctx, enum err e, const struct queue_item *items, size_t n)
{
    (void)ctx, (void)e;
    for (size_t i = 0; i < n; i++)
        touch(items[i].bytes);
    told++;
}

static void on_batch(void *ctx, enum err e, const struct queue_batch *b)
{
    (void)ctx;
    const struct span all[] = {b ? b->batch : SPAN(""), b ? b->user : SPAN(""),
                               b ? b->nonce : SPAN(""), b ? b->options : SPAN(""),
                               b ? b->digest : SPAN("")};
    for (size_t i = 0; e == OK && i < sizeof all / sizeof *all; i++)
        touch(all[i]);
    told++;
}

static void on_spans(void *ctx, enum err e, const struct span *names, size_t n)
{
    (void)ctx, (void)e;
    for (size_t i = 0; i < n; i++)
        touch(names[i]);
    told++;
}

static void on_events(void *ctx, enum err e, const struct queue_event *ev, size_t n)
{
    (void)ctx, (void)e;
    for (size_t i = 0; i < n; i++) {
        struct event is;
        touch(ev[i].event_id);
        (void)!event_decode(&is, ev[i].bytes);
    }
    told++;
}

static void on_states(void *ctx, enum err e, const uint8_t *states, size_t n)
{
    (void)ctx;
    FUZZ_CHECK(e != OK || n == 9);
    for (size_t i = 0; i < n; i++)
        FUZZ_CHECK(states[i] <= 3);
    told++;
}

static void on_workers(void *ctx, enum err e, const struct queue_worker *w, size_t n)
{
    (void)ctx, (void)e;
    for (size_t i = 0; i < n; i++) {
        const struct span all[] = {w[i].inc,    w[i].host,    w[i].pid, w[i].concurrency,
                                   w[i].flight, w[i].version, w[i].sink};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            touch(all[k]);
    }
    told++;
}

static void on_page(void *ctx, enum err e, uint64_t next, const struct span *names, size_t n)
{
    (void)next;
    on_spans(ctx, e, names, n);
}

static void on_counts(void *ctx, enum err e, uint64_t next, const struct check_count *c,
                      size_t n)
{
    (void)ctx, (void)e, (void)next;
    for (size_t i = 0; i < n; i++)
        touch(c[i].name);
    told++;
}

static void on_problems(void *ctx, enum err e, uint64_t next, const struct check_problem *p,
                        size_t n)
{
    (void)ctx, (void)e, (void)next;
    for (size_t i = 0; i < n; i++)
        touch(p[i].text);
    told++;
}

static void on_tickets(void *ctx, enum err e, uint64_t next, const struct check_ticket *t,
                       size_t n)
{
    (void)ctx, (void)e, (void)next;
    for (size_t i = 0; i < n; i++)
        touch(t[i].batch);
    told++;
}

static void on_dead(void *ctx, enum err e, const struct dead_page *p)
{
    (void)ctx;
    for (size_t i = 0; e == OK && i < p->n; i++) {
        touch(p->letters[i].id);
        touch(p->letters[i].message);
        touch(p->letters[i].pushed);
    }
    told++;
}

static void on_record(void *ctx, enum err e, struct span record)
{
    (void)ctx, (void)e;
    touch(record);
    told++;
}

static void on_stock(void *ctx, enum err e, const struct blob_stock *s)
{
    (void)ctx;
    touch(s->batch);
    FUZZ_CHECK(e == OK || s->jobs == 0);
    told++;
}

static void on_ledger(void *ctx, enum err e, const struct ledger_page *p)
{
    (void)ctx;
    for (size_t i = 0; e == OK && i < p->n; i++)
        touch(p->entries[i]);
    told++;
}

static void on_grant(void *ctx, enum err e, const struct limit_grant *g)
{
    (void)ctx;
    FUZZ_CHECK(e != OK || g->n <= LIMIT_MAX_SLOTS);
    for (size_t i = 1; e == OK && i < g->n; i++)
        FUZZ_CHECK(g->slots_us[i] >= g->slots_us[i - 1]);
    if (e == OK) {
        touch(g->spec);
        touch(g->reason);
    }
    told++;
}

static void on_taken(void *ctx, enum err e, const struct operation *o)
{
    (void)ctx;
    if (e == OK && o) {
        touch(o->op);
        touch(o->name);
        touch(o->file);
        touch(o->model);
    }
    told++;
}

static void on_begun(void *ctx, enum err e, struct span marks, struct span inc)
{
    (void)ctx, (void)e;
    touch(marks);
    touch(inc);
    told++;
}

// --- What is asked ---------------------------------------------------------------------------

static struct queue *q;
static const struct queue_field two[] = {{1, 1}, {1, 2}};
static const struct queue_asked asked[] = {
    {.field = {1, 1}, .digest = SPAN("d"), .within_ms = 1},
    {.field = {1, 2}, .digest = SPAN("d"), .within_ms = 1}};
static const struct queue_mark marks[] = {{{1, 1}, 1, SPAN(""), false},
                                          {{1, 2}, -1, SPAN("art"), true}};

static const struct operation_new begun = {.inc = SPAN("inc"),
                                           .op = SPAN("op"),
                                           .batch = SPAN("batch"),
                                           .model = SPAN("model"),
                                           .project = SPAN("project"),
                                           .lease_ms = 1,
                                           .keep_ms = 1,
                                           .most = 1,
                                           .n = 2,
                                           .calls = marks};

#define CALL(name, call)       \
    static enum err name(void) \
    {                          \
        return call;           \
    }
#define I SPAN("inc")
#define B SPAN("batch")
CALL(a_claim, queue_claim(q, I, 1, 2, 0, NULL, on_claims, NULL))
CALL(a_lead, queue_lead(q, I, 1, 2, asked, on_answers, NULL))
CALL(a_mark, queue_sent(q, I, 1, 2, marks, on_marks, NULL))
CALL(a_renewal, queue_renew(q, I, 1, 1, SPAN(""), on_renewed, NULL))
CALL(what_is_mine, queue_mine(q, I, on_fields, NULL))
CALL(what_is_open, queue_open(q, I, 2, two, on_marks, NULL))
CALL(a_tick, queue_tick(q, 1, on_value, NULL))
CALL(an_inbox, queue_inbox_take(q, I, 1, 9, on_items, NULL))
CALL(a_status, queue_status(q, B, on_batch, NULL))
CALL(a_list, queue_list(q, 9, on_spans, NULL))
CALL(some_events, queue_events(q, B, 0, 9, 0, on_events, NULL))
CALL(some_inputs, queue_inputs(q, B, 2, (const uint32_t[]){1, 2}, on_spans, NULL))
CALL(some_states, queue_states(q, B, 2, 9, on_states, NULL))
CALL(a_cancel, queue_cancel(q, B, 0, NULL, on_value, NULL))
CALL(a_day, queue_usage(q, 1, on_spans, NULL))
CALL(a_ledger, queue_calls(q, 1, 0, 9, on_ledger, NULL))
CALL(all_workers, queue_workers(q, on_workers, NULL))
CALL(all_ready, queue_ready_counts(q, on_claims, NULL))
CALL(if_paused, queue_is_paused(q, on_value, NULL))
CALL(all_keys, check_keys(q, 0, false, on_problems, NULL))
CALL(all_batches, check_batches(q, CHECK_FIRST, true, on_page, NULL))
CALL(all_counts, check_counts(q, CHECK_JOBS, CHECK_FIRST, 1, &B, on_counts, NULL))
CALL(all_tickets, check_tickets(q, CHECK_READY, B, 0, on_tickets, NULL))
CALL(all_runs, check_runs(q, B, on_spans, NULL))
CALL(all_letters, dead_look(q, 0, 9, 99, on_dead, NULL))
CALL(a_record, blob_find(q, B, on_record, NULL))
CALL(a_kept_one, blob_keep(q, B, B, 1, 0, 0, NULL, on_record, NULL))
CALL(some_chunks, blob_read(q, B, 0, 0, 4, on_spans, NULL))
CALL(what_is_stored, blob_trim(q, &(struct blob_bounds){0}, on_stock, NULL))
CALL(a_grant,
     limit_ask(NULL, 1, &(struct limit_request){.group = B, .want = 9}, on_grant, NULL))
CALL(an_operation, operation_take(q, I, 1, 1, &(struct span){"p", 1}, on_taken, NULL))
CALL(a_beginning, operation_begin(q, &begun, on_begun, NULL))

static enum err (*const calls[])(void) = {
    a_claim,     a_lead,         a_mark,   a_renewal,    what_is_mine, what_is_open,
    a_tick,      an_inbox,       a_status, a_list,       some_events,  some_inputs,
    some_states, a_cancel,       a_day,    a_ledger,     all_workers,  all_ready,
    all_keys,    all_tickets,    all_runs, all_letters,  a_record,     a_kept_one,
    some_chunks, what_is_stored, a_grant,  an_operation, a_beginning,  if_paused,
    all_batches, all_counts};

// As a connection does: an answer may carry an error of the server.
static void answer(unsigned which, const redisReply *reply)
{
    enum err e = redis_wire_judge(reply);
    (void)redis_wire_demoted(reply);
    done = NULL;
    told = 0;
    FUZZ_CHECK(calls[which]() == OK && done);
    done(done_ctx, e, reply);
    FUZZ_CHECK(told == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *reply = NULL;
    redisReader *reader = redis_wire_reader();
    if (!q)
        q = queue_new(NULL, SPAN("q"), 1);
    FUZZ_CHECK(q && reader);
    if (size > 0 && redisReaderFeed(reader, (const char *)data + 1, size - 1) == REDIS_OK &&
        redisReaderGetReply(reader, &reply) == REDIS_OK && reply) {
        answer(data[0] % (sizeof calls / sizeof *calls), reply);
        freeReplyObject(reply);
    }
    redisReaderFree(reader);
    return 0;
}
