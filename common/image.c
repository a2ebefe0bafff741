#include "common/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/image_private.h"

static const struct {
    const char *mime, *extension;
    image_reader *read;
} kinds[] = {
    [IMAGE_UNKNOWN] = {"application/octet-stream", "bin", NULL},
    [IMAGE_PNG] = {"image/png", "png", image_png_read},
    [IMAGE_JPEG] = {"image/jpeg", "jpg", image_jpeg_read},
    [IMAGE_WEBP] = {"image/webp", "webp", image_webp_read},
};

enum image_type image_sniff(struct span b)
{
    if (b.len >= 8 && memcmp(b.ptr, "\x89PNG\r\n\x1a\n", 8) == 0)
        return IMAGE_PNG;
    if (b.len >= 3 && memcmp(b.ptr, "\xff\xd8\xff", 3) == 0)
        return IMAGE_JPEG;
    if (b.len >= 12 && memcmp(b.ptr, "RIFF", 4) == 0 && memcmp(b.ptr + 8, "WEBP", 4) == 0)
        return IMAGE_WEBP;
    return IMAGE_UNKNOWN;
}

const char *image_mime(enum image_type t)
{
    return kinds[t].mime;
}

const char *image_extension(enum image_type t)
{
    return kinds[t].extension;
}

enum err image_fail(struct buf *why, enum err e, const char *words)
{
    if (why)
        buf_add_str(why, words);
    return e;
}

enum err image_side_check(uint32_t w, uint32_t h, struct buf *why)
{
    if (w == 0 || h == 0)
        return image_fail(why, ERR_FORMAT, "no width or no height");
    if (w <= IMAGE_MAX_SIDE && h <= IMAGE_MAX_SIDE && (uint64_t)w * h <= IMAGE_MAX_PIXELS)
        return OK;
    if (why)
        buf_addf(why, "%u x %u pixels are more than are taken", w, h);
    return ERR_TOOBIG;
}

uint32_t image_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

enum err image_next(struct image_input *in)
{
    if (in->fresh) {
        in->fresh = false;
        return OK;
    }
    errno = 0;
    in->n = fread(in->block, 1, sizeof in->block, in->f);
    return in->n == 0 && ferror(in->f) ? ERR_IO : OK;
}

static enum err read_input(struct image_input *in, enum image_check how,
                           const struct image_sink *sink, struct image_info *info,
                           struct buf *why)
{
    enum err e = image_next(in);
    if (e != OK)
        return image_fail(why, e, "reading the file failed");
    in->fresh = true;
    info->type = image_sniff((struct span){(const char *)in->block, in->n});
    if (!kinds[info->type].read)
        return image_fail(why, ERR_FORMAT, in->n ? "not a known kind of image" : "empty");
    return kinds[info->type].read(in, how, sink, info, why);
}

enum err image_read(FILE *f, enum image_check how, const struct image_sink *sink,
                    struct image_info *info, struct buf *why)
{
    struct image_input *in = malloc(sizeof *in);
    if (!in)
        return image_fail(why, ERR_NOMEM, "out of memory");
    in->f = f;
    in->fresh = false;
    *info = (struct image_info){0};
    enum err e = read_input(in, how, sink, info, why);
    free(in);
    return e;
}

enum err image_verify(FILE *f, enum image_check how, struct image_info *info, struct buf *why)
{
    return image_read(f, how, NULL, info, why);
}
