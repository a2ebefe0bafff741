// test_worker.c - memory or disk that run out while a worker begins, and while it claims,
// sends, stores and settles: each job is completed once, whole, and each call counted.
#include <stdio.h>
#include <stdlib.h>

#include "shop.h"
#include "test.h"

static enum err begin(void *ctx)
{
    struct shop s;
    shop_open(&s, ctx, FARM_ROUTE);
    sweep_begin();
    enum err e = shop_begin(&s, &shop_calls) ? OK : ERR_NOMEM;
    fault_forget();
    shop_close(&s);
    return e;
}

static enum err work(void *ctx)
{
    struct shop s;
    shop_open(&s, ctx, FARM_ROUTE);
    assert_true(shop_begin(&s, &shop_calls));
    shop_ready(&s);
    sweep_begin();
    shop_done(&s);
    fault_forget();
    shop_check(&s);
    shop_close(&s);
    return OK;
}

static void a_worker_begins_or_does_not(void **state)
{
    sweep(fault_place, ERR_NOMEM, begin, *state);
}

static void each_job_is_done_once(void **state)
{
    sweep(fault_place, ERR_NOMEM, work, *state);
}

static void each_job_is_done_once_on_a_full_disk(void **state)
{
    sweep(fault_write, ERR_FULL, work, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_begins_or_does_not),
        cmocka_unit_test(each_job_is_done_once),
        cmocka_unit_test(each_job_is_done_once_on_a_full_disk),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
