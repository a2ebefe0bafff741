// test_task.c - memory that runs out when a worker says what became of a job: the job has
// ended, with whole events, or has gone back, and its call is counted once in either case.
#include "worker/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/catalogue.h"
#include "broker/projects.h"
#include "common/clock.h"
#include "sweep.h"
#include "test.h"
#include "worker/keyring.h"
#include "worker/lease.h"
#include "worker/provider.h"
#include "worker/task_private.h"

#define BATCH "cats"

struct bench {
    struct farm *farm;
    struct link *link;
    struct projects projects;
    struct keyring *keys;
    struct task_host host;
    struct task *task;
    bool claimed, gone, read;
    unsigned ended; // terminal events
};

static void on_room(void *ctx)
{
    (void)ctx;
}

static void on_task(void *ctx, struct task *t)
{
    (void)ctx, (void)t;
}

static void on_gone(void *ctx, struct task *t)
{
    struct bench *b = ctx;
    assert_ptr_equal(t, b->task);
    b->gone = true;
}

static void on_lease(void *ctx)
{
    (void)ctx;
}

static void set_up(struct bench *b)
{
    static struct provider provider = {.name = "x", .endpoint = "https://x"};
    static const struct lease_hooks hooks = {.gained = on_lease, .lost = on_lease};
    struct buf key = {.max = 10};
    buf_add_str(&key, "key");
    projects_one(&b->projects, "default", &key, SPAN(""));
    b->keys = keyring_new(&b->projects.at[0]);
    b->link = sweep_link(b->farm);
    b->host = (struct task_host){.loop = b->farm->loop,
                                 .queue = queue_new(b->link->redis, SPAN("q"), 5),
                                 .provider = &provider,
                                 .name = "here:1",
                                 .project = "",
                                 .ready = on_task,
                                 .freed = on_task,
                                 .gone = on_gone,
                                 .ctx = b};
    struct lease_options lo = {
        .seconds = 60, .host = "", .held = SPAN("inc"), .asked_us = clock_boot_us()};
    struct gates_options go = {
        .keyrings = &b->keys, .n_keyrings = 1, .room = on_room, .concurrency = 8, .ctx = b};
    b->host.lease = lease_new(b->farm->loop, b->host.queue, &lo, &hooks);
    b->host.gates = gates_new(b->farm->loop, b->link->redis, &go);
    b->host.settles = pump_new(b->farm->loop, &task_settle_ops, &b->host, 10);
}

static void tear_down(struct bench *b)
{
    link_free(b->link); // first: who waits for an answer is told
    if (b->task && !b->gone)
        task_free(b->task);
    pump_free(b->host.settles);
    gates_free(b->host.gates);
    lease_free(b->host.lease);
    queue_free(b->host.queue);
    keyring_free(b->keys);
    projects_free(&b->projects);
}

// A call of which the outcome is not known, and that failed.
static void say(struct task *t)
{
    struct event unknown = task_event(t, EVENT_UNKNOWN), failed = task_event(t, EVENT_FAILED);
    unknown.code = CODE_TIMEOUT;
    unknown.policy = SPAN("fail");
    failed.code = CODE_TIMEOUT;
    failed.message = SPAN("no answer in time, and this is longer than what has room at first: "
                          "it has more than one hundred and twenty-eight bytes in all, surely");
    task_add_event(t, &unknown);
    task_add_event(t, &failed);
    t->say.figures.calls = t->say.figures.unknown = 1;
    task_say(t, QUEUE_FAILED, 0);
}

static void on_claimed(void *ctx, enum err e, const struct queue_claims *c)
{
    struct bench *b = ctx;
    assert_int_equal(e, OK);
    assert_int_equal(c->n_jobs, 1);
    b->claimed = true;
    sweep_begin();
    b->task = task_new(&b->host, 1, c->jobs);
    if (b->task)
        say(b->task);
}

static void on_events(void *ctx, enum err e, const struct queue_event *all, size_t n)
{
    struct bench *b = ctx;
    b->read = true;
    assert_int_equal(e, OK);
    for (size_t i = 0; i < n; i++) {
        struct event ev;
        assert_int_equal(event_decode(&ev, all[i].bytes), OK);
        b->ended += event_terminal(ev.type);
        if (event_terminal(ev.type))
            assert_true(span_is(ev.id, "job-0"));
    }
}

static void check(struct bench *b)
{
    struct status s = farm_status(b->farm, BATCH);
    assert_int_equal(queue_events(b->farm->queue, SPAN(BATCH), 0, 100, 0, on_events, b), OK);
    wait_for(b->farm->loop, &b->read, "events");
    assert_int_equal(s.b.open + s.b.failed, 1);
    assert_int_equal(b->ended, s.b.failed);
    assert_int_equal(s.b.calls, b->task ? 1 : 0);
    assert_true(s.b.failed || fault_happened());
}

static enum err end_job(void *ctx)
{
    struct bench b = {.farm = ctx};
    farm_fresh(&(void *){ctx});
    farm_submit(b.farm, BATCH, "ann", NULL, 1);
    farm_hand(b.farm, "inc");
    set_up(&b);
    assert_int_equal(
        queue_claim(b.host.queue, SPAN("inc"), 1, 1, 1, &SPAN(FARM_LANE), on_claimed, &b), OK);
    wait_for(b.farm->loop, &b.claimed, "a job");
    if (b.task)
        wait_for(b.farm->loop, &b.gone, "the job to be settled");
    fault_forget();
    check(&b);
    tear_down(&b);
    return b.task ? OK : ERR_NOMEM;
}

static void what_became_of_a_job_is_said_whole(void **state)
{
    sweep(fault_alloc, ERR_NOMEM, end_job, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_became_of_a_job_is_said_whole)};
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
