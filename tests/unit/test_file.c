// test_file.c - files that are whole or not there, and errors that say what happened.
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "unit/fault.h"
#include "unit/test.h"

static int enter_folder(void **state)
{
    char folder[] = "/tmp/genfarm-test-file-XXXXXX";
    if (!mkdtemp(folder) || chdir(folder) != 0)
        return -1;
    *state = strdup(folder);
    return *state ? 0 : -1;
}

static int leave_folder(void **state)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
    free(*state);
    return chdir("/") != 0 || system(command) != 0;
}

static unsigned files_here(void)
{
    DIR *d = opendir(".");
    unsigned n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static void assert_holds(const char *path, const char *want)
{
    struct buf b = {.max = 1000};
    assert_int_equal(file_read(path, &b), OK);
    assert_string_equal(buf_str(&b), want);
    buf_free(&b);
}

static void errno_becomes_what_it_means(void **state)
{
    (void)state;
    assert_int_equal(file_err(ENOSPC), ERR_FULL);
    assert_int_equal(file_err(EDQUOT), ERR_FULL);
    assert_int_equal(file_err(ENOENT), ERR_MISSING);
    assert_int_equal(file_err(EEXIST), ERR_EXISTS);
    assert_int_equal(file_err(ENOMEM), ERR_NOMEM);
    assert_int_equal(file_err(EACCES), ERR_IO);
    assert_int_equal(file_err(0), OK);
}

static void folders_are_made_with_those_above(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(file_mkdirs("a/b//c/"), OK);
    assert_true(stat("a/b/c", &st) == 0 && S_ISDIR(st.st_mode));
    assert_int_equal(file_mkdirs("a/b/c"), OK);
    assert_int_equal(file_mkdirs("."), OK);
    assert_int_equal(file_mkdirs("/"), OK);
    assert_int_equal(file_write("a/file", SPAN("x")), OK);
    assert_int_equal(file_mkdirs("a/file"), ERR_IO);
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(file_mkdirs("a/file/below"), ERR_IO);
    assert_int_equal(file_mkdirs(""), ERR_IO);
}

static void reading_stops_at_the_limit(void **state)
{
    (void)state;
    struct buf b = {.max = 10};
    assert_int_equal(file_write("ten", SPAN("0123456789")), OK);
    assert_int_equal(file_read("ten", &b), OK);
    assert_int_equal(b.len, 10);
    buf_free(&b);
    b.max = 9;
    assert_int_equal(file_read("ten", &b), ERR_TOOBIG);
    buf_free(&b);
    assert_int_equal(file_read("/dev/zero", &b), ERR_TOOBIG); // one without an end
    buf_free(&b);
    assert_int_equal(file_read("absent", &b), ERR_MISSING);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(file_read(".", &b), ERR_IO);
    assert_int_equal(errno, EISDIR);
    assert_int_equal(file_write("empty", (struct span){0}), OK);
    assert_int_equal(file_read("empty", &b), OK);
    assert_int_equal(b.len, 0);
    assert_true(file_exists("empty"));
    assert_false(file_exists("absent"));
}

static void a_file_appears_whole(void **state)
{
    (void)state;
    struct file_atomic *f;
    struct stat st;
    assert_int_equal(file_write("name", SPAN("old")), OK);
    assert_int_equal(file_atomic_open("name", &f), OK);
    fputs("new, and longer", file_atomic_stream(f));
    fflush(file_atomic_stream(f));
    assert_holds("name", "old"); // until it is whole
    assert_int_equal(file_atomic_commit(f), OK);
    assert_holds("name", "new, and longer");
    assert_int_equal(files_here(), 1);
    assert_int_equal(stat("name", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
}

static void an_aborted_file_leaves_nothing(void **state)
{
    (void)state;
    struct file_atomic *f;
    assert_int_equal(file_write("name", SPAN("old")), OK);
    assert_int_equal(file_atomic_open("name", &f), OK);
    fputs("half", file_atomic_stream(f));
    file_atomic_abort(f);
    file_atomic_abort(NULL);
    assert_holds("name", "old");
    assert_int_equal(files_here(), 1);
    assert_int_equal(file_atomic_open("no/such/folder", &f), ERR_MISSING);
    assert_int_equal(errno, ENOENT);
}

// A limit on the size of files stands for a full disk: both fail when the bytes are written.
static void what_cannot_be_written_leaves_the_old_file(void **state)
{
    (void)state;
    struct rlimit old, small;
    char bytes[20000];
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(file_write("name", SPAN("old")), OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum err e = file_write("name", (struct span){bytes, sizeof bytes});
    int why = errno;
    enum err short_one = file_write("other", (struct span){bytes, 1500});
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(e, ERR_IO);
    assert_int_equal(why, EFBIG);
    assert_int_equal(short_one, ERR_IO);
    assert_holds("name", "old");
    assert_int_equal(files_here(), 1);
}

static void a_sync_that_fails_leaves_the_old_file(void **state)
{
    (void)state;
    assert_int_equal(file_write("name", SPAN("old")), OK);
    fault_sync(1);
    enum err e = file_write("name", SPAN("new"));
    int why = errno;
    assert_true(fault_happened());
    assert_int_equal(e, ERR_IO);
    assert_int_equal(why, EIO);
    assert_holds("name", "old");
    assert_int_equal(files_here(), 1);
    fault_sync(2); // of the folder: the file has its name by then, and is whole
    assert_int_equal(file_write("name", SPAN("new")), ERR_IO);
    assert_holds("name", "new");
    fault_sync(0);
    assert_int_equal(files_here(), 1);
}

static void words_say_where_and_what_to_do(void **state)
{
    (void)state;
    struct buf b = {.max = 1000};
    assert_int_equal(file_explain(&b, ERR_FULL, EAGAIN, "/a/b", "cannot be written"), ERR_FULL);
    assert_string_equal(buf_str(&b), "/a/b: cannot be written: No space left on device; free "
                                     "some room there");
    buf_clear(&b);
    assert_int_equal(file_explain(&b, ERR_IO, EROFS, "/a/b", NULL), ERR_IO);
    assert_string_equal(buf_str(&b), "/a/b: Read-only file system; let it be written to");
    buf_clear(&b);
    assert_int_equal(file_explain(&b, ERR_NOMEM, 0, "/a/b", NULL), ERR_NOMEM);
    assert_string_equal(buf_str(&b), "/a/b: out of memory");
    assert_int_equal(file_explain(NULL, ERR_IO, EIO, "/a/b", NULL), ERR_IO);
    buf_free(&b);
}

static void a_file_system_is_looked_at(void **state)
{
    (void)state;
    struct file_room room;
    assert_int_equal(file_look(".", &room), OK);
    assert_true(room.size > 0 && room.free <= room.size && room.files > 0);
    assert_int_equal(file_look("absent", &room), ERR_MISSING);
}

static void of_several_links_the_first_wins(void **state)
{
    (void)state;
    assert_int_equal(file_write("one", SPAN("1")), OK);
    assert_int_equal(file_write("two", SPAN("2")), OK);
    assert_int_equal(file_link("one", "name"), OK);
    assert_int_equal(file_link("two", "name"), ERR_EXISTS);
    assert_int_equal(file_link("absent", "other"), ERR_MISSING);
    assert_holds("name", "1");
    assert_holds("one", "1");
    assert_int_equal(file_sync_dir("."), OK);
    assert_int_equal(file_sync_dir("absent"), ERR_MISSING);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errno_becomes_what_it_means),
        TEST(folders_are_made_with_those_above),
        TEST(reading_stops_at_the_limit),
        TEST(a_file_appears_whole),
        TEST(an_aborted_file_leaves_nothing),
        TEST(what_cannot_be_written_leaves_the_old_file),
        TEST(a_sync_that_fails_leaves_the_old_file),
        TEST(words_say_where_and_what_to_do),
        TEST(a_file_system_is_looked_at),
        TEST(of_several_links_the_first_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
