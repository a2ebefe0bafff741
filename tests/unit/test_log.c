// test_log.c - log lines: their form, their levels, and what must never be in them.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "unit/test.h"

// What `say` writes to stderr, to be freed by buf_free.
static struct buf written(void (*say)(void))
{
    struct buf b = {.max = 1u << 20};
    char path[] = "/tmp/genfarm-test-log-XXXXXX";
    int kept = dup(STDERR_FILENO), fd = mkstemp(path);
    assert_true(kept >= 0 && fd >= 0);
    dup2(fd, STDERR_FILENO);
    say();
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(fd);
    assert_int_equal(file_read(path, &b), OK);
    unlink(path);
    return b;
}

static void assert_has(const struct buf *b, const char *text)
{
    if (!strstr(buf_str(b), text))
        fail_msg("no \"%s\" in: %s", text, buf_str(b));
}

static unsigned lines_of(const struct buf *b)
{
    unsigned n = 0;
    for (size_t i = 0; i < b->len; i++)
        n += b->ptr[i] == '\n';
    return n;
}

static void say_one_of_each(void)
{
    log_error("broken", "why=" LOGQ " n=%d", "no room", 3);
    log_warn("odd", "%s", "");
    log_info("done", "jobs=%d", 64);
    log_debug("detail", "x=%d", 1);
}

static void lines_are_logfmt(void **state)
{
    (void)state;
    assert_int_equal(log_open("test", LOG_INFO, NULL), OK);
    struct buf b = written(say_one_of_each);
    assert_int_equal(lines_of(&b), 3);
    assert_memory_equal(b.ptr, "ts=20", 5);
    assert_int_equal(b.ptr[3 + 23], 'Z');
    assert_has(&b, "Z level=error prog=test msg=\"broken\" why=\"no room\" n=3\n");
    assert_has(&b, "level=warn prog=test msg=\"odd\"\n");
    assert_has(&b, "level=info prog=test msg=\"done\" jobs=64\n");
    buf_free(&b);
    log_close();
}

static void levels_are_cut_off(void **state)
{
    (void)state;
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (unsigned i = 0; i < 4; i++) {
        enum log_level level;
        assert_true(log_level_parse(names[i], &level));
        assert_int_equal(level, i);
        assert_int_equal(log_open("test", level, NULL), OK);
        struct buf b = written(say_one_of_each);
        assert_int_equal(lines_of(&b), i + 1);
        assert_true(log_enabled(level));
        assert_int_equal(log_enabled(LOG_DEBUG), level == LOG_DEBUG);
        buf_free(&b);
        log_close();
    }
    enum log_level level = LOG_WARN;
    assert_false(log_level_parse("ERROR", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_WARN);
}

static void say_secrets(void)
{
    log_info("call", "url=https://x/?key=%s&again=%s", "AIzaVerySecret", "AIzaVerySecret");
    log_info("other", "password=%s short=%s", "hunter2-hunter2", "abc");
}

static void secrets_never_come_out(void **state)
{
    (void)state;
    assert_int_equal(log_open("test", LOG_INFO, NULL), OK);
    log_secret(SPAN("AIzaVerySecret"));
    log_secret(SPAN("hunter2-hunter2"));
    log_secret(SPAN("abc")); // too short to be taken out of everything
    struct buf b = written(say_secrets);
    assert_null(strstr(buf_str(&b), "VerySecret"));
    assert_null(strstr(buf_str(&b), "hunter2"));
    assert_has(&b, "key=[redacted]&again=[redacted]\n");
    assert_has(&b, "password=[redacted] short=abc\n");
    buf_free(&b);
    log_close();
    b = written(say_secrets); // closing forgets them
    assert_has(&b, "AIzaVerySecret");
    buf_free(&b);
}

static void say_what_came_from_outside(void)
{
    log_info("got", "text=" LOGQ, "a\nlevel=error msg=\"forged\"\x1b[2J");
}

static void nothing_from_outside_makes_a_line(void **state)
{
    (void)state;
    assert_int_equal(log_open("test", LOG_INFO, NULL), OK);
    struct buf b = written(say_what_came_from_outside);
    assert_int_equal(lines_of(&b), 1);
    assert_has(&b, "a\\x0alevel=error");
    assert_has(&b, "\\x1b[2J");
    buf_free(&b);
    log_close();
}

static void say_too_much(void)
{
    static char much[20000];
    memset(much, 'x', sizeof much - 1);
    log_info("much", "text=%s", much);
}

static void a_line_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(log_open("test", LOG_INFO, NULL), OK);
    struct buf b = written(say_too_much);
    assert_int_equal(lines_of(&b), 1);
    assert_has(&b, "msg=\"much\"");
    assert_true(b.len < 9000);
    buf_free(&b);
    log_close();
}

static char *only_file_in(const char *folder)
{
    struct dirent **files;
    char *path = NULL;
    int n = scandir(folder, &files, NULL, alphasort);
    assert_int_equal(n, 3); // with . and ..
    for (int i = 0; i < n; i++) {
        if (files[i]->d_name[0] != '.')
            assert_true(asprintf(&path, "%s/%s", folder, files[i]->d_name) > 0);
        free(files[i]);
    }
    free(files);
    return path;
}

static void a_file_gets_the_same_lines(void **state)
{
    (void)state;
    char base[] = "/tmp/genfarm-test-log-XXXXXX", folder[64], end[64];
    assert_non_null(mkdtemp(base));
    snprintf(folder, sizeof folder, "%s/deep/logs", base);
    assert_int_equal(log_open("test", LOG_INFO, folder), OK);
    struct buf b = written(say_one_of_each), file = {.max = 1u << 20};
    log_close();
    char *path = only_file_in(folder);
    snprintf(end, sizeof end, "-%ld.log", (long)getpid());
    assert_int_equal(strncmp(path + strlen(folder), "/test-20", 8), 0);
    assert_string_equal(path + strlen(path) - strlen(end), end);
    assert_int_equal(file_read(path, &file), OK);
    assert_string_equal(buf_str(&file), buf_str(&b));
    unlink(path);
    rmdir(folder);
    snprintf(folder, sizeof folder, "%s/deep", base);
    rmdir(folder);
    assert_int_equal(rmdir(base), 0);
    free(path);
    buf_free(&b);
    buf_free(&file);
    assert_int_equal(log_open("test", LOG_INFO, "/dev/null/logs"), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_logfmt),
        cmocka_unit_test(levels_are_cut_off),
        cmocka_unit_test(secrets_never_come_out),
        cmocka_unit_test(nothing_from_outside_makes_a_line),
        cmocka_unit_test(a_line_is_bounded),
        cmocka_unit_test(a_file_gets_the_same_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
