// test_pump.c - memory that runs out, and connections that are cut, while many small things are
// said in few requests: each is told once, whatever failed, and the server has it.
#include "worker/pump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "farm.h"
#include "test.h"
#include "unit/fault.h"

#define N    20
#define MOST 6 // in one request

struct thing {
    struct pump_item item;
    unsigned told;
    char mark;
};

struct mouth {
    struct farm *farm;
    struct pump *pump;
    struct thing things[N];
    unsigned requests, cut, lost; // cut, lost: at which of them; 0: never
    bool again;                   // more is said when something was told
};

static struct thing *thing_of(struct pump_item *item)
{
    return (struct thing *)(void *)item;
}

static void on_said(void *ctx, enum err e, const redisReply *reply)
{
    static const char marks[] = "111111";
    struct mouth *m = ctx;
    (void)reply;
    pump_answered(m->pump, e, (struct span){marks, MOST});
}

static void forget_lease(struct mouth *m)
{
    m->lost = 0;
    pump_lost(m->pump);
}

static enum err send_things(void *ctx, uint64_t number, struct pump_item *const *items,
                            size_t n)
{
    struct mouth *m = ctx;
    struct span *argv = calloc(n + 2, sizeof *argv);
    char names[MOST][8];
    (void)number;
    if (!argv)
        return ERR_NOMEM;
    argv[0] = SPAN("SADD");
    argv[1] = SPAN("said");
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "%u", (unsigned)(thing_of(items[i]) - m->things));
        argv[i + 2] = span_of(names[i]);
    }
    enum err e = redis_call(m->farm->link->redis, 5, on_said, m, n + 2, argv);
    free(argv);
    if (e == OK && ++m->requests == m->cut)
        redis_server_do(m->farm->server, "CLIENT KILL TYPE normal");
    return e;
}

static int by_place(const struct pump_item *a, const struct pump_item *b)
{
    return (a > b) - (a < b);
}

static void told(void *ctx, struct pump_item *item, char mark)
{
    struct mouth *m = ctx;
    struct thing *t = thing_of(item), *next = t + N / 2;
    t->told++;
    t->mark = mark;
    if (m->again && next < m->things + N)
        pump_add(m->pump, &next->item);
}

static const struct pump_ops ops = {send_things, by_place, told};

static bool all_told(void *ctx)
{
    struct mouth *m = ctx;
    if (m->lost && m->requests == m->lost && pump_sent(m->pump))
        forget_lease(m);
    return !m->lost && pump_idle(m->pump) && !pump_sent(m->pump);
}

// Says the first half; the other half follows from within.
static enum err speak(struct mouth *m)
{
    farm_again(m->farm);
    m->again = true;
    m->pump = pump_new(m->farm->loop, &ops, m, MOST);
    if (!m->pump)
        return ERR_NOMEM;
    for (size_t i = 0; i < N / 2; i++)
        pump_add(m->pump, &m->things[i].item);
    wait_until(m->farm->loop, all_told, m, "all to be told");
    pump_free(m->pump);
    fault_forget();
    for (size_t i = 0; i < N; i++)
        assert_int_equal(m->things[i].told, 1);
    return OK;
}

static unsigned marked(const struct mouth *m, char mark)
{
    unsigned n = 0;
    for (size_t i = 0; i < N; i++)
        n += m->things[i].mark == mark;
    return n;
}

static enum err say_all(void *ctx)
{
    struct mouth m = {.farm = ctx, .cut = 2};
    redis_server_do(m.farm->server, "DEL said");
    enum err e = speak(&m);
    if (e == OK) {
        assert_int_equal(marked(&m, '1'), N);
        assert_int_equal(redis_server_number(m.farm->server, "SCARD said"), N);
    }
    return e;
}

// What was under way when the lease was lost may have been done; what waited was not said.
static enum err lose_the_lease(void *ctx)
{
    struct mouth m = {.farm = ctx, .lost = 1};
    redis_server_do(m.farm->server, "DEL said");
    enum err e = speak(&m);
    if (e == OK) {
        assert_int_equal(marked(&m, PUMP_MAYBE), MOST);
        assert_int_equal(marked(&m, '0'), N / 2 - MOST);
        assert_int_equal(marked(&m, '1'), N / 2);
        assert_int_equal(redis_server_number(m.farm->server, "SCARD said"), MOST + N / 2);
    }
    return e;
}

static void each_is_told_once(void **state)
{
    fault_sweep(fault_alloc, ERR_NOMEM, say_all, *state);
}

static void each_is_told_once_when_the_lease_is_lost(void **state)
{
    fault_sweep(fault_alloc, ERR_NOMEM, lose_the_lease, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_told_once),
        cmocka_unit_test(each_is_told_once_when_the_lease_is_lost),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
