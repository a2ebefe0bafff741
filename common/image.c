#include "common/image.h"

#include <string.h>

static const struct {
    const char *mime, *extension;
} kinds[] = {
    [IMAGE_UNKNOWN] = {"application/octet-stream", "bin"},
    [IMAGE_PNG] = {"image/png", "png"},
    [IMAGE_JPEG] = {"image/jpeg", "jpg"},
    [IMAGE_WEBP] = {"image/webp", "webp"},
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
