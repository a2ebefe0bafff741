// Catalogues: one that is taken has a default that is there, models that are found by their
// names, and prices that are never below zero.
#include "broker/catalogue.h"
#include "memory_file.h"

static void check_cost(const struct model *m, const struct job *j)
{
    struct buf why = {.max = 4096};
    struct model_usage u = {INT32_MAX, INT32_MAX, INT32_MAX};
    int64_t micro = 0;
    FUZZ_CHECK(model_cost(m, j->lane, &u, &micro) != OK || micro >= 0);
    FUZZ_CHECK(model_image_tokens(m, j->image_size, &micro) != OK || micro >= 0);
    FUZZ_CHECK(model_worst(m, j, 1u << 18, &micro) != OK || micro >= 0);
    FUZZ_CHECK(model_estimate(m, j, 1u << 18, &micro) != OK || micro >= 0);
    FUZZ_CHECK((model_check(m, j, &why) == OK) == (why.len == 0));
    buf_free(&why);
}

static void check_model(const struct catalogue *c, const struct model *m)
{
    struct buf why = {.max = 4096};
    FUZZ_CHECK(catalogue_find(c, model_name(m)) == m);
    for (int lane = 0; lane < 4; lane++) {
        struct job j = {.model = model_name(m), .lane = (enum job_lane)lane, .samples = 1};
        check_cost(m, &j);
        for (size_t i = 0; (j.image_size = model_size(m, i)).len > 0; i++)
            check_cost(m, &j);
        catalogue_unpriced(c, &j, &why);
        buf_clear(&why);
    }
    (void)model_tier(m, SPAN("tier1"));
    (void)model_retires(m);
    buf_free(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct catalogue *c = NULL;
    struct buf why = {.max = 4096};
    const struct model *m;
    if (catalogue_open(memory_file(data, size), &c, &why) == OK) {
        FUZZ_CHECK(catalogue_find(c, catalogue_default(c)));
        for (size_t i = 0; (m = catalogue_at(c, i)); i++)
            check_model(c, m);
        catalogue_free(c);
    } else {
        FUZZ_CHECK(why.len > 0);
    }
    buf_free(&why);
    return 0;
}
