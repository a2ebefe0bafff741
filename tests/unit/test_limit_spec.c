// test_limit_spec.c - limits as people write them.
#include "broker/limit.h"
#include "unit/test.h"

static void good_ones(void **state)
{
    (void)state;
    static const struct {
        const char *text, *spec;
    } cases[] = {
        {"req=100/1s", "req=100/1000000"},
        {"rpm=600", "rpm=600/60000000"},
        {" req=100/1s , rpd=10000 ", "req=100/1000000,rpd=10000/86400000000"},
        {"a=1/200ms", "a=1/200000"},
        {"a=1/31d", "a=1/2678400000000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {.max = 1024};
        assert_int_equal(limit_spec(span_of(cases[i].text), &out, NULL), OK);
        assert_string_equal(buf_str(&out), cases[i].spec);
        buf_free(&out);
    }
}

static void bad_ones_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "limit \"\" must be NAME=COUNT/PERIOD, as req=100/1s"},
        {"100", "limit \"100\" must be NAME=COUNT/PERIOD, as req=100/1s"},
        {"re-q=1/1s", "limit \"re-q=1/1s\" must be NAME=COUNT/PERIOD, as req=100/1s"},
        {"req=100",
         "limit \"req=100\" needs a period, as req=100/1s; only rpm and rpd have one"},
        {"req=0/1s", "limit \"req=0/1s\" has no good count: 1 to 1000000000"},
        {"req=-1/1s", "limit \"req=-1/1s\" has no good count: 1 to 1000000000"},
        {"req=1/0s", "limit \"req=1/0s\" has no good period: 1ms to 31d, as 1s or 10m"},
        {"req=1/x", "limit \"req=1/x\" has no good period: 1ms to 31d, as 1s or 10m"},
        {"a=1/1s,a=2/1s", "limit \"a=2/1s\" is there twice"},
        {"rpm=1,", "limit \"\" must be NAME=COUNT/PERIOD, as req=100/1s"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {.max = 1024}, why = {.max = 1024};
        assert_int_equal(limit_spec(span_of(cases[i].text), &out, &why), ERR_FORMAT);
        assert_string_equal(buf_str(&why), cases[i].why);
        assert_int_equal(out.len, 0);
        buf_free(&why);
        buf_free(&out);
    }
}

static void too_many(void **state)
{
    (void)state;
    struct buf text = {.max = 1024}, out = {.max = 1024};
    for (int i = 0; i < 17; i++)
        buf_addf(&text, "%sn%d=1/1s", i ? "," : "", i);
    assert_int_equal(limit_spec(buf_span(&text), &out, NULL), ERR_FORMAT);
    buf_free(&text);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones),
        cmocka_unit_test(bad_ones_are_named),
        cmocka_unit_test(too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
