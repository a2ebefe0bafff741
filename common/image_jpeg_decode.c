// The pixels of a JPEG file, by libjpeg-turbo, row by row. What the library only warns of
// (codes that mean nothing, data cut short, stray bytes) ends the reading: it would fill the
// gap with grey and go on.
#include "common/image_private.h"

#include <jpeglib.h> // wants stdio.h before it

#include <jerror.h>
#include <setjmp.h>
#include <stdlib.h>

// Everything that must survive a longjmp stands here.
struct decoder {
    struct jpeg_decompress_struct jpeg; // first: the callbacks get its address
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    jmp_buf away;
    struct image_input *in;
    struct jpeg_walk *walk;
    const struct image_sink *sink;
    enum err err;
};

static struct decoder *decoder_of(void *jpeg)
{
    return jpeg;
}

static _Noreturn void stop(struct decoder *d, enum err e)
{
    d->err = e;
    longjmp(d->away, 1);
}

static _Noreturn void stop_saying(struct decoder *d, enum err e, const char *words)
{
    stop(d, image_fail(d->walk->why, e, words));
}

static void on_error(j_common_ptr jpeg)
{
    struct decoder *d = decoder_of(jpeg);
    int code = d->errors.msg_code;
    if (code == JERR_OUT_OF_MEMORY)
        stop_saying(d, ERR_NOMEM, "out of memory");
    if (code == JERR_NO_BACKING_STORE)
        stop_saying(d, ERR_TOOBIG, "JPEG: decoding it would take too much memory");
    char words[JMSG_LENGTH_MAX];
    d->errors.format_message(jpeg, words);
    if (d->walk->why)
        buf_addf(d->walk->why, "JPEG: %s", words);
    stop(d, ERR_FORMAT);
}

static void on_message(j_common_ptr jpeg, int level)
{
    if (level < 0) // a warning
        on_error(jpeg);
}

static void no_output(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void nothing(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

static boolean fill(j_decompress_ptr jpeg)
{
    struct decoder *d = decoder_of(jpeg);
    enum err e = image_next(d->in);
    if (e != OK)
        stop_saying(d, e, "reading the file failed");
    if (d->in->n == 0)
        stop_saying(d, ERR_FORMAT, "JPEG: cut short");
    if ((e = jpeg_walk_feed(d->walk, d->in->block, d->in->n)) != OK)
        stop(d, e);
    d->source.next_input_byte = d->in->block;
    d->source.bytes_in_buffer = d->in->n;
    return TRUE;
}

static void skip(j_decompress_ptr jpeg, long bytes)
{
    struct decoder *d = decoder_of(jpeg);
    size_t n = bytes > 0 ? (size_t)bytes : 0;
    while (n > d->source.bytes_in_buffer) {
        n -= d->source.bytes_in_buffer;
        fill(jpeg);
    }
    d->source.next_input_byte += n;
    d->source.bytes_in_buffer -= n;
}

// A picture in several scans is kept whole as coefficients, two bytes each.
static void check_memory(struct decoder *d)
{
    if (!jpeg_has_multiple_scans(&d->jpeg))
        return;
    uint64_t bytes = 0;
    for (int i = 0; i < d->jpeg.num_components; i++) {
        const jpeg_component_info *c = &d->jpeg.comp_info[i];
        bytes += (uint64_t)c->width_in_blocks * c->height_in_blocks * sizeof(JBLOCK);
    }
    if (bytes > IMAGE_MAX_MEMORY)
        stop_saying(d, ERR_TOOBIG, "JPEG: decoding it would take too much memory");
}

static void for_sink(struct decoder *d)
{
    struct jpeg_decompress_struct *j = &d->jpeg;
    bool four = j->jpeg_color_space == JCS_CMYK || j->jpeg_color_space == JCS_YCCK;
    j->out_color_space = four ? JCS_CMYK : JCS_EXT_RGBA;
    enum err e = d->sink->start(d->sink->ctx, j->image_width, j->image_height, true);
    if (e != OK)
        stop(d, e);
}

// To see whether the file is whole, every code of every scan is read, but the inverse transform
// is made at an eighth of the size: it cannot fail, and is most of the work.
static void for_check(struct decoder *d)
{
    d->jpeg.out_color_space = d->jpeg.jpeg_color_space;
    d->jpeg.scale_num = 1;
    d->jpeg.scale_denom = 8;
    d->jpeg.do_fancy_upsampling = FALSE;
}

// Photoshop's CMYK, the only one met in JPEG files, is stored inverted: 255 is no ink.
static void cmyk_to_rgba(uint8_t *row, size_t n)
{
    for (uint8_t *p = row; n-- > 0; p += 4) {
        for (int i = 0; i < 3; i++)
            p[i] = (uint8_t)(p[i] * p[3] / 255);
        p[3] = 255;
    }
}

static void read_rows(struct decoder *d)
{
    struct jpeg_decompress_struct *j = &d->jpeg;
    JSAMPARRAY row = j->mem->alloc_sarray(
        (j_common_ptr)j, JPOOL_IMAGE, j->output_width * (JDIMENSION)j->output_components, 1);
    while (j->output_scanline < j->output_height) {
        struct image_pixels p = {row[0], j->output_width, 0, j->output_scanline, 1};
        jpeg_read_scanlines(j, row, 1);
        if (!d->sink)
            continue;
        if (j->out_color_space == JCS_CMYK)
            cmyk_to_rgba(row[0], j->output_width);
        enum err e = d->sink->pixels(d->sink->ctx, &p);
        if (e != OK)
            stop(d, e);
    }
}

static void read_picture(struct decoder *d)
{
    struct jpeg_decompress_struct *j = &d->jpeg;
    jpeg_create_decompress(j);
    j->src = &d->source;
    j->mem->max_memory_to_use = IMAGE_MAX_MEMORY + (8L << 20); // coefficients and working rows
    jpeg_read_header(j, TRUE);
    check_memory(d);
    if (d->sink)
        for_sink(d);
    else
        for_check(d);
    j->do_block_smoothing = FALSE;
    jpeg_start_decompress(j);
    read_rows(d);
    jpeg_finish_decompress(j);
}

enum err image_jpeg_decode(struct image_input *in, struct jpeg_walk *w,
                           const struct image_sink *sink)
{
    struct decoder *d = calloc(1, sizeof *d);
    if (!d)
        return image_fail(w->why, ERR_NOMEM, "out of memory");
    d->in = in;
    d->walk = w;
    d->sink = sink;
    d->jpeg.err = jpeg_std_error(&d->errors);
    d->errors.error_exit = on_error;
    d->errors.emit_message = on_message;
    d->errors.output_message = no_output;
    d->source = (struct jpeg_source_mgr){.init_source = nothing,
                                         .fill_input_buffer = fill,
                                         .skip_input_data = skip,
                                         .resync_to_restart = jpeg_resync_to_restart,
                                         .term_source = nothing};
    if (setjmp(d->away) == 0)
        read_picture(d);
    enum err e = d->err;
    jpeg_destroy_decompress(&d->jpeg);
    free(d);
    return e;
}
