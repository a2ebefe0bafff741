// test_json.c - JSON: exactly what RFC 8259 allows, in one piece and in many; large strings
// that go past the document.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "unit/suite.h"
#include "unit/test.h"

static enum err read_whole(struct span text)
{
    struct json_object *o = NULL;
    struct buf why = {.max = 1000};
    enum err e = json_read(text, &o, &why);
    assert_true((e == OK) == (why.len == 0));
    json_object_put(o);
    buf_free(&why);
    return e;
}

static enum err read_in_steps(struct span text, size_t step)
{
    struct json_split *s = json_split_new(NULL, SIZE_MAX, SIZE_MAX);
    struct json_object *o = NULL;
    enum err e = OK;
    assert_non_null(s);
    for (size_t i = 0; i < text.len && e == OK; i += step)
        e = json_split_feed(s, text.ptr + i, text.len - i < step ? text.len - i : step);
    if (e == OK)
        e = json_split_take(s, &o);
    json_object_put(o);
    json_split_free(s);
    return e;
}

struct verdicts {
    unsigned yes, no, either;
};

static void suite_document(void *ctx, const char *name, struct span text)
{
    struct verdicts *v = ctx;
    enum err e = read_whole(text);
    if (name[0] == 'y' && e != OK)
        fail_msg("%s: refused", name);
    if (name[0] == 'n' && e != ERR_FORMAT)
        fail_msg("%s: %s", name, err_text(e));
    for (size_t step = 1; step <= 7; step += 3) {
        enum err again = text.len < 20000 ? read_in_steps(text, step) : e;
        if (again != e)
            fail_msg("%s: %d in one piece, %d by %zu", name, e, again, step);
    }
    v->yes += name[0] == 'y';
    v->no += name[0] == 'n';
    v->either += name[0] == 'i';
}

static void the_suite_is_judged_right(void **state)
{
    (void)state;
    struct verdicts v = {0};
    if (suite_each("suites/JSONTestSuite/test_parsing", ".json", suite_document, &v) == 0)
        skip();
    assert_int_equal(v.yes, 95);
    assert_int_equal(v.no, 188);
    assert_int_equal(v.either, 35);
}

// Long strings are looked at in blocks: wherever a byte stands, it is judged as it is alone.
static void every_byte_of_long_strings_counts(void **state)
{
    (void)state;
    char text[152];
    for (size_t at = 1; at < sizeof text - 1; at++)
        for (int c = 0; c < 256; c++) {
            memset(text, 'x', sizeof text);
            text[0] = text[sizeof text - 1] = '"';
            text[at] = (char)c;
            enum err e = read_in_steps((struct span){text, sizeof text}, sizeof text);
            bool good = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
            assert_int_equal(e, good ? OK : ERR_FORMAT);
        }
}

static void what_json_c_lets_through_is_refused(void **state)
{
    (void)state;
    static const char *const no[] = {
        "",
        " ",
        "nan",
        "NaN",
        "Infinity",
        "-Infinity",
        "-",
        "-01",
        "01",
        "2.",
        ".5",
        "1e",
        "1e+",
        "+1",
        "0x1",
        "'a'",
        "{'a':1}",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "[1 2]",
        "\"a\nb\"",
        "\"\\x41\"",
        "\"\\u12g4\"",
        "\"\t\"",
        "tru",
        "TRUE",
        "nulll",
        "[1]]",
        "{} {}",
        "/* */ 1",
        "[1}",
        "{\"a\"}",
        "{\"a\":}",
        "{1:2}",
        "\"a",
        "\"\\",
        "\xef\xbb\xbf{}",
        "\"\xc3\x28\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xc0\xaf\"",
        "\"\xff\"",
    };
    static const char *const yes[] = {
        "0",     "-0", "1.5E-3",   "\"\\u0000\"",          "null",
        " [ ] ", "{}", "\"\x7f\"", "\"\xf0\x9f\x98\x80\"", "1e9999"};
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        if (read_whole(span_of(no[i])) != ERR_FORMAT || read_in_steps(span_of(no[i]), 1) == OK)
            fail_msg("taken: %s", no[i]);
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        if (read_whole(span_of(yes[i])) != OK || read_in_steps(span_of(yes[i]), 1) != OK)
            fail_msg("refused: %s", yes[i]);
    assert_int_equal(read_whole((struct span){"1\0", 2}), ERR_FORMAT);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    for (unsigned depth = JSON_MAX_DEPTH; depth <= JSON_MAX_DEPTH + 1; depth++) {
        char text[4 * JSON_MAX_DEPTH];
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(read_whole((struct span){text, 2 * depth}),
                         depth == JSON_MAX_DEPTH ? OK : ERR_FORMAT);
    }
}

