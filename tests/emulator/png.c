// png.c - see png.h.
#include "emulator/png.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define FILTER_SUB 1
#define FILTER_UP  2

static void put_be32(char *to, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (char)(v >> (24 - 8 * i));
}

static void add_chunk(struct buf *out, const char *type, struct span data)
{
    char number[4];
    size_t at = out->len + 4;
    put_be32(number, (uint32_t)data.len);
    buf_add(out, (struct span){number, 4});
    buf_add_str(out, type);
    buf_add(out, data);
    if (out->err)
        return;
    put_be32(number, (uint32_t)crc32(0, (const Bytef *)(out->ptr + at), (uInt)data.len + 4));
    buf_add(out, (struct span){number, 4});
}

// The differences from pixel to pixel: zero but where an enlarged pixel begins.
static void filter_row(uint8_t *to, const uint8_t *rgb, uint32_t w, uint32_t times)
{
    uint8_t before[3] = {0};
    *to++ = FILTER_SUB;
    memset(to, 0, (size_t)w * times * 3);
    for (uint32_t x = 0; x < w; x++, to += 3 * times, rgb += 3)
        for (unsigned i = 0; i < 3; i++) {
            to[i] = (uint8_t)(rgb[i] - before[i]);
            before[i] = rgb[i];
        }
}

// The compressed rows under way. A row that is like the one above it is always the same bytes,
// so it is compressed once, by itself, and its compressed form is strung in as often as needed
// (every piece ends on a whole byte). That is sound because runs are the only matches: nothing
// reaches back over a seam, as long as the byte before it is the same with and without the
// strung-in rows.
struct rows {
    struct buf *out;
    z_stream z;
    uLong adler;
    size_t n;              // bytes of a row, with its filter
    uint8_t *row, *same;   // n bytes each
    struct buf same_block; // `same`, compressed
    uLong same_adler;
};

static void deflate_row(z_stream *z, struct buf *out, const uint8_t *row, size_t n, int flush)
{
    z->next_in = (Bytef *)(uintptr_t)row;
    z->avail_in = (uInt)n;
    do {
        char *room = buf_room(out, 16384);
        if (!room)
            return;
        z->next_out = (Bytef *)room;
        z->avail_out = 16384;
        deflate(z, flush);
        buf_added(out, 16384 - z->avail_out);
    } while (z->avail_out == 0);
}

static bool rows_open(struct rows *r, size_t n)
{
    r->n = n;
    r->adler = adler32(0, NULL, 0);
    r->row = calloc(2, n);
    if (!r->row || deflateInit2(&r->z, 1, Z_DEFLATED, -15, 8, Z_RLE) != Z_OK)
        return false;
    r->same = r->row + n;
    r->same[0] = FILTER_UP;
    r->same_adler = adler32(r->adler, r->same, (uInt)n);
    deflate_row(&r->z, &r->same_block, r->same, n, Z_SYNC_FLUSH);
    return deflateReset(&r->z) == Z_OK;
}

static void rows_add(struct rows *r)
{
    deflate_row(&r->z, r->out, r->row, r->n, Z_SYNC_FLUSH);
    r->adler = adler32(r->adler, r->row, (uInt)r->n);
}

static void rows_add_same(struct rows *r, uint32_t times)
{
    for (uint32_t i = 0; i < times; i++) {
        if (r->row[r->n - 1] != 0) // the seam would show
            deflate_row(&r->z, r->out, r->same, r->n, Z_SYNC_FLUSH);
        else
            buf_add(r->out, buf_span(&r->same_block));
        r->adler = adler32_combine(r->adler, r->same_adler, (z_off_t)r->n);
    }
}

static void rows_close(struct rows *r)
{
    char adler[4];
    deflate_row(&r->z, r->out, NULL, 0, Z_FINISH);
    put_be32(adler, (uint32_t)r->adler);
    buf_add(r->out, (struct span){adler, 4});
}

static void add_rows(struct buf *out, const uint8_t *rgb, uint32_t w, uint32_t h,
                     uint32_t times)
{
    struct rows r = {.out = out, .same_block = {.max = 1u << 20}};
    buf_add(out, SPAN("\x78\x01")); // zlib's header: deflate, 32 KB, fast
    if (!rows_open(&r, (size_t)w * times * 3 + 1))
        out->err = ERR_NOMEM;
    for (uint32_t y = 0; y < h && !out->err; y++) {
        const uint8_t *from = rgb + (size_t)y * w * 3;
        bool again = y && memcmp(from, from - (size_t)w * 3, (size_t)w * 3) == 0;
        if (!again) {
            filter_row(r.row, from, w, times);
            rows_add(&r);
        }
        rows_add_same(&r, times - !again);
    }
    if (!out->err)
        rows_close(&r);
    deflateEnd(&r.z);
    buf_free(&r.same_block);
    free(r.row);
}

void png_write(struct buf *out, const uint8_t *rgb, uint32_t w, uint32_t h, uint32_t times)
{
    char head[13] = {[8] = 8, [9] = 2}; // 8 bits, RGB
    struct buf rows = {.max = out->max};
    put_be32(head, w * times);
    put_be32(head + 4, h * times);
    buf_add(out, SPAN("\x89PNG\r\n\x1a\n"));
    add_chunk(out, "IHDR", (struct span){head, sizeof head});
    add_rows(&rows, rgb, w, h, times);
    if (rows.err)
        out->err = rows.err;
    add_chunk(out, "IDAT", buf_span(&rows));
    add_chunk(out, "IEND", (struct span){0});
    buf_free(&rows);
}
