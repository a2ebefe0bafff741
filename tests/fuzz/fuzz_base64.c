// Base64 in pieces: the first byte says how large they are. All of them together mean what the
// whole means, to the byte; what is taken is encoded as what it was read from.
#include <string.h>

#include "fuzz.h"
#include "worker/base64.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// The bytes in `out`, whose room is exactly what base64_feed() asks for; -1: refused.
static long decode(const char *text, size_t size, size_t step, uint8_t *out)
{
    struct base64 b = {0};
    size_t sum = 0;
    for (size_t i = 0; i < size; i += step) {
        size_t n = size - i < step ? size - i : step, got;
        uint8_t *part = malloc(3 * (n + 3) / 4 + 1);
        FUZZ_CHECK(part);
        enum err e = base64_feed(&b, text + i, n, part, &got);
        if (e == OK) {
            FUZZ_CHECK(got <= 3 * (n + 3) / 4);
            memcpy(out + sum, part, got);
            sum += got;
        }
        free(part);
        if (e != OK)
            return -1;
    }
    return base64_end(&b) == OK ? (long)sum : -1;
}

static void same_again(const uint8_t *bytes, size_t n, const char *text, size_t size)
{
    FUZZ_CHECK(size == (n + 2) / 3 * 4);
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)bytes[i] << 16;
        v |= i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0;
        v |= i + 2 < n ? (uint32_t)bytes[i + 2] : 0;
        for (size_t k = 0; k < 4; k++) {
            char c = i + k > n ? '=' : alphabet[v >> (18 - 6 * k) & 63];
            // Bits behind the last byte are no byte: a decoder may take any of them.
            bool last = i + k == n && i + 3 > n;
            FUZZ_CHECK(text[i / 3 * 4 + k] == c || (last && text[i / 3 * 4 + k] != '='));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    size_t n = size - 1, step = (size_t)data[0] % 61 + 1;
    uint8_t *whole = malloc(n + 4), *parts = malloc(n + 4);
    FUZZ_CHECK(whole && parts);
    long got = decode(text, n, n + 1, whole);
    FUZZ_CHECK(decode(text, n, step, parts) == got);
    if (got >= 0) {
        FUZZ_CHECK(memcmp(whole, parts, (size_t)got) == 0);
        same_again(whole, (size_t)got, text, n);
    }
    free(whole);
    free(parts);
    return 0;
}
