// test_operation.c - memory or disk that run out while a worker takes over an operation of
// which nothing was made, and makes a batch of it: one, and no job is left out of it.
#include <hiredis/hiredis.h>

#include "press.h"
#include "test.h"

static bool is_running(void *ctx)
{
    const struct press *p = ctx;
    redisReply *r =
        redis_server_ask(p->shop.farm->server, "HGET " FARM_PREFIX "bo:%s state", p->op);
    bool yes = r->type == REDIS_REPLY_STRING && span_is(span_of(r->str), "running");
    freeReplyObject(r);
    return yes;
}

static enum err make(void *ctx)
{
    struct press p;
    press_open(&p, ctx);
    press_leave(&p, false);
    press_begin(&p);
    sweep_begin();
    press_uploaded(&p);
    wait_until(p.shop.farm->loop, is_running, &p, "a batch to be made");
    assert_int_equal(p.made, 1);
    assert_int_equal(p.shop.calls, SHOP_TOTAL);
    press_close(&p);
    return OK;
}

static void one_batch_is_made_of_all(void **state)
{
    sweep(fault_place, ERR_NOMEM, make, *state);
}

static void one_batch_is_made_on_a_full_disk(void **state)
{
    sweep(fault_write, ERR_FULL, make, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_batch_is_made_of_all),
        cmocka_unit_test(one_batch_is_made_on_a_full_disk),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
