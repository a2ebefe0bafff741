#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/secret.h"

static const char *const names[] = {"TEST_KEY_ONE", "TEST_KEY_TWO", NULL};

static enum err take(const char *file, struct buf *key, struct buf *why)
{
    *why = (struct buf){.max = 4096};
    return secret_read(key, file, names, why);
}

static void the_first_that_is_not_empty(void **state)
{
    (void)state;
    struct buf key, why;
    unsetenv(names[0]);
    setenv(names[1], " two\n", 1);
    assert_int_equal(take(NULL, &key, &why), OK);
    assert_string_equal(buf_str(&key), "two");
    secret_free(&key);
    setenv(names[0], "", 1);
    assert_int_equal(take(NULL, &key, &why), OK);
    assert_string_equal(buf_str(&key), "two");
    secret_free(&key);
    setenv(names[0], "one", 1);
    assert_int_equal(take(NULL, &key, &why), OK);
    assert_string_equal(buf_str(&key), "one");
    secret_free(&key);
}

static void none(void **state)
{
    (void)state;
    struct buf key, why;
    unsetenv(names[0]);
    setenv(names[1], "  ", 1);
    assert_int_equal(take(NULL, &key, &why), ERR_MISSING);
    assert_string_equal(buf_str(&why), "none is set: TEST_KEY_ONE or TEST_KEY_TWO");
    buf_free(&why);
    secret_free(&key);
}

static void what_no_header_can_carry(void **state)
{
    (void)state;
    struct buf key, why;
    static const char *const bad[] = {"a b", "a\nb", "a\r\nX: y", "\xc3\xa9", "a\x7f"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv(names[0], bad[i], 1);
        assert_int_equal(take(NULL, &key, &why), ERR_RANGE);
        assert_null(strstr(buf_str(&why), bad[i])); // the key is not told
        buf_free(&why);
        secret_free(&key);
    }
}

static void files(void **state)
{
    (void)state;
    struct buf key, why;
    char path[] = "/tmp/test-secret-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(take(path, &key, &why), ERR_MISSING); // it is empty
    assert_non_null(strstr(buf_str(&why), "empty"));
    buf_free(&why);
    assert_int_equal(write(fd, "\n key-of-file \n", 15), 15);
    setenv(names[0], "of-environment", 1);
    assert_int_equal(take(path, &key, &why), OK); // the file wins
    assert_string_equal(buf_str(&key), "key-of-file");
    secret_free(&key);
    static char large[2 * SECRET_MAX];
    memset(large, 'x', sizeof large);
    assert_int_equal(write(fd, large, sizeof large), sizeof large);
    assert_int_equal(take(path, &key, &why), ERR_TOOBIG);
    buf_free(&why);
    secret_free(&key);
    close(fd);
    unlink(path);
    assert_int_equal(take(path, &key, &why), ERR_MISSING);
    assert_non_null(strstr(buf_str(&why), "No such file"));
    buf_free(&why);
    secret_free(&key);
}

static void forgotten(void **state)
{
    (void)state;
    setenv(names[0], "one", 1);
    const char *value = getenv(names[0]);
    secret_forget(names);
    assert_null(getenv(names[0]));
    assert_null(getenv(names[1]));
    (void)value;
}

static void files_of_others(void **state)
{
    (void)state;
    char path[] = "/tmp/genfarm-secret-XXXXXX";
    int fd = mkstemp(path);
    static const struct {
        mode_t mode;
        bool exposed;
    } cases[] = {{0600, false}, {0400, false}, {0640, true}, {0604, true}, {0602, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(fchmod(fd, cases[i].mode), 0);
        assert_int_equal(secret_exposed(path), cases[i].exposed);
    }
    close(fd);
    unlink(path);
    assert_false(secret_exposed(path));
    assert_false(secret_exposed("/dev/null"));
}

// Leak detection looks into its own process, and may.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MAY_LOOK 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MAY_LOOK 1
#endif
#endif
#ifndef MAY_LOOK
#define MAY_LOOK 0
#endif

static void no_dumps(void **state)
{
    (void)state;
    struct rlimit limit = {1, 1};
    pid_t pid = fork(); // for it cannot be taken back
    assert_true(pid >= 0);
    if (pid == 0) {
        secret_no_dumps();
        bool none = getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0;
        _exit(none && prctl(PR_GET_DUMPABLE) == MAY_LOOK ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void arguments(void **state)
{
    (void)state;
    char url[] = "redis://user:pa:ss@host:6379/0", option[] = "--redis=unix://:p@/x@y";
    char plain[] = "redis://host:6379", none_in_it[] = "redis://user@host", word[] = "a@b:c";
    char *argv[] = {url, url, option, plain, none_in_it, word};
    secret_hide_arguments(6, argv);
    assert_string_equal(argv[1], "redis://user:pa:ss@host:6379/0");
    assert_string_equal(url, "redis://user:*****@host:6379/0");
    assert_string_equal(argv[2], "--redis=unix://:p@/x@y");
    assert_null(strstr(option, ":p@"));
    assert_ptr_equal(argv[3], plain);
    assert_ptr_equal(argv[4], none_in_it);
    assert_ptr_equal(argv[5], word);
    free(argv[1]);
    free(argv[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_is_not_empty),
        cmocka_unit_test(none),
        cmocka_unit_test(what_no_header_can_carry),
        cmocka_unit_test(files),
        cmocka_unit_test(forgotten),
        cmocka_unit_test(files_of_others),
        cmocka_unit_test(no_dumps),
        cmocka_unit_test(arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
