// Projects files: one that is taken has projects with names and keys, and limits that are
// found.
#include <stdlib.h>

#include "broker/projects.h"
#include "memory_file.h"

static void check(const struct project *p)
{
    FUZZ_CHECK(job_name_ok(span_of(p->name)));
    FUZZ_CHECK(p->weight >= 1 && p->weight <= PROJECT_MAX_WEIGHT);
    FUZZ_CHECK(p->n_keys >= 1 && p->n_keys <= PROJECT_MAX_KEYS);
    for (size_t i = 0; i < p->n_keys; i++)
        FUZZ_CHECK(p->keys[i].secret.len > 0 && p->keys[i].from);
    for (size_t i = 0; i < p->n_limits; i++)
        FUZZ_CHECK(p->limits[i].group && p->limits[i].spec.len > 0);
    (void)project_limit(p, SPAN("standard/m"));
    (void)project_limit(p, SPAN("flex/m"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct projects all;
    struct buf why = {.max = 4096};
    setenv("A", "key-a", 1);
    setenv("B", "key-b", 1);
    if (projects_read(memory_file(data, size), &all, &why) == OK) {
        FUZZ_CHECK(all.n >= 1 && all.n <= PROJECTS_MAX);
        for (size_t i = 0; i < all.n; i++)
            check(&all.at[i]);
    } else {
        FUZZ_CHECK(why.len > 0);
    }
    projects_free(&all);
    all.n = 0;
    buf_free(&why);
    return 0;
}
