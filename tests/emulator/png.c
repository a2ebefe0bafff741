// png.c - see png.h.
#include "emulator/png.h"

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

static void deflate_to(z_stream *z, struct buf *out, const uint8_t *row, size_t n, int flush)
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

static void add_rows(struct buf *out, const uint8_t *rgb, uint32_t w, uint32_t h,
                     uint32_t times)
{
    size_t n = (size_t)w * times * 3 + 1;
    uint8_t *row = calloc(2, n), *same = row + n;
    z_stream z = {0};
    if (!row || deflateInit2(&z, 1, Z_DEFLATED, 15, 8, Z_RLE) != Z_OK) {
        out->err = ERR_NOMEM;
        free(row);
        return;
    }
    same[0] = FILTER_UP;
    for (uint32_t y = 0; y < h; y++) {
        const uint8_t *from = rgb + (size_t)y * w * 3;
        bool again = y && memcmp(from, from - (size_t)w * 3, (size_t)w * 3) == 0;
        if (!again)
            filter_row(row, from, w, times);
        for (uint32_t i = 0; i < times; i++)
            deflate_to(&z, out, i || again ? same : row, n, Z_NO_FLUSH);
    }
    deflate_to(&z, out, row, 0, Z_FINISH);
    deflateEnd(&z);
    free(row);
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
