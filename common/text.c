// text.c - see text.h.
#include "common/text.h"

#include <math.h>
#include <string.h>

#include "common/digest.h"

// Length of the well-formed sequence at p, 0 when there is none. Table 3-7 of the Unicode
// standard: the second byte's range depends on the first.
static size_t sequence(const unsigned char *p, size_t left)
{
    static const struct {
        unsigned char first_lo, first_hi, second_lo, second_hi, len;
    } rows[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (p[0] < rows[i].first_lo || p[0] > rows[i].first_hi)
            continue;
        size_t n = rows[i].len;
        if (n > left || (n > 1 && (p[1] < rows[i].second_lo || p[1] > rows[i].second_hi)))
            return 0;
        for (size_t k = 2; k < n; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return n;
    }
    return 0;
}

bool text_utf8(struct span s, size_t *bad)
{
    for (size_t i = 0; i < s.len;) {
        size_t n = sequence((const unsigned char *)s.ptr + i, s.len - i);
        if (n == 0) {
            if (bad)
                *bad = i;
            return false;
        }
        i += n;
    }
    return true;
}

static bool blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct span text_trim(struct span s)
{
    while (s.len > 0 && blank(s.ptr[0]))
        s.ptr++, s.len--;
    while (s.len > 0 && blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static enum err digits(struct span s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.len == 0)
        return ERR_FORMAT;
    for (size_t i = 0; i < s.len; i++)
        if (!digit(s.ptr[i]))
            return ERR_FORMAT;
    for (size_t i = 0; i < s.len; i++) {
        unsigned d = (unsigned)(s.ptr[i] - '0');
        if (v > (UINT64_MAX - d) / 10)
            return ERR_RANGE;
        v = v * 10 + d;
    }
    *out = v;
    return OK;
}

enum err text_uint(struct span s, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t v;
    enum err e = digits(s, &v);
    if (e != OK)
        return e;
    if (v < min || v > max)
        return ERR_RANGE;
    *out = v;
    return OK;
}

enum err text_int(struct span s, int64_t min, int64_t max, int64_t *out)
{
    bool minus = s.len > 0 && s.ptr[0] == '-';
    uint64_t v;
    enum err e = digits(minus ? (struct span){s.ptr + 1, s.len - 1} : s, &v);
    if (e != OK)
        return e;
    if (v > (uint64_t)INT64_MAX + minus) // two's complement: one more below zero than above
        return ERR_RANGE;
    int64_t n = minus ? (int64_t)(0 - v) : (int64_t)v;
    if (n < min || n > max)
        return ERR_RANGE;
    *out = n;
    return OK;
}

enum err text_decimal(struct span s, double min, double max, double *out)
{
    double v = 0, unit = 1;
    bool point = false, any = false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '.' && !point) {
            point = true;
        } else if (digit(s.ptr[i])) {
            any = true;
            v = v * 10 + (s.ptr[i] - '0');
            if (point)
                unit *= 10;
        } else {
            return ERR_FORMAT;
        }
    }
    if (!any || s.len > 30 || s.ptr[0] == '.' || s.ptr[s.len - 1] == '.')
        return ERR_FORMAT;
    if (v / unit < min || v / unit > max)
        return ERR_RANGE;
    *out = v / unit;
    return OK;
}

// Splits "1.5ms" into number and unit.
static struct span number_of(struct span s, struct span *unit)
{
    size_t n = 0;
    while (n < s.len && (digit(s.ptr[n]) || s.ptr[n] == '.'))
        n++;
    *unit = (struct span){s.ptr + n, s.len - n};
    return (struct span){s.ptr, n};
}

struct unit {
    const char *name;
    double factor;
};

static enum err scaled(struct span s, const struct unit *units, double *out)
{
    struct span unit;
    struct span number = number_of(s, &unit);
    double v;
    enum err e = text_decimal(number, 0, 1e18, &v);
    if (e != OK)
        return e;
    for (; units->name; units++)
        if (span_is(unit, units->name)) {
            *out = v * units->factor;
            return OK;
        }
    return ERR_FORMAT;
}

enum err text_duration(struct span s, double *seconds)
{
    static const struct unit units[] = {{"", 1},     {"s", 1},     {"ms", .001}, {"m", 60},
                                        {"h", 3600}, {"d", 86400}, {0}};
    return scaled(s, units, seconds);
}

