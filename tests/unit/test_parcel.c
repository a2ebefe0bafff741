// test_parcel.c - images on their way into a folder: checked, stored once, adopted, with faults
// at any moment.
#include <stdio.h>
#include <stdlib.h>

#include "unit/fault.h"
#include "unit/picture.h"
#include "unit/storing.h"
#include "unit/test.h"

#define WRITERS 8

// --- Checking --------------------------------------------------------------------------------

static void a_broken_image_is_found_out(void **state)
{
    struct bench *b = *state;
    struct buf png = picture_png(8, 8);
    struct span cut = {png.ptr, png.len - 5};
    const struct span bad[] = {cut, SPAN("this is no image at all"), SPAN("")};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct parcel *p = parcel_of(b, bad[i]);
        struct stored s = check_parcel(b, p);
        assert_int_equal(s.err, ERR_FORMAT);
        assert_true(s.why.len > 0);
        stored_free(&s);
        parcel_free(p);
    }
    struct parcel *p = parcel_of(b, buf_span(&png));
    struct stored s = check_parcel(b, p);
    assert_int_equal(s.err, OK);
    assert_int_equal(parcel_images(p), 1);
    assert_int_equal(parcel_bytes(p), png.len);
    stored_free(&s);
    parcel_free(p);
    buf_free(&png);
}

// --- Storing ---------------------------------------------------------------------------------

static void what_is_stored_is_found(void **state)
{
    struct bench *b = *state;
    struct stored none = look_up(b);
    assert_int_equal(none.err, ERR_MISSING);
    struct stored s = store_picture(b, 8, NONCE, 1);
    assert_int_equal(s.err, OK);
    assert_false(s.adopted);
    assert_image(b, &s, 8);
    struct event e;
    assert_int_equal(event_decode(&e, buf_span(&s.event)), OK);
    assert_true(span_is(e.text, "said") && span_is(e.worker, "w") && span_is(e.id, "scene"));
    struct stored found = look_up(b);
    assert_int_equal(found.err, OK);
    assert_true(span_equal(buf_span(&found.event), buf_span(&s.event)));
    stored_free(&none);
    stored_free(&found);
    stored_free(&s);
}

static void the_first_writer_wins(void **state)
{
    struct bench *b = *state;
    struct stored first = store_picture(b, 8, NONCE, 1), second = store_picture(b, 9, NONCE, 1);
    assert_int_equal(second.err, OK);
    assert_true(second.adopted);
    assert_true(span_equal(buf_span(&first.event), buf_span(&second.event)));
    assert_image(b, &second, 8);
    stored_free(&first);
    stored_free(&second);
}

// Under way together on several threads: one is stored, all the others tell of that one.
static void one_wins(struct bench *b)
{
    unsigned left = WRITERS, own = 0, winner = 0;
    struct stored s[WRITERS];
    struct parcel *p[WRITERS];
    struct parcel_label l = label_of(b, NONCE, 1);
    for (unsigned i = 0; i < WRITERS; i++) {
        p[i] = checked_picture(b, 8 + i);
        s[i] = bench_awaited(b, &left);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(parcel_store(p[i], b->sink, &l, on_stored, &s[i]), OK);
    bench_run(b, &left);
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_int_equal(s[i].calls, 1);
        assert_int_equal(s[i].err, OK);
        if (!s[i].adopted) {
            own++;
            winner = i;
        }
    }
    assert_int_equal(own, 1);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_true(span_equal(buf_span(&s[i].event), buf_span(&s[winner].event)));
    assert_image(b, &s[winner], 8 + winner);
    for (unsigned i = 0; i < WRITERS; i++) {
        stored_free(&s[i]);
        parcel_free(p[i]);
    }
}

static void what_another_batch_or_input_left_is_replaced(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *nonce;
        uint32_t digest;
    } others[] = {{"fedcba9876543210", 1}, {"fedcba9876543210", 2}};
    struct stored before = store_picture(b, 8, NONCE, 1);
    for (uint32_t i = 0; i < 2; i++) {
        struct stored s = store_picture(b, 9 + i, others[i].nonce, others[i].digest);
        assert_int_equal(s.err, OK);
        assert_false(s.adopted);
        assert_image(b, &s, 9 + i);
        stored_free(&s);
    }
    stored_free(&before);
}

