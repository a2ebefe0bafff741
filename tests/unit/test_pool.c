// test_pool.c - tasks are worked on by threads and come back to the loop, each once.
#include <ev.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/pool.h"
#include "unit/test.h"

#define TASKS 2000

struct count {
    struct pool_task task; // first
    struct bench *bench;
    unsigned number, made, nice;
};

struct bench {
    struct ev_loop *loop;
    struct pool *pool;
    unsigned done; // of the loop alone
    struct count counts[TASKS];
};

static void work(struct pool_task *t)
{
    struct count *c = (struct count *)t;
    c->made += c->number + 1;
    c->nice = (unsigned)getpriority(PRIO_PROCESS, 0);
}

static void done(struct pool_task *t)
{
    struct count *c = (struct count *)t;
    assert_int_equal(c->made, c->number + 1); // once, and it can be seen here
    if (++c->bench->done == TASKS)
        ev_break(c->bench->loop, EVBREAK_ONE);
}

static struct bench *bench_new(int nice)
{
    struct bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(b->loop);
    b->pool = pool_new(b->loop, 4, nice);
    assert_non_null(b->pool);
    for (unsigned i = 0; i < TASKS; i++)
        b->counts[i] = (struct count){{.work = work, .done = done}, b, i, 0, 0};
    return b;
}

static void bench_free(struct bench *b)
{
    pool_free(b->pool);
    ev_loop_destroy(b->loop);
    free(b);
}

static void every_task_comes_back_once(void **state)
{
    (void)state;
    struct bench *b = bench_new(0);
    for (unsigned i = 0; i < TASKS; i++)
        pool_add(b->pool, &b->counts[i].task);
    ev_run(b->loop, 0);
    assert_int_equal(b->done, TASKS);
    bench_free(b);
    pool_free(NULL);
}

static void what_has_not_begun_is_dropped(void **state)
{
    (void)state;
    struct bench *b = bench_new(0);
    for (unsigned i = 0; i < TASKS; i++)
        pool_add(b->pool, &b->counts[i].task);
    bench_free(b); // whatever is under way ends before its memory goes
}

// A thread's niceness is its own: the loop's stays what it was.
static void threads_can_be_nice(void **state)
{
    (void)state;
    struct bench *b = bench_new(3);
    int ours = getpriority(PRIO_PROCESS, 0);
    for (unsigned i = 0; i < TASKS; i++)
        pool_add(b->pool, &b->counts[i].task);
    ev_run(b->loop, 0);
    for (unsigned i = 0; i < TASKS; i++)
        assert_int_equal(b->counts[i].nice, ours + 3 < 19 ? ours + 3 : 19);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), ours);
    bench_free(b);
}

static void cores_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(pool_cores(2), 2);
    assert_in_range(pool_cores(64), 2, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_comes_back_once),
        cmocka_unit_test(what_has_not_begun_is_dropped),
        cmocka_unit_test(threads_can_be_nice),
        cmocka_unit_test(cores_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
