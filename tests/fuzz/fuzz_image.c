// Images. What decodes must pass the lesser checks, too. As no fuzzer guesses a checksum, every
// input is tried a second time with the checksums of its PNG chunks set right.
#include <string.h>
#include <zlib.h>

#include "common/image.h"
#include "fuzz.h"

static enum err verify(const uint8_t *data, size_t size, enum image_check how,
                       struct image_info *info)
{
    struct buf why = {.max = 1000};
    FILE *f = fmemopen((void *)(uintptr_t)data, size, "r");
    FUZZ_CHECK(f);
    enum err e = image_verify(f, how, info, &why);
    FUZZ_CHECK((e == OK) == (why.len == 0));
    buf_free(&why);
    fclose(f);
    return e;
}

static void thumbnail(const uint8_t *data, size_t size, bool whole)
{
    uint8_t *rgb = NULL;
    uint32_t w, h;
    FILE *f = fmemopen((void *)(uintptr_t)data, size, "r");
    FUZZ_CHECK(f);
    enum err e = image_thumbnail(f, 13, 7, &rgb, &w, &h, NULL);
    fclose(f);
    FUZZ_CHECK(whole || e != OK);
    if (e != OK)
        return;
    FUZZ_CHECK(w >= 1 && w <= 13 && h >= 1 && h <= 7);
    free(rgb);
}

static void try(const uint8_t *data, size_t size)
{
    struct image_info full, crc, header;
    enum err e = verify(data, size, IMAGE_CHECK_FULL, &full);
    if (e == OK) {
        FUZZ_CHECK(verify(data, size, IMAGE_CHECK_CRC, &crc) == OK);
        FUZZ_CHECK(verify(data, size, IMAGE_CHECK_NONE, &header) == OK);
        FUZZ_CHECK(full.type == header.type && full.c2pa == crc.c2pa);
        FUZZ_CHECK(full.width == header.width && full.height == header.height);
        FUZZ_CHECK(full.width && full.width <= IMAGE_MAX_SIDE);
    }
    thumbnail(data, size, e == OK);
}

static void mend(uint8_t *p, size_t left)
{
    while (left >= 12) {
        size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (n > left - 12)
            return;
        uint32_t crc = (uint32_t)crc32(0, p + 4, (uInt)n + 4);
        for (int i = 0; i < 4; i++)
            p[8 + n + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        p += n + 12;
        left -= n + 12;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 8) // fmemopen takes no empty buffer, and no image is so short
        return 0;
    try(data, size);
    if (image_sniff((struct span){(const char *)data, size}) == IMAGE_PNG) {
        uint8_t *copy = malloc(size);
        FUZZ_CHECK(copy);
        memcpy(copy, data, size);
        mend(copy + 8, size - 8);
        try(copy, size);
        free(copy);
    }
    return 0;
}
