// test_lease.c - a lease is over when the clock says so that goes on in suspend and under
// SIGSTOP, whatever the server was heard to say; and then no call begins, nor does one send
// what it has not sent.
//
// The clock and the queue are this file's own (see --wrap in CMakeLists.txt).
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/queue.h"
#include "common/clock.h"
#include "test.h"
#include "worker/gate_private.h"
#include "worker/keyring.h"
#include "worker/lease.h"
#include "worker/provider.h"
#include "worker/task_private.h"

#define LEASE_S 30.0

// --- The clock -------------------------------------------------------------------------------

static int64_t boot_us = 1000000;

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    if (id != CLOCK_BOOTTIME)
        return __real_clock_gettime(id, t);
    t->tv_sec = boot_us / 1000000;
    t->tv_nsec = boot_us % 1000000 * 1000;
    return 0;
}

static void pass(double seconds)
{
    boot_us += (int64_t)(seconds * 1e6);
}

// --- The queue -------------------------------------------------------------------------------

static struct heard {
    queue_done *registered;
    queue_renew_done *renewed;
    queue_marks_done *settled;
    void *ctx;
    unsigned asked; // registrations and renewals
    unsigned settles;
    enum queue_op op; // of the last one
} queue;

enum err __wrap_queue_register(struct queue *q, struct span inc, int64_t lease_ms, size_t n,
                               const struct queue_fact *facts, queue_done *done, void *ctx);
enum err __wrap_queue_renew(struct queue *q, struct span inc, int64_t lease_ms, unsigned flight,
                            struct span limits, queue_renew_done *done, void *ctx);
enum err __wrap_queue_settle(struct queue *q, struct span inc, uint64_t number, size_t n,
                             const struct queue_settle *settles, queue_marks_done *done,
                             void *ctx);
struct redis *__wrap_queue_redis(struct queue *q);
bool __wrap_redis_ready(const struct redis *r);

enum err __wrap_queue_register(struct queue *q, struct span inc, int64_t lease_ms, size_t n,
                               const struct queue_fact *facts, queue_done *done, void *ctx)
{
    (void)q, (void)inc, (void)lease_ms, (void)n, (void)facts;
    queue.registered = done;
    queue.ctx = ctx;
    queue.asked++;
    return OK;
}

enum err __wrap_queue_renew(struct queue *q, struct span inc, int64_t lease_ms, unsigned flight,
                            struct span limits, queue_renew_done *done, void *ctx)
{
    (void)q, (void)inc, (void)lease_ms, (void)flight, (void)limits;
    queue.renewed = done;
    queue.ctx = ctx;
    queue.asked++;
    return OK;
}

enum err __wrap_queue_settle(struct queue *q, struct span inc, uint64_t number, size_t n,
                             const struct queue_settle *settles, queue_marks_done *done,
                             void *ctx)
{
    (void)q, (void)inc, (void)number, (void)done, (void)ctx;
    queue.settles += (unsigned)n;
    queue.op = settles[0].op;
    return OK;
}

struct redis *__wrap_queue_redis(struct queue *q)
{
    (void)q;
    return NULL;
}

bool __wrap_redis_ready(const struct redis *r)
{
    (void)r;
    return true;
}

// --- The provider ----------------------------------------------------------------------------

static struct made {
    unsigned started, cancelled;
    bool has_left; // a byte of the call
    double timeout;
    provider_may_send *may_send;
    provider_done *done;
    void *ctx;
} calls;

static enum err start(struct provider *p, const struct job *job, struct keyring *keys,
                      double timeout, provider_may_send *may_send, provider_done *done,
                      void *ctx, struct provider_call **out)
{
    (void)p, (void)job, (void)keys;
    calls.started++;
    calls.timeout = timeout;
    calls.may_send = may_send;
    calls.done = done;
    calls.ctx = ctx;
    *out = (struct provider_call *)&calls;
    return OK;
}

static bool sent(const struct provider_call *c)
{
    (void)c;
    return calls.has_left;
}

static bool cancel(struct provider *p, struct provider_call *c)
{
    (void)p, (void)c;
    calls.cancelled++;
    return calls.has_left;
}

static const struct provider_ops ops = {.start = start, .sent = sent, .cancel = cancel};

// --- A worker --------------------------------------------------------------------------------