static void the_place_of_an_error_is_told(void **state)
{
    (void)state;
    struct buf why = {.max = 1000};
    struct json_object *o;
    assert_int_equal(json_read(SPAN("[1,x]"), &o, &why), ERR_FORMAT);
    assert_non_null(strstr(buf_str(&why), "byte 3"));
    buf_clear(&why);
    assert_int_equal(json_read(SPAN("[1,"), &o, &why), ERR_FORMAT);
    assert_non_null(strstr(buf_str(&why), "ends too early"));
    buf_free(&why);
}

static void members_are_found_by_name_and_type(void **state)
{
    (void)state;
    struct json_object *o, *v;
    struct span s;
    int64_t n;
    assert_int_equal(json_read(SPAN("{\"s\":\"a\\u0000b\",\"n\":-7,\"z\":null,"
                                    "\"a\":[{\"b\":\"deep\"}]}"),
                               &o, NULL),
                     OK);
    assert_true(json_get_str(o, "s", &s) && s.len == 3 && s.ptr[1] == '\0');
    assert_true(json_get_int(o, "n", &n) && n == -7);
    assert_false(json_get_str(o, "n", &s));
    assert_false(json_get_int(o, "s", &n));
    assert_false(json_get_int(o, "absent", &n));
    assert_false(json_get(o, "z", json_type_null, &v));
    assert_false(json_get_str(NULL, "s", &s));
    assert_string_equal(json_object_get_string(json_at(o, "a.0.b")), "deep");
    assert_null(json_at(o, "a.1.b"));
    assert_null(json_at(o, "a.x"));
    assert_null(json_at(o, "s.0"));
    assert_ptr_equal(json_at(o, ""), o);
    json_object_put(o);
    assert_int_equal(json_read(SPAN("null"), &o, NULL), OK);
    assert_null(o);
}

static void what_is_built_reads_as_meant(void **state)
{
    (void)state;
    struct json_object *o = json_object_new_object();
    struct buf out = {.max = 1000};
    json_put_str(o, "s", SPAN("a/\"b\"\n"));
    json_put_cstr(o, "c", "x");
    json_put_int(o, "i", INT64_MIN);
    json_put_bool(o, "b", true);
    json_put_usd(o, "usd", 39000);
    json_put_usd(o, "whole", 2000000);
    json_put_usd(o, "less", -1500000);
    json_put_fixed(o, "f", 1.25, 3);
    json_put_fixed(o, "none", 1. / 0., 2);
    json_put(o, "a", json_object_new_array());
    json_put_int(NULL, "i", 1); // does nothing
    json_write(&out, o);
    assert_string_equal(buf_str(&out),
                        "{\"s\":\"a/\\\"b\\\"\\n\",\"c\":\"x\",\"i\":-9223372036854775808,"
                        "\"b\":true,\"usd\":0.039,\"whole\":2.0,\"less\":-1.5,\"f\":1.25,"
                        "\"none\":0.0,\"a\":[]}");
    json_object_put(o);
    buf_free(&out);
}

