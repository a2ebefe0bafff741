// test_usage_rows.c - rows by name: each once, in order, and no more than there may be.
#include <stdio.h>
#include <string.h>

#include "client/usage_rows.h"
#include "unit/test.h"

static void rows_are_found_and_in_order(void **state)
{
    (void)state;
    static const char *const names[] = {"b", "bob", "a", "bo", "b", "c", "a"};
    static const char *const order[] = {"a", "b", "bo", "bob", "c"};
    struct usage_rows r = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct usage_row *row = usage_row(&r, span_of(names[i]));
        assert_string_equal(row->name, names[i]);
        row->v[USAGE_COST] += (int64_t)1 << i;
    }
    assert_int_equal(r.n, 5);
    for (size_t i = 0; i < r.n; i++)
        assert_string_equal(r.at[i]->name, order[i]);
    assert_int_equal(r.at[0]->v[USAGE_COST], 4 + 64);
    assert_int_equal(usage_sum(&r, USAGE_COST), 127);
    assert_int_equal(usage_sum(&r, USAGE_CALLS), 0);
    usage_free(&r);
    assert_int_equal(r.n, 0);
}

static void there_are_so_many_at_most(void **state)
{
    (void)state;
    struct usage_rows r = {0};
    char name[16];
    for (int i = 0; i < USAGE_MAX_ROWS; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_non_null(usage_row(&r, span_of(name)));
    }
    assert_null(usage_row(&r, SPAN("one more")));
    assert_non_null(usage_row(&r, SPAN("n9")));
    usage_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_and_in_order),
        cmocka_unit_test(there_are_so_many_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