struct worker {
    struct ev_loop *loop;
    struct lease *lease;
    unsigned gained, lost;
    struct project project;
    struct keyring *keys;
    struct provider provider;
    struct task_host host;
    struct task *task;
    unsigned freed, gone;
};

static void on_gained(void *ctx)
{
    ((struct worker *)ctx)->gained++;
}

static void on_lost(void *ctx)
{
    ((struct worker *)ctx)->lost++;
}

static void on_renewed(void *ctx, const struct queue_renewed *r)
{
    (void)ctx, (void)r;
}

static unsigned flight(void *ctx)
{
    (void)ctx;
    return 0;
}

static void on_freed(void *ctx, struct task *t)
{
    (void)t;
    ((struct worker *)ctx)->freed++;
}

static void on_gone(void *ctx, struct task *t)
{
    struct worker *w = ctx;
    assert_ptr_equal(t, w->task);
    w->task = NULL;
    w->gone++;
}

static void turn(struct worker *w)
{
    ev_run(w->loop, EVRUN_NOWAIT);
}

static int set_up(void **state)
{
    struct worker *w = calloc(1, sizeof *w);
    struct lease_options lo = {.seconds = LEASE_S, .host = "h"};
    w->loop = ev_loop_new(EVFLAG_AUTO);
    queue = (struct heard){0};
    calls = (struct made){0};
    w->lease = lease_new(
        w->loop, NULL, &lo,
        &(struct lease_hooks){
            .gained = on_gained, .lost = on_lost, .renewed = on_renewed, .flight = flight, w});
    lease_connected(w->lease);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct worker *w = *state;
    if (w->task)
        task_free(w->task);
    pump_free(w->host.settles);
    gates_free(w->host.gates);
    keyring_free(w->keys);
    lease_free(w->lease);
    ev_loop_destroy(w->loop);
    free(w);
    return 0;
}

// With a job that was marked as sent, and whose call is to be made.
static int set_up_task(void **state)
{
    set_up(state);
    struct worker *w = *state;
    queue.registered(queue.ctx, OK, 1);
    strcpy(w->project.name, "default");
    w->keys = keyring_new(&w->project);
    w->provider.ops = &ops;
    w->host = (struct task_host){.loop = w->loop,
                                 .lease = w->lease,
                                 .provider = &w->provider,
                                 .name = "h:1",
                                 .project = "default",
                                 .freed = on_freed,
                                 .gone = on_gone,
                                 .ctx = w};
    w->host.gates = gates_new(w->loop, NULL,
                              &(struct gates_options){.keyrings = &w->keys, .n_keyrings = 1});
    w->host.settles = pump_new(w->loop, &task_settle_ops, &w->host, 10);
    w->task = task_new(&w->host, 1,
                       &(struct queue_claimed){.batch = SPAN("b"),
                                               .model = SPAN("m"),
                                               .lane = SPAN("standard"),
                                               .ticket = {.run = 1},
                                               .input = SPAN("")});
    assert_non_null(w->task);
    w->task->pass.gate = route_gate(w->task->route, SPAN(""));
    w->task->state = TASK_MARKING;
    return 0;
}

static void mark(struct worker *w)
{
    task_marked(w->task, '1');
    turn(w);
}

// --- The lease -------------------------------------------------------------------------------

static void it_ends_by_the_clock_that_never_stops(void **state)
{
    struct worker *w = *state;
    assert_false(lease_holds(w->lease));
    queue.registered(queue.ctx, OK, 1);
    assert_int_equal(w->gained, 1);
    assert_true(lease_holds(w->lease));
    pass(LEASE_S - 0.001);
    assert_true(lease_holds(w->lease));
    pass(0.002);
    assert_false(lease_holds(w->lease));
    assert_int_equal(w->lost, 0); // perhaps nobody took its jobs
}

static void it_is_counted_from_before_the_request(void **state)
{
    struct worker *w = *state;
    pass(10);
    queue.registered(queue.ctx, OK, 1);
    pass(LEASE_S - 10.001);
    assert_true(lease_holds(w->lease));
    pass(0.002);
    assert_false(lease_holds(w->lease));
}

static void a_renewal_prolongs_it(void **state)
{
    struct worker *w = *state;
    struct queue_renewed r = {0};
    queue.registered(queue.ctx, OK, 1);
    pass(LEASE_S / 2);
    lease_connected(w->lease); // renews at once
    assert_non_null(queue.renewed);
    pass(LEASE_S / 4);
    queue.renewed(queue.ctx, OK, &r);
    pass(LEASE_S * 3 / 4 - 0.001);
    assert_true(lease_holds(w->lease));
    pass(0.002);
    assert_false(lease_holds(w->lease));
}