// --- Diversion -------------------------------------------------------------------------------

struct seen {
    struct buf bytes; // of all diverted strings, each ended by '|'
    char asked[1000]; // "parent/key " for every string that was asked about
    enum err answer;
};

static enum json_divert ask(void *ctx, const char *parent, const char *key)
{
    struct seen *s = ctx;
    size_t n = strlen(s->asked);
    snprintf(s->asked + n, sizeof s->asked - n, "%s/%s ", parent, key);
    if (strcmp(key, "data") == 0)
        return JSON_DIVERT;
    return strcmp(key, "drop") == 0 ? JSON_DROP : JSON_KEEP;
}

static enum err take(void *ctx, const char *bytes, size_t n, bool last)
{
    struct seen *s = ctx;
    buf_add(&s->bytes, (struct span){bytes, n});
    if (last)
        buf_add_byte(&s->bytes, '|');
    return s->answer;
}

static enum err divert(struct seen *s, struct span text, size_t step, struct json_object **o)
{
    struct json_split_hooks hooks = {ask, take, s};
    struct json_split *split = json_split_new(&hooks, 100, 10000);
    enum err e = OK;
    assert_non_null(split);
    for (size_t i = 0; i < text.len && e == OK; i += step)
        e = json_split_feed(split, text.ptr + i, text.len - i < step ? text.len - i : step);
    if (e == OK)
        e = json_split_take(split, o);
    json_split_free(split);
    return e;
}

static void large_strings_go_past_the_document(void **state)
{
    (void)state;
    struct span text =
        SPAN("{\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"aGV\\u002fs\\/"
             "\"}},{\"drop\":\"nobody wants this\"},{\"inlineData\":{\"data\":\"\"}}]}");
    for (size_t step = 1; step <= text.len; step += 5) {
        struct seen s = {.bytes = {.max = 1000}};
        struct json_object *o;
        assert_int_equal(divert(&s, text, step, &o), OK);
        assert_string_equal(buf_str(&s.bytes), "aGV/s/||");
        assert_string_equal(s.asked, "inlineData/mimeType inlineData/data /drop "
                                     "inlineData/data ");
        assert_int_equal(json_split_placeholder(json_at(o, "parts.0.inlineData.data")), 0);
        assert_int_equal(json_split_placeholder(json_at(o, "parts.1.drop")), 1);
        assert_int_equal(json_split_placeholder(json_at(o, "parts.2.inlineData.data")), 2);
        assert_int_equal(json_split_placeholder(json_at(o, "parts.0.inlineData.mimeType")), -1);
        assert_int_equal(json_split_placeholder(NULL), -1);
        json_object_put(o);
        buf_free(&s.bytes);
    }
}

static void diverted_strings_are_unescaped_as_json_c_does(void **state)
{
    (void)state;
    static const char *const texts[] = {"\\u00e9\\ud83d\\ude00\\n\\t\\\"",
                                        "\\ud800",
                                        "\\ud800abc\\udc00x",
                                        "\\udc00\\ud800",
                                        "\\ud800\\ud83d\\ude00",
                                        "\\ud800\\n",
                                        "\\ud800\\u0041",
                                        "\\ud800\xc3\xa9"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char document[200];
        struct json_object *plain, *o;
        struct seen s = {.bytes = {.max = 1000}};
        snprintf(document, sizeof document, "\"%s\"", texts[i]);
        assert_int_equal(json_read(span_of(document), &plain, NULL), OK);
        snprintf(document, sizeof document, "{\"data\":\"%s\"}", texts[i]);
        assert_int_equal(divert(&s, span_of(document), 1, &o), OK);
        s.bytes.ptr[--s.bytes.len] = '\0'; // the bar
        assert_string_equal(buf_str(&s.bytes), json_object_get_string(plain));
        json_object_put(plain);
        json_object_put(o);
        buf_free(&s.bytes);
    }
}

