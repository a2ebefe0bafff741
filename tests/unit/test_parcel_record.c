// test_parcel_record.c - what a crash left in a folder is mended, and records are not trusted.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/file.h"
#include "unit/storing.h"
#include "unit/test.h"

// Takes the image back to the name it had before the record was linked.
static void undo_rename(const struct bench *b, const struct stored *s)
{
    char hex[17];
    struct buf record = read_whole(b, RECORD);
    digest_hex((const uint8_t *)record.ptr, 8, hex);
    char *to = path_of(b, RECORD ".%s.0", hex), *from = image_path(b, s);
    assert_int_equal(rename(from, to), 0);
    free(from);
    free(to);
    buf_free(&record);
}

static void a_lookup_ends_what_a_crash_left_undone(void **state)
{
    struct bench *b = *state;
    struct stored s = store_picture(b, 8, NONCE, 1);
    undo_rename(b, &s);
    assert_int_equal(files_in(b, "b/images"), 0);
    struct stored found = look_up(b);
    assert_int_equal(found.err, OK);
    assert_true(span_equal(buf_span(&found.event), buf_span(&s.event)));
    assert_image(b, &found, 8);
    stored_free(&found);
    stored_free(&s);
}

static void so_does_the_next_writer(void **state)
{
    struct bench *b = *state;
    struct stored first = store_picture(b, 8, NONCE, 1);
    undo_rename(b, &first);
    struct stored second = store_picture(b, 9, NONCE, 1);
    assert_true(second.err == OK && second.adopted);
    assert_image(b, &second, 8);
    stored_free(&first);
    stored_free(&second);
}

static void images_without_a_record_are_nothing(void **state)
{
    struct bench *b = *state;
    struct stored first = store_picture(b, 8, NONCE, 1);
    undo_rename(b, &first);
    char *record = path_of(b, RECORD);
    assert_int_equal(unlink(record), 0);
    struct stored found = look_up(b);
    assert_int_equal(found.err, ERR_MISSING);
    assert_int_equal(files_in(b, "b/images"), 0);
    struct stored second = store_picture(b, 9, NONCE, 1);
    assert_true(second.err == OK && !second.adopted);
    assert_int_equal(files_in(b, "b/images"), 1);
    free(record);
    stored_free(&first);
    stored_free(&second);
    stored_free(&found);
}

static void a_record_without_its_image_is_replaced(void **state)
{
    struct bench *b = *state;
    struct stored first = store_picture(b, 8, NONCE, 1);
    char *image = image_path(b, &first);
    assert_int_equal(unlink(image), 0);
    assert_stored_anew(b);
    free(image);
    stored_free(&first);
}

static void a_record_cut_anywhere_is_none(void **state)
{
    struct bench *b = *state;
    struct stored first = store_picture(b, 8, NONCE, 1);
    struct buf record = read_whole(b, RECORD);
    char *path = path_of(b, RECORD);
    for (size_t n = 0; n < record.len; n += 1 + record.len / 23) {
        assert_int_equal(file_write(path, (struct span){record.ptr, n}), OK);
        struct stored found = look_up(b);
        assert_int_equal(found.err, ERR_MISSING);
        stored_free(&found);
    }
    struct stored second = store_picture(b, 9, NONCE, 1);
    assert_true(second.err == OK && !second.adopted);
    assert_image(b, &second, 9);
    free(path);
    buf_free(&record);
    stored_free(&first);
    stored_free(&second);
}

// A record is data that others can write: its names lead nowhere else.
static void names_of_a_record_do_not_leave_the_folder(void **state)
{
    struct bench *b = *state;
    static const char *const names[] = {"images/../../out.png", "../out.png", "/tmp/out.png",
                                        "images/.hidden.png",   "images/",    "images/a/b.png"};
    struct stored first = store_picture(b, 8, NONCE, 1);
    undo_rename(b, &first);
    struct buf record = read_whole(b, RECORD);
    char *path = path_of(b, RECORD);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct event e;
        struct record r = {.nonce = SPAN(NONCE), .digest = 1};
        struct buf event = {.max = 1 << 16}, forged = {.max = 1 << 16};
        assert_int_equal(event_decode(&e, buf_span(&first.event)), OK);
        e.images[0].path = span_of(names[i]);
        event_encode(&event, &e);
        r.event = buf_span(&event);
        buf_add(&forged, (struct span){record.ptr, 8});
        record_encode(&forged, &r);
        assert_int_equal(file_write(path, buf_span(&forged)), OK);
        struct stored found = look_up(b);
        assert_int_equal(found.err, ERR_MISSING);
        assert_int_equal(files_in(b, "b/images"), 0);
        assert_int_equal(files_in(b, "b/.records"), 2); // the image did not move
        stored_free(&found);
        buf_free(&event);
        buf_free(&forged);
    }
    free(path);
    buf_free(&record);
    stored_free(&first);
}

// What cannot be stored says why, and can be tried again.
static void without_its_folder_nothing_is_stored(void **state)
{
    struct bench *b = *state;
    char *path = path_of(b, "b");
    assert_int_equal(file_write(path, SPAN("a file where the folder should be")), OK);
    struct stored s = store_picture(b, 8, NONCE, 1);
    assert_int_not_equal(s.err, OK);
    assert_true(s.why.len > 0);
    assert_int_equal(unlink(path), 0);
    struct stored again = store_picture(b, 8, NONCE, 1);
    assert_int_equal(again.err, OK);
    assert_image(b, &again, 8);
    assert_null(sink_dir_new(b->pool, "/nonexistent/folder"));
    free(path);
    stored_free(&s);
    stored_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_lookup_ends_what_a_crash_left_undone),
        CASE(so_does_the_next_writer),
        CASE(images_without_a_record_are_nothing),
        CASE(a_record_without_its_image_is_replaced),
        CASE(a_record_cut_anywhere_is_none),
        CASE(names_of_a_record_do_not_leave_the_folder),
        CASE(without_its_folder_nothing_is_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
