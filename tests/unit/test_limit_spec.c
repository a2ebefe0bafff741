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
        {" req=100/1s , rpd=10000 ", "req=100/1000000,rpd=10000/day"},
        {"ipm=500,tpm=4000000", "ipm=500/60000000,tpm=4000000/60000000"},
        {"usd10m=50", "usd10m=50000000/600000000"},
        {"usdx=2/1h", "usdx=2000000/3600000000"},
        {"inflight=100,strict", "inflight=100/0,strict=1/0"},
        {"rpd=100/24h", "rpd=100/86400000000"}, // rolling
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
         "limit \"req=100\" needs a period, as req=100/1s; only rpm, ipm, tpm, rpd, usd10m and "
         "inflight have none"},
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

static void shown_as_written(void **state)
{
    (void)state;
    static const char *const texts[] = {"req=100/1s", "rpm=600,ipm=500,tpm=4000000,rpd=10000",
                                        "usd10m=50,inflight=7,strict", "a=1/200ms,rpd=5/86400s",
                                        "a=1/5.000001s"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf spec = {.max = 1024}, shown = {.max = 1024};
        assert_int_equal(limit_spec(span_of(texts[i]), &spec, NULL), OK);
        limit_show(&shown, buf_span(&spec));
        assert_string_equal(buf_str(&shown), texts[i]);
        buf_free(&spec);
        buf_free(&shown);
    }
    struct buf shown = {.max = 1024};
    limit_show(&shown, SPAN("=,,a=/,b=1/,c=x/1,d=1/1")); // whatever is in Redis
    buf_free(&shown);
}

// Midnight Pacific, by `date -u -d 'TZ="America/Los_Angeles" ...'`.
static void days_end_at_midnight_pacific(void **state)
{
    (void)state;
    static const struct {
        int64_t now, end; // Unix seconds
    } cases[] = {
        {1767225600, 1767254400}, // 2026-01-01 00:00 UTC: 08:00 UTC of that day
        {1767254399, 1767254400}, {1767254400, 1767340800},
        {1772956800, 1773039600}, // 2026-03-08 00:00 PST, the day clocks go forward: 23 hours
        {1772956799, 1772956800}, {1773039600, 1773126000},
        {1793516400, 1793606400}, // 2026-11-01 00:00 PDT, the day they go back: 25 hours
        {1793606400, 1793692800}, {1783000000, 1783062000}, // summer
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(limit_day_end(cases[i].now * 1000000), cases[i].end * 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones),
        cmocka_unit_test(bad_ones_are_named),
        cmocka_unit_test(too_many),
        cmocka_unit_test(shown_as_written),
        cmocka_unit_test(days_end_at_midnight_pacific),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
