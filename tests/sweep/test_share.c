// test_share.c - memory that runs out while a worker has jobs that may share a request: each is
// completed once, whole, by a call of its own or by another one's, and each call is counted.
#include <stdio.h>

#include "shop.h"
#include "test.h"

static void write_alike(struct buf *out, unsigned index)
{
    struct buf map = {.max = 1000};
    char id[16];
    snprintf(id, sizeof id, "job-%u", index);
    struct job j = {.id = span_of(id),
                    .prompt = SPAN("a cat"),
                    .model = SPAN("m"),
                    .samples = 1,
                    .dedupe = 60};
    job_encode(&map, &j);
    *out = (struct buf){.max = 1000};
    job_input(out, j.id, buf_span(&map));
    assert_int_equal(map.err | out->err, OK);
    buf_free(&map);
}

static void submit_alike(struct farm *f)
{
    struct buf inputs[SHOP_TOTAL];
    struct queue_input in[SHOP_TOTAL];
    struct told t = {0};
    assert_int_equal(farm_create(f, SHOP_BATCH, "ann").err, OK);
    for (unsigned i = 0; i < SHOP_TOTAL; i++) {
        write_alike(&inputs[i], i);
        in[i] = (struct queue_input){FARM_ROUTE, buf_span(&inputs[i])};
    }
    enum err e = queue_chunk(f->queue, SPAN(SHOP_BATCH), 0, SHOP_TOTAL, in, told_value, &t);
    assert_int_equal(farm_wait(f, e, &t).err, OK);
    for (unsigned i = 0; i < SHOP_TOTAL; i++)
        buf_free(&inputs[i]);
    assert_int_equal(farm_seal(f, SHOP_BATCH, SHOP_TOTAL).err, OK);
}

struct runs {
    struct farm *farm;
    unsigned shared; // of which all jobs were done by one call
};

static enum err share(void *ctx)
{
    struct runs *runs = ctx;
    struct shop s;
    shop_open(&s, runs->farm, NULL);
    submit_alike(runs->farm);
    assert_true(shop_begin(&s, &shop_calls));
    shop_ready(&s);
    sweep_begin();
    shop_done(&s);
    fault_forget();
    shop_check(&s);
    runs->shared += s.calls == 1;
    shop_close(&s);
    return OK;
}

static void alike_ones_share_a_call(void **state)
{
    struct runs runs = {.farm = *state};
    sweep(fault_place, ERR_NOMEM, share, &runs);
    assert_true(runs.shared > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(alike_ones_share_a_call)};
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
