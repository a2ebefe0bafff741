// test_spool.c - spools: nameless until they are named, digested as they go, limited.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "unit/test.h"
#include "worker/spool.h"

#define BYTES 100003u // more than any buffer inside, and no multiple of one

struct place {
    char dir[40], path[60];
    struct spool_place in;
};

static int make_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    strcpy(p->dir, "/tmp/test_spool.XXXXXX");
    if (!mkdtemp(p->dir))
        return -1;
    snprintf(p->path, sizeof p->path, "%s/image", p->dir);
    p->in.dir = p->dir;
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;
    unlink(p->path);
    int failed = rmdir(p->dir); // fails when a test left something else behind
    free(p);
    return failed;
}

static unsigned files_in(const char *dir)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
    closedir(d);
    return n;
}

static void fill(uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 251);
}

static struct spool_place shm = {.dir = "/dev/shm"}, nowhere = {.dir = "/nonexistent/folder"};

static struct spool *spool_of(struct spool_place *in, const uint8_t *bytes, size_t n,
                              size_t piece)
{
    struct spool *s = spool_new(in, n);
    assert_non_null(s);
    for (size_t at = 0; at < n; at += piece)
        assert_int_equal(spool_add(s, bytes + at, n - at < piece ? n - at : piece), OK);
    assert_int_equal(spool_end(s), OK);
    return s;
}

static void assert_file(const char *path, const uint8_t *bytes, size_t n)
{
    struct buf got = {.max = 2 * BYTES};
    assert_int_equal(file_read(path, &got), OK);
    assert_int_equal(got.len, n);
    assert_memory_equal(got.ptr, bytes, n);
    buf_free(&got);
}

static void pieces_make_no_difference(void **state)
{
    struct place *p = *state;
    static const size_t pieces[] = {1, 7, 16, 16383, 16384, 16385, BYTES};
    uint8_t bytes[BYTES], want[DIGEST_SIZE], again[BYTES];
    fill(bytes, BYTES);
    digest_of((struct span){(char *)bytes, BYTES}, want);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct spool *s = spool_of(&p->in, bytes, BYTES, pieces[i]);
        assert_int_equal(spool_bytes(s), BYTES);
        assert_memory_equal(spool_digest(s), want, DIGEST_SIZE);
        assert_int_equal(spool_head(s).len, SPOOL_HEAD);
        assert_memory_equal(spool_head(s).ptr, bytes, SPOOL_HEAD);
        for (unsigned k = 0; k < 2; k++) { // each opening begins at the first byte
            FILE *f = spool_open(s);
            assert_non_null(f);
            assert_int_equal(fread(again, 1, BYTES, f), BYTES);
            assert_int_equal(fgetc(f), EOF);
            assert_memory_equal(again, bytes, BYTES);
            fclose(f);
        }
        spool_free(s);
    }
}

static void it_has_no_name_until_it_is_given_one(void **state)
{
    struct place *p = *state;
    uint8_t bytes[BYTES];
    fill(bytes, BYTES);
    struct spool *s = spool_of(&p->in, bytes, BYTES, 4096);
    assert_int_equal(files_in(p->dir), 0);
    assert_int_equal(spool_link(s, p->path), OK);
    assert_int_equal(files_in(p->dir), 1);
    spool_free(s);
    assert_file(p->path, bytes, BYTES);
}

static void a_name_is_not_taken_from_another_file(void **state)
{
    struct place *p = *state;
    struct spool *first = spool_of(&p->in, (const uint8_t *)"first", 5, 5);
    struct spool *second = spool_of(&p->in, (const uint8_t *)"second", 6, 6);
    assert_int_equal(spool_link(first, p->path), OK);
    assert_int_equal(spool_link(second, p->path), ERR_EXISTS);
    assert_int_equal(spool_link(first, p->path), ERR_EXISTS);
    assert_file(p->path, (const uint8_t *)"first", 5);
    unlink(p->path);
    assert_int_equal(spool_link(second, p->path), OK);
    assert_file(p->path, (const uint8_t *)"second", 6);
    spool_free(first);
    spool_free(second);
}

// Where the spools' file system is not that of the images.
static void on_another_file_system_it_is_copied(void **state)
{
    struct place *p = *state;
    struct stat here, there;
    uint8_t bytes[BYTES];
    if (stat(p->dir, &here) != 0 || stat("/dev/shm", &there) != 0 ||
        here.st_dev == there.st_dev || access("/dev/shm", W_OK) != 0) {
        print_message("there is only one file system: skipped\n");
        skip();
    }
    fill(bytes, BYTES);
    struct spool *s = spool_of(&shm, bytes, BYTES, BYTES);
    assert_int_equal(spool_link(s, p->path), OK);
    assert_file(p->path, bytes, BYTES);
    assert_int_equal(spool_link(s, p->path), ERR_EXISTS);
    assert_int_equal(files_in(p->dir), 1); // nothing half beside it
    spool_free(s);
}

