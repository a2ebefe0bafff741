// test_text.c - text read strictly, and shown without harm.
#include <float.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "unit/test.h"

static void utf8_is_well_formed_or_not(void **state)
{
    (void)state;
    static const struct {
        struct span text;
        size_t bad; // SIZE_MAX: none
    } rows[] = {
        {{"", 0}, SIZE_MAX},
        {{"a\0b", 3}, SIZE_MAX},
        {{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9}, SIZE_MAX},
        {{"\xf4\x8f\xbf\xbf", 4}, SIZE_MAX},
        {{"\xed\x9f\xbf\xee\x80\x80", 6}, SIZE_MAX},
        {{"ab\xff", 3}, 2},
        {{"\x80", 1}, 0},
        {{"a\xc3", 2}, 1},            // cut
        {{"a\xe2\x82", 3}, 1},        // cut
        {{"\xc0\xaf", 2}, 0},         // overlong
        {{"\xe0\x9f\xbf", 3}, 0},     // overlong
        {{"\xf0\x8f\xbf\xbf", 4}, 0}, // overlong
        {{"\xed\xa0\x80", 3}, 0},     // a surrogate
        {{"\xf4\x90\x80\x80", 4}, 0}, // above U+10FFFF
        {{"\xf0\x9f\x98\x20", 4}, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t bad = SIZE_MAX;
        assert_int_equal(text_utf8(rows[i].text, &bad), rows[i].bad == SIZE_MAX);
        assert_int_equal(bad, rows[i].bad);
        assert_int_equal(text_utf8(rows[i].text, NULL), rows[i].bad == SIZE_MAX);
    }
}

static void trimming_leaves_what_is_inside(void **state)
{
    (void)state;
    assert_true(span_is(text_trim(SPAN(" \t\r\na b\v\f ")), "a b"));
    assert_int_equal(text_trim(SPAN(" \n ")).len, 0);
    assert_int_equal(text_trim((struct span){0}).len, 0);
}

struct number {
    const char *text;
    enum err e;
    double value;
};

static void whole_numbers_are_digits(void **state)
{
    (void)state;
    uint64_t u = 7;
    int64_t i = 7;
    static const char *const no[] = {"", " 1", "1 ", "+1", "1.0", "0x1", "1e3", "--1", "-"};
    for (size_t k = 0; k < sizeof no / sizeof *no; k++) {
        assert_int_equal(text_uint(span_of(no[k]), 0, UINT64_MAX, &u), ERR_FORMAT);
        assert_int_equal(text_int(span_of(no[k]), INT64_MIN, INT64_MAX, &i), ERR_FORMAT);
    }
    assert_int_equal(text_uint(SPAN("-1"), 0, UINT64_MAX, &u), ERR_FORMAT);
    assert_true(u == 7 && i == 7); // untouched
    assert_int_equal(text_uint(SPAN("18446744073709551615"), 0, UINT64_MAX, &u), OK);
    assert_true(u == UINT64_MAX);
    assert_int_equal(text_uint(SPAN("18446744073709551616"), 0, UINT64_MAX, &u), ERR_RANGE);
    assert_int_equal(text_uint(SPAN("99999999999999999999"), 0, UINT64_MAX, &u), ERR_RANGE);
    assert_int_equal(text_uint(SPAN("0005"), 1, 5, &u), OK);
    assert_int_equal(u, 5);
    assert_int_equal(text_uint(SPAN("6"), 1, 5, &u), ERR_RANGE);
    assert_int_equal(text_uint(SPAN("0"), 1, 5, &u), ERR_RANGE);
    assert_int_equal(text_int(SPAN("-9223372036854775808"), INT64_MIN, INT64_MAX, &i), OK);
    assert_true(i == INT64_MIN);
    assert_int_equal(text_int(SPAN("9223372036854775807"), INT64_MIN, INT64_MAX, &i), OK);
    assert_true(i == INT64_MAX);
    assert_int_equal(text_int(SPAN("-9223372036854775809"), INT64_MIN, INT64_MAX, &i),
                     ERR_RANGE);
    assert_int_equal(text_int(SPAN("9223372036854775808"), INT64_MIN, INT64_MAX, &i),
                     ERR_RANGE);
    assert_int_equal(text_int(SPAN("-3"), -2, 2, &i), ERR_RANGE);
    assert_int_equal(text_int(SPAN("3"), -2, 2, &i), ERR_RANGE);
}

static void assert_numbers(const struct number *rows, size_t n,
                           enum err (*read)(struct span, double *))
{
    for (size_t i = 0; i < n; i++) {
        double v = -1;
        enum err e = read(span_of(rows[i].text), &v);
        double off = v - rows[i].value;
        if (e != rows[i].e || (e == OK && (off > 1e-9 || off < -1e-9)))
            fail_msg("\"%s\": %s, %g", rows[i].text, err_text(e), v);
        if (e != OK)
            assert_true(v == -1);
    }
}

static enum err read_decimal(struct span s, double *v)
{
    return text_decimal(s, 0, 100, v);
}

static enum err read_bytes(struct span s, double *v)
{
    uint64_t n;
    enum err e = text_bytes(s, &n);
    if (e == OK)
        *v = (double)n;
    return e;
}

static enum err read_usd(struct span s, double *v)
{
    int64_t n;
    enum err e = text_usd(s, &n);
    if (e == OK)
        *v = (double)n;
    return e;
}

#define ASSERT_NUMBERS(rows, read) assert_numbers(rows, sizeof rows / sizeof *rows, read)

static void decimals_have_at_most_one_point(void **state)
{
    (void)state;
    static const struct number rows[] = {
        {"0", OK, 0},
        {"0.5", OK, .5},
        {"12", OK, 12},
        {"100", OK, 100},
        {"100.01", ERR_RANGE, 0},
        {"", ERR_FORMAT, 0},
        {".5", ERR_FORMAT, 0},
        {"5.", ERR_FORMAT, 0},
        {"1.2.3", ERR_FORMAT, 0},
        {"-1", ERR_FORMAT, 0},
        {"1e3", ERR_FORMAT, 0},
        {"inf", ERR_FORMAT, 0},
        {"nan", ERR_FORMAT, 0},
        {"1,5", ERR_FORMAT, 0},
        {"0.1 ", ERR_FORMAT, 0},
        {".", ERR_FORMAT, 0},
        {"0.0000000000000000000000000000001", ERR_FORMAT, 0},
    };
    ASSERT_NUMBERS(rows, read_decimal);
}

static void durations_are_seconds(void **state)
{
    (void)state;
    static const struct number rows[] = {
        {"90", OK, 90},         {"1.5s", OK, 1.5},      {"200ms", OK, .2},
        {"10m", OK, 600},       {"2h", OK, 7200},       {"1d", OK, 86400},
        {"0", OK, 0},           {"", ERR_FORMAT, 0},    {"s", ERR_FORMAT, 0},
        {"1 s", ERR_FORMAT, 0}, {"1S", ERR_FORMAT, 0},  {"-1s", ERR_FORMAT, 0},
        {"1w", ERR_FORMAT, 0},  {"1.s", ERR_FORMAT, 0}, {"1h30m", ERR_FORMAT, 0},
    };
    ASSERT_NUMBERS(rows, text_duration);
}

static void sizes_are_powers_of_1024(void **state)
{
    (void)state;
    static const struct number rows[] = {
        {"512", OK, 512},
        {"64K", OK, 65536},
        {"1.5M", OK, 1572864},
        {"2G", OK, 2147483648.},
        {"1KiB", OK, 1024},
        {"1KB", OK, 1024},
        {"3B", OK, 3},
        {"1.3K", OK, 1331},
        {"1.5", ERR_FORMAT, 0},
        {"", ERR_FORMAT, 0},
        {"K", ERR_FORMAT, 0},
        {"1k", ERR_FORMAT, 0},
        {"-1", ERR_FORMAT, 0},
        {"1T", ERR_FORMAT, 0},
        {"99999999999999999", ERR_RANGE, 0},
        {"9999999999G", ERR_RANGE, 0},
    };
    ASSERT_NUMBERS(rows, read_bytes);
}

static void dollars_are_exact(void **state)
{
    (void)state;
    static const struct number rows[] = {
        {"1.25", OK, 1250000},       {"0.039", OK, 39000},     {"0.000001", OK, 1},
        {"5", OK, 5000000},          {"5.", ERR_FORMAT, 0},    {".5", ERR_FORMAT, 0},
        {"0.0000001", ERR_RANGE, 0}, {"-1", ERR_FORMAT, 0},    {"$1", ERR_FORMAT, 0},
        {"", ERR_FORMAT, 0},         {"1.2.3", ERR_FORMAT, 0}, {"1000000001", ERR_RANGE, 0},
    };
    ASSERT_NUMBERS(rows, read_usd);
}

static struct buf file_name(struct span s, size_t limit)
{
    struct buf b = {.max = 10000};
    text_file_name(&b, s, limit);
    assert_int_equal(b.err, OK);
    return b;
}

static void assert_file_name(struct span s, size_t limit, const char *want)
{
    struct buf b = file_name(s, limit);
    assert_string_equal(buf_str(&b), want);
    buf_free(&b);
}

static void file_names_are_safe_and_differ(void **state)
{
    (void)state;
    assert_file_name(SPAN("scene_001"), 60, "scene_001");
    assert_file_name(SPAN("../etc/passwd"), 60, "%2E.%2Fetc%2Fpasswd");
    assert_file_name(SPAN("a b~\xc3\xa9\n"), 60, "a%20b%7E%C3%A9%0A");
    assert_file_name(SPAN(".hidden.png"), 60, "%2Ehidden.png");
    assert_file_name((struct span){"a\0b", 3}, 60, "a%00b");
    assert_file_name((struct span){0}, 60, "");
    struct buf seen[3];
    static const char *const longs[] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1",
                                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2",
                                        "aaaaaaaaaaaaa////////////////////////////"};
    for (int i = 0; i < 3; i++) {
        seen[i] = file_name(span_of(longs[i]), 32);
        assert_in_range(seen[i].len, 28, 32);
        assert_int_equal(seen[i].ptr[seen[i].len - 17], '~');
        for (int k = 0; k < i; k++)
            assert_string_not_equal(buf_str(&seen[i]), buf_str(&seen[k]));
    }
    for (int i = 0; i < 3; i++)
        buf_free(&seen[i]);
    assert_file_name(SPAN("exactly-ten"), 11, "exactly-ten"); // at the limit nothing is cut
}