static void of_many_at_once_one_wins(void **state)
{
    one_wins(*state);
}

// What another batch left is removed once, and never the record that has just taken its place.
static void over_what_another_batch_left_too(void **state)
{
    for (int round = 0; round < 40; round++) {
        struct stored before = store_picture(*state, 7, "fedcba9876543210", 1);
        assert_false(before.adopted);
        one_wins(*state);
        stored_free(&before);
    }
}

// Other content under the name, of the same size by chance or by somebody's hand.
static void an_image_that_was_replaced_is_none(void **state)
{
    struct bench *b = *state;
    struct stored first = store_picture(b, 8, NONCE, 1);
    char *image = image_path(b, &first);
    FILE *f = fopen(image, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, 20, SEEK_SET), 0);
    assert_int_equal(fputc('!', f), '!');
    fclose(f);
    assert_stored_anew(b);
    free(image);
    stored_free(&first);
}

// --- A disk that fails -----------------------------------------------------------------------

// Whatever could not be synced is told, and nothing is named before; tried again, with the same
// bytes, it is stored once, and nothing is left of the first try.
static void a_sync_that_fails_is_told_and_tried_again(void **state)
{
    struct bench *b = *state;
    unsigned n = 1;
    for (;; n++) {
        struct parcel *p = checked_picture(b, 8);
        fault_sync(n);
        struct stored s = store_parcel(b, p, NONCE, 1);
        bool failed = fault_happened();
        fault_sync(0);
        assert_int_equal(s.err == OK, !failed);
        assert_int_equal(s.why.len > 0, failed);
        if (n <= 2) // of the image and of the record
            assert_int_equal(files_in(b, "b/images"), 0);
        struct stored found = look_up(b); // by then, who comes next finds it
        assert_int_equal(found.err, n <= 2 ? ERR_MISSING : OK);
        stored_free(&found);
        struct stored again = failed ? store_parcel(b, p, NONCE, 1) : s;
        assert_int_equal(again.err, OK);
        assert_image(b, &again, 8);
        if (failed)
            stored_free(&s);
        stored_free(&again);
        parcel_free(p);
        empty_folder(b);
        if (!failed)
            break;
    }
    assert_int_equal(n, 5); // image, record, both of their folders; then all went well
}

// Stores, with the n-th call of a kind failing; whether it did. `s`: how it ended.
static bool store_disturbed(struct bench *b, struct parcel *p, fault *kind, unsigned n,
                            struct stored *s)
{
    unsigned left = 1;
    struct parcel_label l = label_of(b, NONCE, 1);
    *s = bench_awaited(b, &left);
    kind(n);
    s->err = parcel_store(p, b->sink, &l, on_stored, s);
    if (s->err == OK)
        bench_run(b, &left);
    fault_forget();
    return fault_happened();
}

// Whatever fails, what is there is whole or nothing, and the next try stores it, once.
static void any_call_may_fail(struct bench *b, fault *kind, enum err e)
{
    bool failed = true;
    for (unsigned n = 1; failed; n++) {
        struct stored s;
        struct parcel *p = checked_picture(b, 8);
        failed = store_disturbed(b, p, kind, n, &s);
        if (s.err != OK && !(failed && s.err == e))
            fail_msg("call %u: %s (%s)", n, err_text(s.err), buf_str(&s.why));
        struct stored found = look_up(b);
        if (found.err == OK)
            assert_image(b, &found, 8);
        struct stored again = store_parcel(b, p, NONCE, 1);
        assert_int_equal(again.err, OK);
        assert_image(b, &again, 8);
        stored_free(&s), stored_free(&found), stored_free(&again);
        parcel_free(p);
        empty_folder(b);
    }
}

static void writes_and_memory_may_fail(void **state)
{
    any_call_may_fail(*state, fault_write, ERR_FULL);
    any_call_may_fail(*state, fault_alloc, ERR_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_broken_image_is_found_out),
        CASE(what_is_stored_is_found),
        CASE(the_first_writer_wins),
        CASE(of_many_at_once_one_wins),
        CASE(over_what_another_batch_left_too),
        CASE(an_image_that_was_replaced_is_none),
        CASE(what_another_batch_or_input_left_is_replaced),
        CASE(a_sync_that_fails_is_told_and_tried_again),
        CASE(writes_and_memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
