// test_parcel_share.c - images of one folder that other jobs share.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/file.h"
#include "unit/fault.h"
#include "unit/storing.h"
#include "unit/test.h"

static struct parcel *shared(const struct stored *of)
{
    struct event e;
    assert_int_equal(event_decode(&e, buf_span(&of->event)), OK);
    return parcel_shared(&e, SPAN("said"), SPAN("b"), 0);
}

// As job 0 of batch c, with the n-th call of a kind failing.
static struct stored share(struct bench *b, struct parcel *p, fault *kind, unsigned n)
{
    unsigned left = 1;
    struct stored s = bench_awaited(b, &left);
    struct parcel_label l = label_of(b, NONCE, 2);
    l.batch = SPAN("c");
    l.deduped_of = SPAN("b/scene");
    kind(n);
    s.err = parcel_store(p, b->sink, &l, on_stored, &s);
    if (s.err == OK)
        bench_run(b, &left);
    fault_forget();
    return s;
}

static void assert_shared(struct bench *b, const struct stored *s)
{
    struct event e;
    struct buf bytes = {.max = 1 << 20};
    uint8_t digest[DIGEST_SIZE];
    assert_int_equal(s->err, OK);
    assert_int_equal(event_decode(&e, buf_span(&s->event)), OK);
    assert_true(span_is(e.deduped_of, "b/scene") && e.cost_micro == 0 &&
                span_is(e.text, "said"));
    char *path = path_of(b, "c/%.*s", (int)e.images[0].path.len, e.images[0].path.ptr);
    assert_int_equal(file_read(path, &bytes), OK);
    digest_of(buf_span(&bytes), digest);
    assert_memory_equal(digest, e.images[0].sha256.ptr, DIGEST_SIZE);
    assert_int_equal(files_in(b, "c/images"), 1);
    assert_int_equal(files_in(b, "c/.records"), 1);
    buf_free(&bytes);
    free(path);
}

static void an_image_is_shared(void **state)
{
    struct bench *b = *state;
    struct stored first = store_picture(b, 8, NONCE, 1);
    static fault *const kinds[] = {fault_sync, fault_write, fault_alloc};
    for (size_t k = 0; k < 3; k++) {
        bool failed = true;
        for (unsigned n = 1; failed; n++) {
            struct parcel *p = shared(&first);
            struct stored s = share(b, p, kinds[k], n);
            failed = fault_happened();
            assert_true(s.err == OK || failed);
            if (s.err == ERR_MISSING) // a call would be made for what is there
                fail_msg("%zu, call %u: %s", k, n, buf_str(&s.why));
            struct stored again = share(b, p, fault_alloc, 0);
            assert_shared(b, &again);
            stored_free(&s), stored_free(&again);
            parcel_free(p);
            char *folder = path_of(b, "c");
            char command[128];
            snprintf(command, sizeof command, "rm -rf '%s'", folder);
            assert_int_equal(system(command), 0);
            free(folder);
        }
    }
    assert_image(b, &first, 8); // and is untouched
    stored_free(&first);
}

static void what_is_not_as_it_was_is_not_shared(void **state)
{
    struct bench *b = *state;
    static const char *const commands[] = {"rm '%s'", "truncate -s -1 '%s'",
                                           "truncate -s +1 '%s'",
                                           "printf x | dd of='%s' conv=notrunc status=none"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct stored first = store_picture(b, 8, NONCE, 1);
        char *path = image_path(b, &first), command[256];
        struct parcel *p = shared(&first);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(command, sizeof command, commands[i], path);
#pragma GCC diagnostic pop
        assert_int_equal(system(command), 0);
        struct stored s = share(b, p, fault_alloc, 0);
        assert_int_equal(s.err, ERR_MISSING);
        assert_int_equal(files_in(b, "c/images"), 0);
        assert_int_equal(files_in(b, "c/.records"), 0);
        stored_free(&s), stored_free(&first);
        parcel_free(p);
        free(path);
        empty_folder(b);
    }
}

// Where a name is taken that cannot be replaced the words say which, and it is stored later.
static void a_name_that_cannot_be_given_is_told(void **state)
{
    struct bench *b = *state;
    struct stored first = store_picture(b, 8, NONCE, 1);
    char *path = image_path(b, &first);
    stored_free(&first);
    empty_folder(b);
    assert_int_equal(file_mkdirs(path), OK);
    struct parcel *p = checked_picture(b, 8);
    for (int i = 0; i < 3; i++) {
        struct stored s = store_parcel(b, p, NONCE, 1);
        assert_int_equal(s.err, ERR_IO);
        assert_non_null(strstr(buf_str(&s.why), path));
        stored_free(&s);
    }
    assert_int_equal(rmdir(path), 0);
    struct stored s = store_parcel(b, p, NONCE, 1);
    assert_int_equal(s.err, OK);
    assert_image(b, &s, 8);
    stored_free(&s);
    parcel_free(p);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_image_is_shared),
        CASE(what_is_not_as_it_was_is_not_shared),
        CASE(a_name_that_cannot_be_given_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
