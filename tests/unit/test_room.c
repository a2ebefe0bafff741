// test_room.c - how many calls may begin, by what is free.
#include "unit/test.h"
#include "worker/room.h"

#define MB (1ull << 20)

static struct room room_of(uint64_t free, uint64_t size, uint64_t worst)
{
    return (struct room){
        .known = true, .of = {.free = free, .size = size, .files = UINT64_MAX}, .worst = worst};
}

static void what_is_not_known_is_no_limit(void **state)
{
    (void)state;
    struct room r = {0};
    assert_int_equal(room_for(&r, 10, 1000), 1000);
    room_look(&r, "/nonexistent/folder");
    assert_false(r.known);
    room_look(&r, "/");
    assert_true(r.known);
}

static void every_answer_under_way_has_its_room(void **state)
{
    (void)state;
    struct room r = room_of(101 * MB, 16 * MB, MB - 65536);
    assert_int_equal(room_for(&r, 0, 1000), 100);
    assert_int_equal(room_for(&r, 0, 7), 7);
    assert_int_equal(room_for(&r, 40, 1000), 60);
    assert_int_equal(room_for(&r, 100, 1000), 0);
    assert_int_equal(room_for(&r, 1000, 1000), 0);
    room_saw_image(&r, 2 * MB - 65536);
    assert_int_equal(room_for(&r, 0, 1000), 50);
    room_saw_image(&r, 1000); // the largest counts
    assert_int_equal(room_for(&r, 0, 1000), 50);
}

static void the_last_of_it_is_left_to_others(void **state)
{
    (void)state;
    struct room small = room_of(MB, 8 * MB, 1000), large = room_of(64 * MB, 1 << 30, 1000);
    struct room huge = room_of(64 * MB, 1ull << 50, 1000);
    assert_int_equal(room_for(&small, 0, 1), 0);
    small.of.free += 100000;
    assert_int_equal(room_for(&small, 0, 1), 1);
    assert_true(room_for(&large, 0, 1000) > 0); // a 64th of it is 16 MB
    assert_int_equal(room_for(&huge, 0, 1000), 0);
    huge.of.free += 100000;
    assert_int_equal(room_for(&huge, 0, 1000), 1);
}

static void the_first_is_thought_large(void **state)
{
    (void)state;
    struct room r = room_of(5 * MB, 8 * MB, 0);
    assert_int_equal(room_for(&r, 0, 10), 0);
    r.of.free += 70000;
    assert_int_equal(room_for(&r, 0, 10), 1);
}

static void files_are_counted_too(void **state)
{
    (void)state;
    struct room r = room_of(1ull << 40, 1ull << 40, 1000);
    r.of.files = 42;
    assert_int_equal(room_for(&r, 0, 1000), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_known_is_no_limit),
        cmocka_unit_test(every_answer_under_way_has_its_room),
        cmocka_unit_test(the_last_of_it_is_left_to_others),
        cmocka_unit_test(the_first_is_thought_large),
        cmocka_unit_test(files_are_counted_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