static void assert_shown(struct span s, size_t limit, const char *want)
{
    struct buf b = {.max = 1000};
    text_show(&b, s, limit);
    assert_string_equal(buf_str(&b), want);
    buf_free(&b);
}

static void what_is_shown_is_harmless(void **state)
{
    (void)state;
    assert_shown(SPAN("plain \xc3\xa9"), 80, "plain \xc3\xa9");
    assert_shown(SPAN("a\n\x1b[31m\x7f"), 80, "a\\x0a\\x1b[31m\\x7f");
    assert_shown(SPAN("\xc2\x9b"), 80, "\\xc2\\x9b"); // C1: an escape sequence's beginning
    assert_shown(SPAN("\xff\xc3"), 80, "\\xff\\xc3");
    assert_shown((struct span){"a\0b", 3}, 80, "a\\x00b");
    assert_shown(SPAN("abcdef"), 6, "abcdef");
    assert_shown(SPAN("abcdef"), 5, "abcde\xe2\x80\xa6");
    assert_shown(SPAN("abcd\xc3\xa9"), 5, "abcd\xe2\x80\xa6"); // no half of a character
}

static void secrets_are_taken_out(void **state)
{
    (void)state;
    struct buf b = {.max = 200};
    buf_add_str(&b, "key=AIzaSecret&again=AIzaSecretAIzaSecret.");
    text_redact(&b, SPAN("AIzaSecret"));
    assert_string_equal(buf_str(&b), "key=[redacted]&again=[redacted][redacted].");
    text_redact(&b, SPAN("again")); // five bytes: too common to be a secret
    assert_non_null(strstr(buf_str(&b), "again"));
    text_redact(&b, SPAN("nowhere in it"));
    assert_string_equal(buf_str(&b), "key=[redacted]&again=[redacted][redacted].");
    buf_clear(&b);
    text_redact(&b, SPAN("secret"));
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_well_formed_or_not),
        cmocka_unit_test(trimming_leaves_what_is_inside),
        cmocka_unit_test(whole_numbers_are_digits),
        cmocka_unit_test(decimals_have_at_most_one_point),
        cmocka_unit_test(durations_are_seconds),
        cmocka_unit_test(sizes_are_powers_of_1024),
        cmocka_unit_test(dollars_are_exact),
        cmocka_unit_test(file_names_are_safe_and_differ),
        cmocka_unit_test(what_is_shown_is_harmless),
        cmocka_unit_test(secrets_are_taken_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