static void a_renewal_that_fails_does_not(void **state)
{
    struct worker *w = *state;
    queue.registered(queue.ctx, OK, 1);
    pass(LEASE_S / 2);
    lease_connected(w->lease);
    queue.renewed(queue.ctx, ERR_BUSY, NULL);
    pass(LEASE_S / 2 + 0.001);
    assert_false(lease_holds(w->lease));
}

// --- Calls -----------------------------------------------------------------------------------

static void a_call_is_made_under_a_lease(void **state)
{
    struct worker *w = *state;
    pass(LEASE_S - 0.001);
    mark(w);
    assert_int_equal(calls.started, 1);
    assert_true(calls.may_send(calls.ctx));
    assert_int_equal(w->freed, 0);
}

static void without_one_none_begins(void **state)
{
    struct worker *w = *state;
    pass(LEASE_S + 0.001);
    mark(w);
    assert_int_equal(calls.started, 0);
    assert_int_equal(w->freed, 1);
    assert_int_equal(queue.settles, 1); // is handed back, if it still is ours
    assert_int_equal(queue.op, QUEUE_REQUEUE);
}

static void what_has_begun_may_send_nothing_more(void **state)
{
    struct worker *w = *state;
    struct provider_result r = {.code = CODE_NETWORK, .withheld = true};
    mark(w);
    pass(LEASE_S + 0.001);
    assert_false(calls.may_send(calls.ctx));
    calls.done(calls.ctx, &r);
    turn(w);
    assert_int_equal(w->freed, 1);
    assert_int_equal(queue.settles, 1);
    assert_int_equal(queue.op, QUEUE_REQUEUE);
    assert_int_equal(w->task->ticket.attempts, 0);
}

static void an_unsent_call_goes_with_the_lease(void **state)
{
    struct worker *w = *state;
    mark(w);
    task_lost(w->task);
    assert_int_equal(calls.cancelled, 1);
    assert_int_equal(w->gone, 1);
    assert_int_equal(w->freed, 1);
}

static void a_sent_one_ends(void **state)
{
    struct worker *w = *state;
    mark(w);
    calls.has_left = true;
    task_lost(w->task);
    assert_int_equal(calls.cancelled, 0);
    assert_int_equal(w->gone, 0);
    assert_false(calls.may_send(calls.ctx)); // of what it has not sent
}

static double server_now(void)
{
    return (double)clock_wall_ms() / 1000;
}

static void a_call_ends_with_its_jobs_deadline(void **state)
{
    struct worker *w = *state;
    w->task->job.timeout = 500;
    w->task->expires = server_now() + 100;
    mark(w);
    assert_int_equal(calls.started, 1);
    assert_true(calls.timeout > 0 && calls.timeout <= 100);
}

static void a_late_deadline_makes_no_call_longer(void **state)
{
    struct worker *w = *state;
    w->task->job.timeout = 20;
    w->task->expires = server_now() + 100;
    mark(w);
    assert_float_equal(calls.timeout, 20, 0.001);
}

static void none_begins_after_the_deadline(void **state)
{
    struct worker *w = *state;
    w->task->expires = server_now() - 1;
    mark(w);
    assert_int_equal(calls.started, 0);
    assert_int_equal(w->freed, 1);
    assert_int_equal(queue.op, QUEUE_FAILED);
}

int main(void)
{
#define LEASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define CALL(test)  cmocka_unit_test_setup_teardown(test, set_up_task, tear_down)
    const struct CMUnitTest tests[] = {
        LEASE(it_ends_by_the_clock_that_never_stops),
        LEASE(it_is_counted_from_before_the_request),
        LEASE(a_renewal_prolongs_it),
        LEASE(a_renewal_that_fails_does_not),
        CALL(a_call_is_made_under_a_lease),
        CALL(without_one_none_begins),
        CALL(what_has_begun_may_send_nothing_more),
        CALL(an_unsent_call_goes_with_the_lease),
        CALL(a_sent_one_ends),
        CALL(a_call_ends_with_its_jobs_deadline),
        CALL(a_late_deadline_makes_no_call_longer),
        CALL(none_begins_after_the_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