enum err text_bytes(struct span s, uint64_t *out)
{
    static const struct unit units[] = {{"", 1},         {"B", 1},         {"K", 1024},
                                        {"KB", 1024},    {"KiB", 1024},    {"M", 1 << 20},
                                        {"MB", 1 << 20}, {"MiB", 1 << 20}, {"G", 1 << 30},
                                        {"GB", 1 << 30}, {"GiB", 1 << 30}, {0}};
    double v;
    enum err e = scaled(s, units, &v);
    if (e != OK)
        return e;
    if (v > 9e15) // beyond, a double would not hold every byte
        return ERR_RANGE;
    if (v != floor(v) && digit(s.ptr[s.len - 1]))
        return ERR_FORMAT; // "1.5" bytes; "1.3K" is rounded down
    *out = (uint64_t)v;
    return OK;
}

enum err text_usd(struct span s, int64_t *micro)
{
    const char *point = s.len ? memchr(s.ptr, '.', s.len) : NULL;
    size_t whole = point ? (size_t)(point - s.ptr) : s.len;
    uint64_t dollars, part = 0;
    enum err e = text_uint((struct span){s.ptr, whole}, 0, 1000000000, &dollars);
    if (e != OK)
        return e;
    if (point) {
        struct span decimals = {point + 1, s.len - whole - 1};
        if (decimals.len > 6)
            return ERR_RANGE;
        if ((e = digits(decimals, &part)) != OK)
            return e;
        for (size_t i = decimals.len; i < 6; i++)
            part *= 10;
    }
    *micro = (int64_t)(dollars * 1000000 + part);
    return OK;
}

static bool name_byte(char c)
{
    return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-';
}

static size_t encoded_size(struct span s, size_t i)
{
    return name_byte(s.ptr[i]) && !(i == 0 && s.ptr[i] == '.') ? 1 : 3;
}

// How many bytes of `s` fit, encoded, into `room`; never a part of an escape.
static size_t fitting(struct span s, size_t room)
{
    size_t i = 0;
    for (size_t size; i < s.len && (size = encoded_size(s, i)) <= room; i++)
        room -= size;
    return i;
}

#define CUT_SIZE \
    17 // '~' and 16 hex digits; '~' itself is always encoded, so no uncut name
       // ends like a cut one

void text_file_name(struct buf *out, struct span s, size_t limit)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = fitting(s, limit);
    bool cut = n < s.len;
    if (cut)
        n = fitting(s, limit > CUT_SIZE ? limit - CUT_SIZE : 0);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (encoded_size(s, i) == 1)
            buf_add_byte(out, s.ptr[i]);
        else
            buf_add(out, (struct span){(char[]){'%', hex[c >> 4], hex[c & 15]}, 3});
    }
    if (!cut)
        return;
    uint8_t d[DIGEST_SIZE];
    char tail[CUT_SIZE];
    digest_of(s, d);
    digest_hex(d, 8, tail);
    buf_add_byte(out, '~');
    buf_add_str(out, tail);
}

// C0, DEL, and C1 (U+0080 to U+009F, of which terminals obey some), whose second byte then
// stands alone and is escaped too.
static bool control(const unsigned char *p)
{
    return *p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0);
}

void text_show(struct buf *out, struct span s, size_t limit)
{
    for (size_t i = 0; i < s.len;) {
        const unsigned char *p = (const unsigned char *)s.ptr + i;
        size_t len = sequence(p, s.len - i);
        if (i + (len ? len : 1) > limit) {
            buf_add_str(out, "…");
            return;
        }
        if (len == 0 || control(p)) {
            buf_addf(out, "\\x%02x", *p);
            i++;
        } else {
            buf_add(out, (struct span){s.ptr + i, len});
            i += len;
        }
    }
}

void text_redact(struct buf *b, struct span secret)
{
    if (secret.len < 6 || b->len == 0 || !memmem(b->ptr, b->len, secret.ptr, secret.len))
        return;
    struct buf clean = {.max = b->max};
    const char *from = b->ptr, *end = b->ptr + b->len, *hit;
    while ((hit = memmem(from, (size_t)(end - from), secret.ptr, secret.len))) {
        buf_add(&clean, (struct span){from, (size_t)(hit - from)});
        buf_add_str(&clean, "[redacted]");
        from = hit + secret.len;
    }
    buf_add(&clean, (struct span){from, (size_t)(end - from)});
    if (b->err)
        clean.err = b->err; // the first failure stays
    buf_free(b);
    *b = clean;
}
