// test_inflate.c - zlib streams: whole in whatever pieces, at once or as they come, and refused
// by both ways alike.
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/buf.h"
#include "common/inflate.h"
#include "unit/test.h"

#define BYTES   700
#define IT_LIES (INFLATE_AT_ONCE + 1u) // bytes to expect, so that they come through zlib

struct taken {
    struct buf bytes;
    size_t stop; // says no at so many
};

static enum err take(void *ctx, const uint8_t *bytes, size_t n)
{
    struct taken *t = ctx;
    buf_add(&t->bytes, (struct span){(const char *)bytes, n});
    return t->stop && t->bytes.len >= t->stop ? ERR_LIMIT : OK;
}

static void fill(uint8_t *out, size_t n)
{
    uint32_t x = 7;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        out[i] = (uint8_t)(x >> 29 | (i / 16 & 7) << 4);
    }
}

// That comes again after `period` bytes.
static void noise(uint8_t *out, size_t n, size_t period)
{
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++)
        out[i] = i < period ? (uint8_t)((x = x * 1664525 + 1013904223) >> 24) : out[i - period];
}

static struct buf packed(const uint8_t *bytes, size_t n, int window)
{
    struct buf b = {.max = 16u << 20};
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&z, n);
    z.next_out = (Bytef *)buf_room(&b, room);
    z.avail_out = (uInt)room;
    z.next_in = (z_const Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)n;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    buf_added(&b, z.total_out);
    deflateEnd(&z);
    return b;
}

static enum err unpack(struct span s, size_t piece, uint64_t expected, struct taken *t)
{
    enum err e = OK;
    struct inflate *i = inflate_new(expected, take, t);
    assert_non_null(i);
    t->bytes.max = 16u << 20;
    for (size_t at = 0; at < s.len && e == OK; at += piece)
        e = inflate_feed(i, (const uint8_t *)s.ptr + at,
                         s.len - at < piece ? s.len - at : piece);
    if (e == OK)
        e = inflate_end(i);
    inflate_free(i);
    return e;
}

static void assert_whole(struct span s, size_t piece, uint64_t expected, const uint8_t *bytes,
                         size_t n)
{
    struct taken t = {0};
    assert_int_equal(unpack(s, piece, expected, &t), OK);
    assert_int_equal(t.bytes.len, n);
    assert_memory_equal(t.bytes.ptr, bytes, n);
    buf_free(&t.bytes);
}

static void pieces_do_not_matter(void **state)
{
    (void)state;
    uint8_t bytes[BYTES];
    fill(bytes, BYTES);
    for (int window = 9; window <= 15; window += 6) {
        struct buf b = packed(bytes, BYTES, window);
        for (size_t piece = 1; piece <= b.len; piece++) {
            assert_whole(buf_span(&b), piece, BYTES, bytes, BYTES);
            assert_whole(buf_span(&b), piece, IT_LIES, bytes, BYTES);
        }
        buf_free(&b);
    }
}

static enum err verdict(struct span s, uint64_t expected)
{
    struct taken t = {0};
    enum err e = unpack(s, s.len ? s.len : 1, expected, &t);
    buf_free(&t.bytes);
    return e;
}

static void both_ways_refuse_the_same(void **state)
{
    (void)state;
    uint8_t bytes[BYTES];
    unsigned taken_for_whole =
        0; // the last byte in front of the checksum may have bits to spare
    fill(bytes, BYTES);
    struct buf b = packed(bytes, BYTES, 15);
    for (size_t i = 0; i < 8 * b.len; i++) {
        b.ptr[i / 8] = (char)(b.ptr[i / 8] ^ 1 << i % 8);
        enum err e = verdict(buf_span(&b), BYTES);
        assert_int_equal(verdict(buf_span(&b), IT_LIES), e);
        taken_for_whole += e == OK;
        b.ptr[i / 8] = (char)(b.ptr[i / 8] ^ 1 << i % 8);
    }
    assert_in_range(taken_for_whole, 0, 7);
    for (size_t n = 0; n < b.len; n++) {
        assert_int_equal(verdict((struct span){b.ptr, n}, BYTES), ERR_FORMAT);
        assert_int_equal(verdict((struct span){b.ptr, n}, IT_LIES), ERR_FORMAT);
    }
    buf_add_byte(&b, 0);
    assert_int_equal(verdict(buf_span(&b), BYTES), ERR_FORMAT);
    assert_int_equal(verdict(buf_span(&b), IT_LIES), ERR_FORMAT);
    buf_free(&b);
}

// The first byte says how far back the stream may reach; some writers get it wrong.
static void a_window_that_lies_does_not_matter(void **state)
{
    (void)state;
    size_t n = 200 * BYTES;
    uint8_t *bytes = malloc(n);
    assert_non_null(bytes);
    noise(bytes, n, BYTES);
    struct buf b = packed(bytes, n, 15);
    b.ptr[0] = 0x18; // 512 bytes instead of 32 KB
    b.ptr[1] = (char)(31 - 0x1800 % 31);
    assert_whole(buf_span(&b), b.len, n, bytes, n);
    assert_whole(buf_span(&b), b.len, IT_LIES, bytes, n);
    buf_free(&b);
    free(bytes);
}

static void large_ones_come_in_parts(void **state)
{
    (void)state;
    size_t n = INFLATE_AT_ONCE + 100000;
    uint8_t *bytes = malloc(n);
    assert_non_null(bytes);
    fill(bytes, n);
    struct buf b = packed(bytes, n, 15);
    assert_whole(buf_span(&b), 65536, n, bytes, n);
    assert_whole(buf_span(&b), b.len, n, bytes, n);
    struct taken t = {.stop = 1000}; // told before all has come
    assert_int_equal(unpack(buf_span(&b), 65536, n, &t), ERR_LIMIT);
    assert_true(t.bytes.len < n / 2);
    buf_free(&t.bytes);
    buf_free(&b);
    free(bytes);
}

// More is gathered than there is room for: a stream of noise that claims to be small.
static void what_is_gathered_is_bounded(void **state)
{
    (void)state;
    size_t n = INFLATE_AT_ONCE + 100000;
    uint8_t *bytes = malloc(n);
    assert_non_null(bytes);
    noise(bytes, n, n);
    struct buf b = packed(bytes, n, 15);
    assert_true(b.len > INFLATE_AT_ONCE);
    assert_whole(buf_span(&b), 65536, 10, bytes, n); // to be counted by who takes them
    buf_free(&b);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_do_not_matter),
        cmocka_unit_test(both_ways_refuse_the_same),
        cmocka_unit_test(a_window_that_lies_does_not_matter),
        cmocka_unit_test(large_ones_come_in_parts),
        cmocka_unit_test(what_is_gathered_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
