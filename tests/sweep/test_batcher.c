// test_batcher.c - memory that runs out while jobs are gathered for a batch at the provider,
// put into an operation, and their requests uploaded: that comes about all the same, and every
// job is in one place.
#include "press.h"
#include "test.h"

static enum err gather(void *ctx)
{
    struct press p;
    press_open(&p, ctx);
    press_begin(&p);
    sweep_begin();
    press_uploaded(&p);
    press_close(&p);
    return OK;
}

static void jobs_are_gathered(void **state)
{
    sweep(fault_place, ERR_NOMEM, gather, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(jobs_are_gathered)};
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
