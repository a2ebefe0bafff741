// base64.c - see base64.h.
#include "worker/base64.h"

#include <stdbool.h>

#include "worker/base64_wide.h"

#define BAD 0xff

static uint8_t value_of(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint8_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint8_t)(c - 'a' + 26);
    if (c >= '0' && c <= '9')
        return (uint8_t)(c - '0' + 52);
    return c == '+' ? 62 : c == '/' ? 63 : BAD;
}

static const uint8_t *table(void)
{
    static uint8_t values[256];
    static bool filled;
    if (!filled) {
        for (unsigned c = 0; c < 256; c++)
            values[c] = value_of((unsigned char)c);
        filled = true;
    }
    return values;
}

static enum err digit(struct base64 *b, unsigned char c, uint8_t *out, size_t *n)
{
    uint8_t v = table()[c];
    if (c == '=' && b->have >= 2 && b->padded + b->have < 4) {
        // The bits that padding cuts off must be zero, else two texts would mean the same
        // bytes.
        if (b->bits & (b->have == 2 ? 0xfu : 0x3u))
            return ERR_FORMAT;
        if (b->padded++ == 0) {
            out[(*n)++] = (uint8_t)(b->bits >> (b->have == 2 ? 4 : 10));
            if (b->have == 3)
                out[(*n)++] = (uint8_t)(b->bits >> 2);
        }
        return OK;
    }
    if (v == BAD || b->padded)
        return ERR_FORMAT;
    b->bits = b->bits << 6 | v;
    if (++b->have == 4) {
        out[(*n)++] = (uint8_t)(b->bits >> 16);
        out[(*n)++] = (uint8_t)(b->bits >> 8);
        out[(*n)++] = (uint8_t)b->bits;
        b->have = 0;
        b->bits = 0;
    }
    return OK;
}

enum err base64_feed(struct base64 *b, const char *in, size_t n, uint8_t *out, size_t *out_n)
{
    const unsigned char *p = (const unsigned char *)in;
    const uint8_t *values = table();
    size_t i = 0, done = 0;
    while (i < n) {
        size_t many = b->have == 0 && !b->padded ? base64_wide(p + i, n - i, out + done) : 0;
        i += many;
        done += many / 4 * 3;
        for (; b->have == 0 && !b->padded && n - i >= 4; i += 4) { // whole groups
            uint8_t v0 = values[p[i]], v1 = values[p[i + 1]];
            uint8_t v2 = values[p[i + 2]], v3 = values[p[i + 3]];
            if ((v0 | v1 | v2 | v3) & 0xc0)
                break;
            uint32_t bits = (uint32_t)v0 << 18 | (uint32_t)v1 << 12 | (uint32_t)v2 << 6 | v3;
            out[done++] = (uint8_t)(bits >> 16);
            out[done++] = (uint8_t)(bits >> 8);
            out[done++] = (uint8_t)bits;
        }
        if (i < n) {
            enum err e = digit(b, p[i++], out, &done);
            if (e != OK)
                return e;
        }
    }
    *out_n = done;
    return OK;
}

enum err base64_end(const struct base64 *b)
{
    if (b->have == 0)
        return OK;
    return b->have + b->padded == 4 && b->padded ? OK : ERR_FORMAT;
}
