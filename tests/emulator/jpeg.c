// jpeg.c - see jpeg.h.
#include "emulator/jpeg.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h> // jpeglib.h needs it
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#define QUALITY 85

struct failure {
    struct jpeg_error_mgr base; // first, so that libjpeg's pointer is also ours
    jmp_buf back;
};

static void fail(j_common_ptr info)
{
    struct failure *f = (struct failure *)info->err;
    longjmp(f->back, 1);
}

static void enlarge(uint8_t *to, const uint8_t *rgb, uint32_t w, uint32_t times)
{
    for (uint32_t x = 0; x < w; x++, rgb += 3)
        for (uint32_t i = 0; i < times; i++, to += 3)
            memcpy(to, rgb, 3);
}

static void compress(struct jpeg_compress_struct *jpeg, const uint8_t *rgb, uint32_t w,
                     uint32_t h, uint32_t times, uint8_t *line)
{
    jpeg->image_width = w * times;
    jpeg->image_height = h * times;
    jpeg->input_components = 3;
    jpeg->in_color_space = JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg->dct_method = JDCT_IFAST;
    jpeg_set_quality(jpeg, QUALITY, TRUE);
    jpeg_start_compress(jpeg, TRUE);
    for (uint32_t y = 0; y < h; y++) {
        JSAMPROW rows[] = {line};
        enlarge(line, rgb + (size_t)y * w * 3, w, times);
        for (uint32_t i = 0; i < times; i++)
            jpeg_write_scanlines(jpeg, rows, 1);
    }
    jpeg_finish_compress(jpeg);
}

// In a function of its own, so that no variable lives across setjmp().
static bool try_compress(struct jpeg_compress_struct *jpeg, const uint8_t *rgb, uint32_t w,
                         uint32_t h, uint32_t times, uint8_t *line)
{
    if (setjmp(((struct failure *)jpeg->err)->back))
        return false;
    compress(jpeg, rgb, w, h, times, line);
    return true;
}

void jpeg_write(struct buf *out, const uint8_t *rgb, uint32_t w, uint32_t h, uint32_t times)
{
    struct jpeg_compress_struct jpeg = {0};
    struct failure failure;
    unsigned char *bytes = NULL; // libjpeg's
    unsigned long n = 0;
    uint8_t *line = malloc((size_t)w * times * 3);
    jpeg.err = jpeg_std_error(&failure.base);
    failure.base.error_exit = fail;
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &n);
    if (!line || !try_compress(&jpeg, rgb, w, h, times, line))
        out->err = ERR_NOMEM; // nothing else fails when memory is written to
    jpeg_destroy_compress(&jpeg);
    buf_add(out, (struct span){(const char *)bytes, n});
    free(bytes);
    free(line);
}