static void only_placeholders_are_taken_for_them(void **state)
{
    (void)state;
    static const struct {
        struct span text;
        int number;
    } rows[] = {{{"\0017", 2}, 7}, {{"a7", 2}, -1}, {{"\001", 1}, -1}, {{"\001x", 2}, -1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_object *o =
            json_object_new_string_len(rows[i].text.ptr, (int)rows[i].text.len);
        assert_int_equal(json_split_placeholder(o), rows[i].number);
        json_object_put(o);
    }
}

static void limits_hold_for_what_is_kept_only(void **state)
{
    (void)state;
    struct seen s = {.bytes = {.max = 1u << 20}};
    struct buf text = {.max = 1u << 20};
    struct json_object *o;
    buf_add_str(&text, "{\"data\":\"");
    for (int i = 0; i < 50000; i++)
        buf_add_byte(&text, 'x');
    buf_add_str(&text, "\"}");
    assert_int_equal(divert(&s, buf_span(&text), 999, &o), OK);
    assert_int_equal(s.bytes.len, 50001);
    json_object_put(o);
    text.ptr[2] = 'k'; // "kata": kept, and longer than 100 bytes
    assert_int_equal(divert(&s, buf_span(&text), 999, &o), ERR_TOOBIG);
    for (size_t n = 100; n <= 101; n++) { // alone it decides
        buf_clear(&text);
        buf_add_str(&text, "[\"");
        for (size_t i = 0; i < n; i++)
            buf_add_byte(&text, 'x');
        buf_add_str(&text, "\"]");
        enum err e = divert(&s, buf_span(&text), 7, &o);
        assert_int_equal(e, n == 100 ? OK : ERR_TOOBIG);
        if (e == OK)
            json_object_put(o);
    }
    buf_clear(&text);
    buf_add_byte(&text, '[');
    for (int i = 0; i < 5001; i++) // short values, but more than 10,000 bytes of them
        buf_add_str(&text, "1,");
    assert_int_equal(divert(&s, buf_span(&text), 999, &o), ERR_TOOBIG);
    buf_free(&text);
    buf_free(&s.bytes);
}

static void who_takes_the_bytes_may_stop(void **state)
{
    (void)state;
    struct seen s = {.bytes = {.max = 1000}, .answer = ERR_FULL};
    struct json_object *o;
    assert_int_equal(divert(&s, SPAN("{\"data\":\"abc\"}"), 4, &o), ERR_FULL);
    buf_free(&s.bytes);
}

static void one_document_follows_another(void **state)
{
    (void)state;
    struct json_split *s = json_split_new(NULL, SIZE_MAX, SIZE_MAX);
    struct json_object *o;
    static const char *const documents[] = {"{\"a\":1} ", "12", "\"x\"", "[]\n"};
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        assert_int_equal(json_split_take(s, &o), ERR_FORMAT);
        assert_false(json_split_complete(s));
        assert_int_equal(json_split_feed(s, documents[i], strlen(documents[i])), OK);
        assert_true(json_split_complete(s));
        assert_int_equal(json_split_take(s, &o), OK);
        assert_non_null(o);
        json_object_put(o);
    }
    json_split_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_suite_is_judged_right),
        cmocka_unit_test(every_byte_of_long_strings_counts),
        cmocka_unit_test(what_json_c_lets_through_is_refused),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(the_place_of_an_error_is_told),
        cmocka_unit_test(members_are_found_by_name_and_type),
        cmocka_unit_test(what_is_built_reads_as_meant),
        cmocka_unit_test(large_strings_go_past_the_document),
        cmocka_unit_test(diverted_strings_are_unescaped_as_json_c_does),
        cmocka_unit_test(only_placeholders_are_taken_for_them),
        cmocka_unit_test(limits_hold_for_what_is_kept_only),
        cmocka_unit_test(who_takes_the_bytes_may_stop),
        cmocka_unit_test(one_document_follows_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