static void one_byte_beyond_the_limit_is_too_many(void **state)
{
    struct place *p = *state;
    struct spool *s = spool_new(&p->in, 10);
    assert_non_null(s);
    assert_int_equal(spool_add(s, (const uint8_t *)"0123456789", 10), OK);
    assert_int_equal(spool_add(s, (const uint8_t *)"x", 1), ERR_TOOBIG);
    assert_int_equal(spool_bytes(s), 10);
    assert_int_equal(spool_add(s, (const uint8_t *)"", 0), OK);
    spool_free(s); // one that never ended
    s = spool_new(&p->in, 10);
    assert_int_equal(spool_add(s, (const uint8_t *)"0123456789a", 11), ERR_TOOBIG);
    spool_free(s);
}

static void an_empty_one_is_no_file(void **state)
{
    struct place *p = *state;
    struct spool *s = spool_new(&p->in, 10);
    uint8_t want[DIGEST_SIZE];
    assert_int_equal(spool_end(s), OK);
    digest_of(SPAN(""), want);
    assert_memory_equal(spool_digest(s), want, DIGEST_SIZE);
    assert_int_equal(spool_bytes(s), 0);
    assert_int_equal(spool_head(s).len, 0);
    assert_int_equal(spool_fd(s), -1);
    assert_null(spool_open(s));
    assert_int_not_equal(spool_link(s, p->path), OK);
    spool_free(s);
    spool_free(NULL);
}

static void without_its_folder_it_fails(void **state)
{
    (void)state;
    struct spool *s = spool_new(&nowhere, 10);
    assert_int_equal(spool_add(s, (const uint8_t *)"abc", 3), OK); // gathers first
    assert_int_equal(spool_end(s), ERR_MISSING);
    assert_int_equal(errno, ENOENT);
    spool_free(s);
}

// What has been paid for is not given up: it stays in memory until it can be stored.
static void without_its_folder_it_stays_in_memory(void **state)
{
    struct place *p = *state;
    static uint8_t bytes[BYTES];
    fill(bytes, BYTES);
    struct spool_place memory = {.dir = nowhere.dir, .max_memory = BYTES + 5};
    struct spool *s = spool_of(&memory, bytes, BYTES, 1000);
    struct spool *other = spool_new(&memory, 10);
    assert_int_equal(memory.in_memory, BYTES);
    assert_int_equal(spool_add(other, bytes, 6), OK); // gathers first
    assert_int_equal(spool_end(other), ERR_MISSING);  // one byte too many
    spool_free(other);
    assert_int_equal(memory.in_memory, BYTES);
    assert_int_equal(spool_link(s, p->path), OK);
    assert_file(p->path, bytes, BYTES);
    assert_int_equal(spool_link(s, p->path), ERR_EXISTS);
    assert_int_equal(files_in(p->dir), 1);
    spool_free(s);
    assert_int_equal(memory.in_memory, 0);
}

// As when the record beside it could not be written, and all is tried again.
static void a_name_can_be_taken_away_and_given_again(void **state)
{
    struct place *p = *state;
    static uint8_t bytes[BYTES];
    fill(bytes, BYTES);
    struct spool *s = spool_of(&p->in, bytes, BYTES, BYTES);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(spool_link(s, p->path), OK);
        assert_file(p->path, bytes, BYTES);
        assert_int_equal(unlink(p->path), 0);
    }
    assert_int_equal(files_in(p->dir), 0);
    spool_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pieces_make_no_difference, make_place, drop_place),
        cmocka_unit_test_setup_teardown(it_has_no_name_until_it_is_given_one, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(a_name_is_not_taken_from_another_file, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(on_another_file_system_it_is_copied, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(one_byte_beyond_the_limit_is_too_many, make_place,
                                        drop_place),
        cmocka_unit_test_setup_teardown(an_empty_one_is_no_file, make_place, drop_place),
        cmocka_unit_test_setup_teardown(a_name_can_be_taken_away_and_given_again, make_place,
                                        drop_place),
        cmocka_unit_test(without_its_folder_it_fails),
        cmocka_unit_test_setup_teardown(without_its_folder_it_stays_in_memory, make_place,
                                        drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
