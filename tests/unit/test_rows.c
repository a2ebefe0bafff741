// test_rows.c - the file of a batch: the lines that are sent, and the rows that come back,
// whatever they turn out to be.
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "unit/test.h"
#include "worker/provider_gemini_private.h"
#include "worker/remote.h"
#include "worker/rows.h"
#include "worker/spool.h"

#define IMAGE "iVBORw0KGgo=" // eight bytes
#define GOOD(key)                                                                   \
    "{\"key\":\"" key "\",\"response\":{\"candidates\":[{\"content\":{\"parts\":[{" \
    "\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"" IMAGE "\"}}]},"        \
    "\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":3}}}"

static struct spool_place place = {.dir = "/tmp"}, nowhere = {.dir = "/nonexistent/folder"};

struct seen { // what was told, a word a row
    struct buf text;
    unsigned rows, usages;
};

static void told(void *ctx, struct span key, struct provider_result *r)
{
    struct seen *s = ctx;
    s->rows++;
    s->usages += r->has_usage;
    buf_addf(&s->text, "%.*s:%s ", (int)(key.len < 40 ? key.len : 40), key.ptr,
             code_name(r->code));
    for (unsigned i = 0; i < r->n_images; i++)
        assert_int_equal(spool_bytes(r->images[i].spool), 8);
}

static struct seen read_rows(struct span s, size_t piece, unsigned *bad)
{
    struct seen seen = {.text = {.max = 1 << 16}};
    struct rows *r = rows_new(&place, told, &seen);
    assert_non_null(r);
    for (size_t at = 0; at < s.len; at += piece)
        assert_int_equal(rows_feed(r, s.ptr + at, s.len - at < piece ? s.len - at : piece), OK);
    assert_int_equal(rows_end(r), OK);
    *bad = rows_bad(r);
    rows_free(r);
    return seen;
}

static void expect(const char *file, const char *rows, unsigned bad)
{
    static const size_t pieces[] = {1u << 20, 7, 1};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        unsigned were_bad;
        struct seen s = read_rows(span_of(file), pieces[i], &were_bad);
        assert_string_equal(buf_str(&s.text), rows);
        assert_int_equal(were_bad, bad);
        buf_free(&s.text);
    }
}

static void rows_come_in_any_order(void **state)
{
    (void)state;
    expect(GOOD("b") "\n" GOOD("a") "\n", "b:ok a:ok ", 0);
    expect("\n \r\n" GOOD("a") "\r\n\n" GOOD("b"), "a:ok b:ok ", 0); // the last has no end
    expect("", "", 0);
    // The key may come last.
    expect("{\"response\":{\"candidates\":[]},\"key\":\"z\"}\n", "z:no_image ", 0);
}

