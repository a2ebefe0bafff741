// The pixels of a PNG file, by libpng's progressive reader: rows come as the bytes do. An
// interlaced picture comes pass by pass; as nobody asks libpng to fill the gaps, it keeps one
// row and never the picture.
#include "common/image_private.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>

struct png_decoder {
    png_structp png;
    png_infop info;
    const struct image_sink *sink;
    uint32_t width, height;
    uint64_t rows, rows_expected; // of all passes together
    bool interlaced, ended;
    enum err err; // why the decoding stopped
    struct buf *why;
};

static _Noreturn void stop(png_structp png, enum err e)
{
    struct png_decoder *d = png_get_error_ptr(png);
    d->err = e;
    png_longjmp(png, 1);
}

// A warning is an error too: libpng only warns of pixels cut short or with too much behind.
static void complain(png_structp png, png_const_charp message)
{
    struct png_decoder *d = png_get_error_ptr(png);
    if (d->err == OK) {
        d->err = ERR_FORMAT;
        if (d->why)
            buf_addf(d->why, "PNG: %s", message);
    }
    png_longjmp(png, 1);
}

static png_voidp allocate(png_structp png, png_alloc_size_t size)
{
    struct png_decoder *d = png_get_mem_ptr(png);
    void *p = malloc(size);
    if (!p)
        d->err = ERR_NOMEM;
    return p;
}

static void release(png_structp png, png_voidp p)
{
    (void)png;
    free(p);
}

static uint64_t rows_of_passes(uint32_t w, uint32_t h)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < PNG_PASSES; i++)
        if (w > png_passes[i].x) // else the pass is empty
            sum += png_pass_side(h, png_passes[i].y, png_passes[i].dy);
    return sum;
}

static void on_info(png_structp png, png_infop info)
{
    struct png_decoder *d = png_get_progressive_ptr(png);
    d->width = png_get_image_width(png, info);
    d->height = png_get_image_height(png, info);
    d->interlaced = png_get_interlace_type(png, info) != PNG_INTERLACE_NONE;
    d->rows_expected = d->interlaced ? rows_of_passes(d->width, d->height) : d->height;
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_gray_to_rgb(png);
    png_set_add_alpha(png, 0xff, PNG_FILLER_AFTER);
    enum err e = d->sink->start(d->sink->ctx, d->width, d->height, !d->interlaced);
    if (e != OK)
        stop(png, e);
    png_start_read_image(png);
}

static void on_row(png_structp png, png_bytep row, png_uint_32 y, int pass)
{
    struct png_decoder *d = png_get_progressive_ptr(png);
    d->rows++;
    struct image_pixels p = {.rgba = row, .n = d->width, .y = y, .dx = 1};
    if (d->interlaced) {
        const struct png_pass *at = &png_passes[pass];
        p.n = png_pass_side(d->width, at->x, at->dx);
        p.x = at->x;
        p.y = at->y + y * at->dy;
        p.dx = at->dx;
    }
    enum err e = d->sink->pixels(d->sink->ctx, &p);
    if (e != OK)
        stop(png, e);
}

static void on_end(png_structp png, png_infop info)
{
    struct png_decoder *d = png_get_progressive_ptr(png);
    (void)info;
    d->ended = true;
}

struct png_decoder *png_decoder_new(const struct image_sink *sink, struct buf *why)
{
    struct png_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->sink = sink;
    d->why = why;
    d->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, d, complain, complain, d, allocate,
                                      release);
    d->info = d->png ? png_create_info_struct(d->png) : NULL;
    if (!d->info) {
        png_decoder_free(d);
        return NULL;
    }
    png_set_user_limits(d->png, IMAGE_MAX_SIDE, IMAGE_MAX_SIDE);
    // As forgiving as the check is of a stream that lies about its window.
    png_set_option(d->png, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
    // The walker checks every CRC; once is enough.
    png_set_crc_action(d->png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
    png_set_progressive_read_fn(d->png, d, on_info, on_row, on_end);
    return d;
}

enum err png_decoder_feed(struct png_decoder *d, uint8_t *bytes, size_t n)
{
    if (d->err != OK)
        return d->err;
    if (setjmp(png_jmpbuf(d->png)) == 0)
        png_process_data(d->png, d->info, bytes, n);
    return d->err;
}

bool png_decoder_whole(const struct png_decoder *d)
{
    return d->ended && d->rows == d->rows_expected;
}

void png_decoder_free(struct png_decoder *d)
{
    if (!d)
        return;
    png_destroy_read_struct(&d->png, &d->info, NULL);
    free(d);
}
