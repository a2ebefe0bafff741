// base64 in pieces: RFC 4648's vectors, every split, and what is not base64.
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "test.h"
#include "worker/base64.h"

static enum err decode(const char *text, size_t split, char *out, size_t *n)
{
    struct base64 b = {0};
    size_t len = strlen(text), first = split < len ? split : len, got = 0;
    *n = 0;
    enum err e = base64_feed(&b, text, first, (uint8_t *)out, &got);
    if (e != OK)
        return e;
    *n += got;
    e = base64_feed(&b, text + first, len - first, (uint8_t *)out + *n, &got);
    if (e != OK)
        return e;
    *n += got;
    return base64_end(&b);
}

static void vectors(void **state)
{
    (void)state;
    static const char *const table[][2] = {{"", ""},
                                           {"Zg==", "f"},
                                           {"Zm8=", "fo"},
                                           {"Zm9v", "foo"},
                                           {"Zm9vYg==", "foob"},
                                           {"Zm9vYmE=", "fooba"},
                                           {"Zm9vYmFy", "foobar"},
                                           {"+/+/", "\xfb\xff\xbf"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t split = 0; split <= strlen(table[i][0]); split++) {
            char out[64];
            size_t n;
            assert_int_equal(decode(table[i][0], split, out, &n), OK);
            assert_int_equal(n, strlen(table[i][1]));
            assert_memory_equal(out, table[i][1], n);
        }
}

static void refused(void **state)
{
    (void)state;
    static const char *const table[] = {"Z",    "Zg",   "Zg=",      "Zm8",    "Zh==",
                                        "Zm9=", "====", "Zg==Zg==", "Zm9v\n", "Zm 9v",
                                        "-_-_", "Zg=a", "Z==="};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t split = 0; split <= strlen(table[i]); split++) {
            char out[64];
            size_t n;
            assert_int_equal(decode(table[i], split, out, &n), ERR_FORMAT);
        }
}

// Long enough for the ways that take many digits at once.
#define BYTES  300
#define DIGITS (BYTES / 3 * 4)

static void fill(uint8_t bytes[static BYTES], char text[static DIGITS + 1])
{
    for (unsigned i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)(i * i * 7 + i * 31 + 5);
    assert_int_equal(EVP_EncodeBlock((unsigned char *)text, bytes, BYTES), DIGITS);
}

static void pieces(void **state)
{
    (void)state;
    uint8_t bytes[BYTES];
    char text[DIGITS + 1];
    fill(bytes, text);
    for (size_t piece = 1; piece <= DIGITS; piece++) {
        struct base64 b = {0};
        uint8_t *out = malloc(BYTES); // of that size, so that a byte too many is noticed
        size_t done = 0;
        for (size_t at = 0; at < DIGITS; at += piece) {
            size_t n = at + piece < DIGITS ? piece : DIGITS - at, got;
            char *in = malloc(n);
            memcpy(in, text + at, n);
            assert_int_equal(base64_feed(&b, in, n, out + done, &got), OK);
            done += got;
            free(in);
        }
        assert_int_equal(base64_end(&b), OK);
        assert_int_equal(done, BYTES);
        assert_memory_equal(out, bytes, BYTES);
        free(out);
    }
}

static bool is_digit(int c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           c == '+' || c == '/';
}

static void every_byte_everywhere(void **state)
{
    (void)state;
    uint8_t bytes[BYTES], out[BYTES];
    char text[DIGITS + 1];
    fill(bytes, text);
    for (size_t at = 0; at < DIGITS; at++)
        for (int c = 0; c < 256; c++) {
            struct base64 b = {0};
            size_t got;
            char was = text[at];
            text[at] = (char)c;
            enum err e = base64_feed(&b, text, DIGITS, out, &got);
            if (e == OK)
                e = base64_end(&b);
            bool last = at == DIGITS - 1 && c == '='; // bits it cuts off may be zero
            if (!last)
                assert_int_equal(e, is_digit(c) ? OK : ERR_FORMAT);
            text[at] = was;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(refused),
        cmocka_unit_test(pieces),
        cmocka_unit_test(every_byte_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
