// The frame of a WebP file (RFC 9649): its size and that of its canvas. Nothing is decoded.
#include "common/image_private.h"

#include <string.h>

#define HEADER 30 // RIFF, size, WEBP, the first chunk's name and size, and where pixels begin

static uint32_t le(const uint8_t *p, int bytes)
{
    uint32_t v = 0;
    while (bytes-- > 0)
        v = v << 8 | p[bytes];
    return v;
}

static bool lossy_size(const uint8_t *h, struct image_info *info)
{
    info->width = le(h + 26, 2) & 0x3fff;
    info->height = le(h + 28, 2) & 0x3fff;
    return memcmp(h + 23, "\x9d\x01\x2a", 3) == 0;
}

static bool lossless_size(const uint8_t *h, struct image_info *info)
{
    uint32_t bits = le(h + 21, 4);
    info->width = (bits & 0x3fff) + 1;
    info->height = (bits >> 14 & 0x3fff) + 1;
    return h[20] == 0x2f;
}

static bool extended_size(const uint8_t *h, struct image_info *info)
{
    info->width = le(h + 24, 3) + 1;
    info->height = le(h + 27, 3) + 1;
    return true;
}

static enum err read_header(const uint8_t *h, struct image_info *info, struct buf *why)
{
    static const struct {
        char name[5];
        bool (*size)(const uint8_t *, struct image_info *);
    } kinds[] = {{"VP8 ", lossy_size}, {"VP8L", lossless_size}, {"VP8X", extended_size}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (memcmp(h + 12, kinds[i].name, 4) == 0 && kinds[i].size(h, info))
            return image_side_check(info->width, info->height, why);
    return image_fail(why, ERR_FORMAT, "WebP: no picture");
}

enum err image_webp_read(struct image_input *in, enum image_check how,
                         const struct image_sink *sink, struct image_info *info,
                         struct buf *why)
{
    if (sink)
        return image_fail(why, ERR_FORMAT, "WebP is not decoded");
    enum err e = image_next(in);
    if (e == OK && in->n < HEADER)
        e = image_fail(why, ERR_FORMAT, "WebP: cut short");
    if (e == OK)
        e = read_header(in->block, info, why);
    if (e != OK || how == IMAGE_CHECK_NONE)
        return e;
    uint64_t size = (uint64_t)le(in->block + 4, 4) + 8, seen = 0;
    while (e == OK && in->n > 0) {
        seen += in->n;
        e = image_next(in);
    }
    if (e == OK && seen != size)
        e = image_fail(why, ERR_FORMAT, "WebP: not of the length it says");
    return e;
}
