// Writing PNG: 8-bit RGB, rows as they come, so that memory does not grow with the picture's
// height.
#include "common/image.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

// libpng leaves by longjmp, so everything that must survive the jump stands here and not in a
// local variable.
struct image_writer {
    png_structp png;
    png_infop info;
    uint32_t width, height, rows; // rows: that were written
    struct buf chunk;             // the iTXt being put together
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
    struct image_writer *w = png_get_io_ptr(png);
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

static void put_texts(struct image_writer *w, const struct image_text *t)
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

static void put_head(struct image_writer *w, int level, const struct image_text *texts)
{
    png_set_write_fn(w->png, w, put, flush);
    png_set_compression_level(w->png, level);
    png_set_IHDR(w->png, w->info, w->width, w->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
    png_write_info(w->png, w->info);
    put_texts(w, texts);
}

static enum err begin(struct image_writer *w, int level, const struct image_text *texts)
{
    w->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, give_up, ignore);
    w->info = w->png ? png_create_info_struct(w->png) : NULL;
    if (!w->info)
        return ERR_NOMEM;
    if (setjmp(png_jmpbuf(w->png)) != 0)
        return w->err;
    put_head(w, level, texts);
    return OK;
}

enum err image_writer_open(FILE *f, uint32_t width, uint32_t height, int level,
                           const struct image_text *texts, struct image_writer **out)
{
    if (!width || !height || level < 0 || level > 9)
        return ERR_RANGE;
    if (width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE)
        return ERR_TOOBIG;
    struct image_writer *w = calloc(1, sizeof *w);
    if (!w)
        return ERR_NOMEM;
    *w = (struct image_writer){.width = width,
                               .height = height,
                               .chunk = {.max = 16u << 20},
                               .f = f,
                               .err = ERR_NOMEM};
    enum err e = begin(w, level, texts);
    if (e == OK)
        *out = w;
    else
        image_writer_free(w);
    return e;
}

static void put_rows(struct image_writer *w, const uint8_t *rgb, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++, w->rows++)
        png_write_row(w->png, rgb + 3 * (size_t)i * w->width);
}

enum err image_writer_rows(struct image_writer *w, const uint8_t *rgb, uint32_t n)
{
    if (n > w->height - w->rows)
        return ERR_RANGE;
    if (setjmp(png_jmpbuf(w->png)) != 0)
        return w->err;
    put_rows(w, rgb, n);
    return OK;
}

enum err image_writer_end(struct image_writer *w)
{
    if (w->rows != w->height)
        return ERR_ORDER;
    if (setjmp(png_jmpbuf(w->png)) != 0)
        return w->err;
    png_write_end(w->png, NULL);
    return fflush(w->f) == 0 ? OK : file_err(errno);
}

void image_writer_free(struct image_writer *w)
{
    if (!w)
        return;
    png_destroy_write_struct(&w->png, &w->info);
    buf_free(&w->chunk);
    free(w);
}
