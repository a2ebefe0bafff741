// base64 in pieces: RFC 4648's vectors, every split, and what is not base64.
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(vectors), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
