// The line of progress, and its event: what limits the farm.
#include "test.h"

#include <string.h>

#include "client/limited.h"
#include "client/progress.h"
#include "common/json.h"

static void line_has(const struct progress *p, const char *words, bool is_there)
{
    struct buf line = {.max = 1000};
    progress_line(p, 1000, 300, &line);
    if ((strstr(buf_str(&line), words) != NULL) != is_there)
        fail_msg("\"%s\" in \"%s\"", words, buf_str(&line));
    buf_free(&line);
}

static void what_limits_is_shown(void **state)
{
    (void)state;
    struct limited_group g = {.group = "default/m/standard", .reason = "rpm", .code = ""};
    struct progress *p = progress_new(NULL, 10);
    line_has(p, "limited", false);
    assert_true(progress_limited(p, &g));
    line_has(p, "limited by rpm of default/m", true);
    assert_false(progress_limited(p, &g)); // the same
    g.until_ms = INT64_C(4102444800000);   // 2100
    assert_false(progress_limited(p, &g)); // only longer
    line_has(p, " until ", true);
    g = (struct limited_group){.group = "a/m/flex", .reason = "daily quota", .code = ""};
    assert_true(progress_limited(p, &g));
    line_has(p, "limited by daily quota of a/m/flex until 00:00 Pacific", true);
    g = (struct limited_group){.group = "a/m/standard", .reason = "blocked", .code = "bad_key"};
    assert_true(progress_limited(p, &g));
    line_has(p, "blocked (bad_key): a/m", true);
    assert_true(progress_limited(p, NULL));
    line_has(p, "a/m", false);
    progress_free(p);
}

static void what_is_waited_for_is_shown(void **state)
{
    (void)state;
    struct remotes_sum s = {.batches = 2, .jobs = 197, .since_ms = 5000};
    struct progress *p = progress_new(NULL, 200);
    line_has(p, "remote", false);
    assert_true(progress_remote(p, &s));
    assert_false(progress_remote(p, &s));
    line_has(p, "197 jobs in 2 remote batches since 1970-01-", true);
    s = (struct remotes_sum){0};
    assert_true(progress_remote(p, &s));
    line_has(p, "remote", false);
    progress_free(p);
}

static void the_event_tells_it(void **state)
{
    (void)state;
    struct limited_group g = {
        .group = "p/m/standard", .reason = "cooling", .code = "", .until_ms = 5000};
    struct progress *p = progress_new(NULL, 10);
    struct span text;
    for (int i = 0; i < 2; i++) {
        struct json_object *by, *o = progress_json(p, 1000, SPAN("b"), SPAN("1-0"));
        assert_true(json_object_object_get_ex(o, "limited_by", &by));
        if (i == 0) {
            assert_null(by);
        } else {
            assert_true(json_get_str(by, "reason", &text) && span_is(text, "cooling"));
            assert_true(json_get_str(by, "group", &text) && span_is(text, "p/m/standard"));
            assert_true(json_get_str(by, "until", &text) &&
                        span_is(text, "1970-01-01T00:00:05.000Z"));
        }
        json_object_put(o);
        progress_limited(p, &g);
    }
    progress_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_limits_is_shown),
                                       cmocka_unit_test(what_is_waited_for_is_shown),
                                       cmocka_unit_test(the_event_tells_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
