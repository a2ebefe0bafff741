#include "test.h"

#include <string.h>

#include "common/buf.h"

static void limit_is_exact(void **state)
{
    (void)state;
    struct buf b = {.max = 3};
    buf_add_str(&b, "abc");
    assert_int_equal(b.err, OK);
    buf_add_byte(&b, 'd');
    assert_int_equal(b.err, ERR_TOOBIG);
    assert_string_equal(buf_str(&b), "abc");
    buf_clear(&b);
    buf_addf(&b, "%d", 12);
    assert_string_equal(buf_str(&b), "12");
    buf_free(&b);
    assert_int_equal(b.max, 3);
}

static void errors_stick(void **state)
{
    (void)state;
    struct buf b = {.max = 2};
    buf_add_str(&b, "abc");
    buf_add_str(&b, "a");
    assert_int_equal(b.err, ERR_TOOBIG);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

static void drops_from_the_front(void **state)
{
    (void)state;
    struct buf b = {.max = 100};
    buf_drop(&b, 0);
    buf_add_str(&b, "abcdef");
    buf_drop(&b, 4);
    assert_string_equal(buf_str(&b), "ef");
    buf_drop(&b, 9);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limit_is_exact),
        cmocka_unit_test(errors_stick),
        cmocka_unit_test(drops_from_the_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
