// test_digest.c - SHA-256 against the examples of FIPS 180-4, and chance.
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "unit/test.h"

static const struct {
    struct span bytes;
    const char *hex;
} examples[] = {
    {{"", 0}, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {{"abc", 3}, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56},
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void assert_hex(const uint8_t d[DIGEST_SIZE], const char *want)
{
    char hex[DIGEST_HEX];
    digest_hex(d, DIGEST_SIZE, hex);
    assert_string_equal(hex, want);
}

static void the_examples_come_out(void **state)
{
    (void)state;
    uint8_t d[DIGEST_SIZE];
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        digest_of(examples[i].bytes, d);
        assert_hex(d, examples[i].hex);
        struct digest *parts = digest_new();
        assert_non_null(parts);
        for (size_t k = 0; k < examples[i].bytes.len; k++)
            digest_add(parts, (struct span){examples[i].bytes.ptr + k, 1});
        digest_end(parts, d);
        assert_hex(d, examples[i].hex);
    }
    assert_true(digest_32(SPAN("abc")) == 0xba7816bf);
}

static void one_under_way_can_be_dropped(void **state)
{
    (void)state;
    struct digest *d = digest_new();
    digest_add(d, SPAN("abc"));
    digest_free(d); // the leak checker sees whether that was all
    digest_free(NULL);
}

static void hex_is_two_digits_a_byte(void **state)
{
    (void)state;
    char hex[7] = "......";
    digest_hex((const uint8_t[]){0x00, 0x9f, 0xff}, 3, hex);
    assert_string_equal(hex, "009fff");
    digest_hex((const uint8_t[]){0}, 0, hex);
    assert_string_equal(hex, "");
}

static void hex_is_read_again(void **state)
{
    (void)state;
    uint8_t d[DIGEST_SIZE];
    char hex[DIGEST_HEX];
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        assert_int_equal(digest_read(span_of(examples[i].hex), d), OK);
        assert_hex(d, examples[i].hex);
    }
    memcpy(hex, examples[0].hex, sizeof hex);
    assert_int_equal(digest_read((struct span){hex, DIGEST_HEX - 2}, d), ERR_FORMAT);
    assert_int_equal(digest_read((struct span){hex, DIGEST_HEX}, d), ERR_FORMAT);
    for (const char *c = "gG/:`A \n"; *c; c++) {
        hex[DIGEST_HEX - 2] = *c;
        assert_int_equal(digest_read(span_of(hex), d), ERR_FORMAT);
    }
}

static void chance_fills_every_byte(void **state)
{
    (void)state;
    uint8_t many[4096], other[16] = {0}, again[16] = {0};
    bool seen[256] = {false};
    memset(many, 0xa5, sizeof many);
    random_bytes(many, sizeof many - 1);
    assert_int_equal(many[sizeof many - 1], 0xa5); // not one too many
    for (size_t i = 0; i < sizeof many; i++)
        seen[many[i]] = true;
    unsigned kinds = 0;
    for (int i = 0; i < 256; i++)
        kinds += seen[i];
    assert_true(kinds > 240); // of 4,095 bytes all but never fewer
    random_bytes(other, sizeof other);
    random_bytes(again, sizeof again);
    assert_memory_not_equal(other, again, sizeof other);
}

static void the_unit_interval_is_used_evenly(void **state)
{
    (void)state;
    unsigned tenth[10] = {0};
    for (int i = 0; i < 10000; i++) {
        double u = random_unit();
        assert_true(u >= 0 && u < 1);
        tenth[(int)(u * 10)]++;
    }
    for (int i = 0; i < 10; i++) // 1,000 expected, deviation 30
        assert_in_range(tenth[i], 700, 1300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_come_out),
        cmocka_unit_test(one_under_way_can_be_dropped),
        cmocka_unit_test(hex_is_two_digits_a_byte),
        cmocka_unit_test(hex_is_read_again),
        cmocka_unit_test(chance_fills_every_byte),
        cmocka_unit_test(the_unit_interval_is_used_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
