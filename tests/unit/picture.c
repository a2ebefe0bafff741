// picture.c - see picture.h.
#include "unit/picture.h"

#include <stdio.h>

#include <jpeglib.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/image.h"
#include "unit/test.h"

FILE *picture_stream(struct span s)
{
    FILE *f = s.len ? fmemopen((void *)(uintptr_t)s.ptr, s.len, "r") : fopen("/dev/null", "r");
    assert_non_null(f);
    return f;
}

void picture_pixel(uint32_t x, uint32_t y, uint8_t rgb[static 3])
{
    rgb[0] = (uint8_t)(x * 7 + y);
    rgb[1] = (uint8_t)(x ^ y);
    rgb[2] = (uint8_t)(y * 5 + 3 * x);
}

static void row_of(uint32_t w, uint32_t y, uint8_t *rgb)
{
    for (uint32_t x = 0; x < w; x++)
        picture_pixel(x, y, rgb + 3 * x);
}

// What a stream wrote, taken over by a buf.
static struct buf taken(char *bytes, size_t n)
{
    struct buf b = {.max = 256u << 20};
    buf_add(&b, (struct span){bytes, n});
    free(bytes);
    assert_int_equal(b.err, OK);
    return b;
}

struct buf picture_png(uint32_t w, uint32_t h)
{
    static const struct image_text texts[] = {{"Title", {"a small test", 12}}, {0}};
    struct image_writer *out;
    char *bytes;
    size_t n;
    FILE *f = open_memstream(&bytes, &n);
    uint8_t *row = malloc(3 * (size_t)w);
    assert_true(f && row);
    assert_int_equal(image_writer_open(f, w, h, 6, texts, &out), OK);
    for (uint32_t y = 0; y < h; y++) {
        row_of(w, y, row);
        assert_int_equal(image_writer_rows(out, row, 1), OK);
    }
    assert_int_equal(image_writer_end(out), OK);
    image_writer_free(out);
    free(row);
    fclose(f);
    return taken(bytes, n);
}

struct buf picture_interlaced(uint32_t w, uint32_t h)
{
    char *bytes;
    size_t n;
    FILE *f = open_memstream(&bytes, &n);
    uint8_t *row = calloc(1, w);
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    assert_true(f && row && png && info);
    png_init_io(png, f);
    png_set_compression_level(png, 1);
    png_set_IHDR(png, info, w, h, 8, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_ADAM7, 0, 0);
    png_write_info(png, info);
    for (int pass = png_set_interlace_handling(png); pass > 0; pass--)
        for (uint32_t y = 0; y < h; y++) {
            memset(row, (int)(y & 0xff), w);
            png_write_row(png, row);
        }
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    free(row);
    fclose(f);
    return taken(bytes, n);
}

struct buf picture_jpeg(uint32_t w, uint32_t h, bool progressive)
{
    struct jpeg_compress_struct j;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long n = 0;
    uint8_t *row = malloc((size_t)w * 3);
    assert_non_null(row);
    j.err = jpeg_std_error(&errors);
    jpeg_create_compress(&j);
    jpeg_mem_dest(&j, &bytes, &n);
    j.image_width = w;
    j.image_height = h;
    j.input_components = 3;
    j.in_color_space = JCS_RGB;
    jpeg_set_defaults(&j);
    if (progressive)
        jpeg_simple_progression(&j);
    jpeg_start_compress(&j, TRUE);
    while (j.next_scanline < h) {
        row_of(w, j.next_scanline, row);
        jpeg_write_scanlines(&j, &row, 1);
    }
    jpeg_finish_compress(&j);
    jpeg_destroy_compress(&j);
    free(row);
    return taken((char *)bytes, n);
}

struct buf picture_webp(uint32_t w, uint32_t h)
{
    uint32_t size = (w - 1) | (h - 1) << 14; // VP8L: 14 bits each
    char f[32] = "RIFF\x18\0\0\0WEBPVP8L\x0c\0\0\0\x2f";
    for (int i = 0; i < 4; i++)
        f[21 + i] = (char)(size >> 8 * i);
    struct buf b = {.max = 64};
    buf_add(&b, (struct span){f, sizeof f});
    return b;
}

static uint32_t be32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void put_be32(char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (char)(v >> (24 - 8 * i));
}

size_t picture_chunk(struct span png, const char *name, unsigned n)
{
    for (size_t at = 8; at + 12 <= png.len; at += 12 + be32(png.ptr + at))
        if (memcmp(png.ptr + at + 4, name, 4) == 0 && n-- == 0)
            return at;
    return SIZE_MAX;
}

void picture_mend(struct buf *png, size_t chunk)
{
    uint32_t n = be32(png->ptr + chunk);
    const Bytef *from = (const Bytef *)png->ptr + chunk + 4;
    put_be32(png->ptr + chunk + 8 + n, (uint32_t)crc32(0, from, n + 4));
}

void picture_insert(struct buf *png, size_t at, const char *name, struct span data)
{
    size_t n = data.len + 12;
    char *room = buf_room(png, n);
    assert_non_null(room);
    buf_added(png, n);
    char *p = png->ptr + at;
    memmove(p + n, p, png->len - n - at);
    put_be32(p, (uint32_t)data.len);
    memcpy(p + 4, name, 4);
    if (data.len)
        memcpy(p + 8, data.ptr, data.len);
    picture_mend(png, at);
}
