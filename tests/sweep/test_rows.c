// test_rows.c - memory or disk that run out while the answers of a batch are fetched, checked,
// stored and settled: each of its jobs is completed once, whole.
#include "press.h"
#include "test.h"

static enum err settle(void *ctx)
{
    struct press p;
    press_open(&p, ctx);
    press_leave(&p, true);
    press_begin(&p);
    sweep_begin();
    shop_done(&p.shop);
    fault_forget();
    shop_check(&p.shop);
    shop_close(&p.shop);
    return OK;
}

static void each_row_is_settled_once(void **state)
{
    sweep(fault_place, ERR_NOMEM, settle, *state);
}

static void each_row_is_settled_once_on_a_full_disk(void **state)
{
    sweep(fault_write, ERR_FULL, settle, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_settled_once),
        cmocka_unit_test(each_row_is_settled_once_on_a_full_disk),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
