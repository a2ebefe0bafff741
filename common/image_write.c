// Writing PNG: 8-bit RGB, rows asked for one at a time, so that memory does not grow with the
// picture's height.
#include "common/image.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

// One picture being written. libpng leaves by longjmp, so everything that must survive the jump
// stands here and not in a local variable.
struct writer {
    png_structp png;
    png_infop info;
    uint8_t *row;
    struct buf chunk; // the iTXt being put together
    FILE *f;
    enum err err; // why libpng gave up
};

static void give_up(png_structp png, png_const_charp message)
{
    (void)message;
    png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void put(png_structp png, png_bytep bytes, size_t n)
{
    struct writer *w = png_get_io_ptr(png);
    errno = 0;
    if (fwrite(bytes, 1, n, w->f) == n)
        return;
    w->err = errno ? file_err(errno) : ERR_IO;
    png_longjmp(png, 1);
}

static void flush(png_structp png)
{
    (void)png; // the file is flushed once, at the end
}

// PNG specification 11.3.3.4: keyword, 0, not compressed (0, 0), language tag, 0, translated
// keyword, 0, UTF-8.
static bool itxt(struct buf *chunk, const struct image_text *t)
{
    size_t keyword = strlen(t->keyword);
    if (keyword == 0 || keyword > 79 || (t->text.len && memchr(t->text.ptr, 0, t->text.len)))
        return false;
    buf_clear(chunk);
    buf_add_str(chunk, t->keyword);
    buf_add(chunk, (struct span){"\0\0\0\0", 5});
    buf_add(chunk, t->text);
    return !chunk->err;
}

static void put_texts(struct writer *w, const struct image_text *t)
{
    for (; t && t->keyword; t++) {
        if (!itxt(&w->chunk, t)) {
            w->err = w->chunk.err ? w->chunk.err : ERR_RANGE;
            png_longjmp(w->png, 1);
        }
        png_write_chunk(w->png, (png_const_bytep) "iTXt", (png_const_bytep)w->chunk.ptr,
                        w->chunk.len);
    }
}

static void put_picture(struct writer *w, uint32_t width, uint32_t height, int level,
                        image_row *row, void *ctx, const struct image_text *texts)
{
    png_set_write_fn(w->png, w, put, flush);
    png_set_compression_level(w->png, level);
    png_set_IHDR(w->png, w->info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
    png_write_info(w->png, w->info);
    put_texts(w, texts);
    for (uint32_t y = 0; y < height; y++) {
        row(ctx, y, w->row);
        png_write_row(w->png, w->row);
    }
    png_write_end(w->png, NULL);
}

static void writer_done(struct writer *w)
{
    png_destroy_write_struct(&w->png, &w->info);
    free(w->row);
    buf_free(&w->chunk);
}

static enum err writer_init(struct writer *w, uint32_t width)
{
    w->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, give_up, ignore);
    w->info = w->png ? png_create_info_struct(w->png) : NULL;
    w->row = malloc((size_t)width * 3);
    return w->info && w->row ? OK : ERR_NOMEM;
}

enum err image_write_png(FILE *f, uint32_t width, uint32_t height, int level, image_row *row,
                         void *ctx, const struct image_text *texts)
{
    if (!width || !height || level < 0 || level > 9)
        return ERR_RANGE;
    if (width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE)
        return ERR_TOOBIG;
    struct writer w = {.chunk = {.max = 16u << 20}, .f = f, .err = ERR_NOMEM};
    enum err e = writer_init(&w, width);
    if (!e) {
        if (setjmp(png_jmpbuf(w.png)) == 0) {
            put_picture(&w, width, height, level, row, ctx, texts);
            w.err = OK;
        }
        e = w.err;
    }
    writer_done(&w);
    if (!e && fflush(f) != 0)
        e = file_err(errno);
    return e;
}