static void errors_are_judged_as_answers_are(void **state)
{
    (void)state;
    static const struct {
        const char *code, *name;
    } cases[] = {{"3", "bad_request"},   {"4", "server_error"},
                 {"5", "not_found"},     {"7", "permission"},
                 {"8", "rate_limited"},  {"13", "server_error"},
                 {"14", "overloaded"},   {"16", "bad_key"},
                 {"400", "bad_request"}, {"429", "rate_limited"},
                 {"503", "overloaded"},  {"0", "server_error"},
                 {"-5", "server_error"}, {"99999999999", "server_error"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[200], row[60];
        snprintf(line, sizeof line,
                 "{\"key\":\"k\",\"error\":{\"code\":%s,\"message\":\"no\"}}\n", cases[i].code);
        snprintf(row, sizeof row, "k:%s ", cases[i].name);
        expect(line, row, 0);
    }
    expect("{\"key\":\"k\",\"response\":{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}}",
           "k:safety ", 0);
}

// One that cannot be read costs no other one.
static void bad_lines_are_passed_over(void **state)
{
    (void)state;
    static const char *const lines[] = {"no JSON",
                                        "[]",
                                        "null",
                                        "\"key\"",
                                        "{}",
                                        "{\"key\":\"a\"}",
                                        "{\"key\":1,\"error\":{}}",
                                        "{\"key\":\"a\",\"response\":1}",
                                        "{\"response\":{\"candidates\":[]}}",
                                        "{\"key\":\"a\",\"response\":{\"candidates\":[{"
                                        "\"content\":{\"parts\":[{\"inlineData\":{"
                                        "\"data\":\"!!\"}}]}}]}}",
                                        "{\"key\":\"a\",\"response\":{}", // cut
                                        GOOD("a") GOOD("b"),              // two on one line
                                        "\x01\x02\xff"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s\n%s\n%s\n", GOOD("x"), lines[i], GOOD("y"));
        expect(file, "x:ok y:ok ", 1);
    }
}

// The same key twice is told twice: who holds the jobs takes the first.
static void a_key_may_come_twice(void **state)
{
    (void)state;
    expect(GOOD("a") "\n" GOOD("a") "\n", "a:ok a:ok ", 0);
}

static void a_file_may_be_cut_anywhere(void **state)
{
    (void)state;
    static const char file[] = GOOD("a") "\n" GOOD("b") "\n";
    size_t first = sizeof GOOD("a") - 1;
    for (size_t n = 0; n < sizeof file; n++) {
        unsigned bad;
        struct seen s = read_rows((struct span){file, n}, 64, &bad);
        unsigned whole = (n >= first ? 1u : 0u) + (n >= 2 * first + 1 ? 1u : 0u);
        assert_int_equal(s.rows, whole);
        assert_int_equal(s.usages, whole);
        assert_int_equal(bad, n > 0 && n != first && n != first + 1 && n < 2 * first + 1);
        buf_free(&s.text);
    }
}

// Memory does not follow what a line has: a text of 64 MB is refused, the next row is there.
static void huge_lines_are_passed_over(void **state)
{
    (void)state;
    struct seen s = {.text = {.max = 1 << 16}};
    struct rows *r = rows_new(&place, told, &s);
    static char text[1 << 16];
    memset(text, 'x', sizeof text);
    static const char head[] = "{\"key\":\"a\",\"response\":{\"text\":\"";
    assert_int_equal(rows_feed(r, head, sizeof head - 1), OK);
    for (int i = 0; i < 1024; i++)
        assert_int_equal(rows_feed(r, text, sizeof text), OK);
    static const char tail[] = "\"}}\n" GOOD("b") "\n";
    assert_int_equal(rows_feed(r, tail, sizeof tail - 1), OK);
    assert_int_equal(rows_end(r), OK);
    assert_string_equal(buf_str(&s.text), "b:ok ");
    assert_int_equal(rows_bad(r), 1);
    rows_free(r);
    buf_free(&s.text);
}

// No room on this host is no fault of the row: it can be fetched again.
static void a_host_without_room_says_so(void **state)
{
    (void)state;
    static const char file[] = GOOD("a") "\n";
    struct seen s = {.text = {.max = 1 << 16}};
    nowhere.max_memory = 0;
    struct rows *r = rows_new(&nowhere, told, &s);
    enum err e = rows_feed(r, file, sizeof file - 1);
    assert_true(e != OK && e != ERR_FORMAT);
    assert_int_equal(rows_feed(r, "\n", 1), e); // and says it again
    assert_int_equal(rows_end(r), e);
    assert_int_equal(s.rows, 0);
    rows_free(r);
}

static void a_line_holds_key_and_request(void **state)
{
    (void)state;
    struct buf line = {.max = 65536};
    struct job j = {.priority = JOB_NORMAL,
                    .lane = JOB_BATCH,
                    .samples = 1,
                    .prompt = SPAN("two\nlines \"and\" quotes"),
                    .image_size = SPAN("2K")};
    struct json_object *doc;
    struct span text;
    gemini_remote_ops.line(&line, SPAN("0123456789abcdef.7"), &j);
    assert_int_equal(line.err, OK);
    assert_ptr_equal(memchr(line.ptr, '\n', line.len), line.ptr + line.len - 1); // one line
    assert_int_equal(json_read(buf_span(&line), &doc, NULL), OK);
    assert_true(json_get_str(doc, "key", &text));
    assert_true(span_is(text, "0123456789abcdef.7"));
    assert_true(json_get_str(json_at(doc, "request.contents.0.parts.0"), "text", &text));
    assert_true(span_is(text, "two\nlines \"and\" quotes"));
    assert_null(json_at(doc, "request.serviceTier"));
    json_object_put(doc);
    buf_free(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_in_any_order),
        cmocka_unit_test(errors_are_judged_as_answers_are),
        cmocka_unit_test(bad_lines_are_passed_over),
        cmocka_unit_test(a_key_may_come_twice),
        cmocka_unit_test(a_file_may_be_cut_anywhere),
        cmocka_unit_test(huge_lines_are_passed_over),
        cmocka_unit_test(a_host_without_room_says_so),
        cmocka_unit_test(a_line_holds_key_and_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
