// pad.c - see pad.h.
#include "emulator/pad.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "emulator/base64.h"

#define PNG_END   12 // bytes of the IEND chunk
#define CHUNK     12 // a chunk's length, type and CRC
#define JPEG_LEAD 20 // SOI and the JFIF segment that libjpeg writes first
#define COMMENT   4  // an empty JPEG comment

struct pad {
    uint64_t bytes;
    struct pad_pattern png, jpeg;
    size_t n;
    uint32_t *crc; // crc[k] of k whole PNG patterns, k = 0..n
};

static void encode(struct pad_pattern *p)
{
    struct buf text = {.max = sizeof p->base64 + 4};
    base64_add(&text, (struct span){p->bytes, sizeof p->bytes});
    memcpy(p->base64, text.ptr, sizeof p->base64);
    buf_free(&text);
}

// Bytes that compress badly, as an image's do.
static void fill(char *out, size_t n)
{
    uint32_t x = 0x2545f491;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        out[i] = (char)(x >> 24);
    }
}

struct pad *pad_new(uint64_t bytes)
{
    struct pad *p = calloc(1, sizeof *p);
    size_t n = (size_t)(bytes / PAD_PERIOD);
    if (!p || !(p->crc = calloc(n + 1, sizeof *p->crc))) {
        free(p);
        return NULL;
    }
    p->bytes = bytes;
    p->n = n;
    fill(p->png.bytes, PAD_PERIOD);
    memcpy(p->jpeg.bytes, p->png.bytes, PAD_PERIOD);
    memcpy(p->jpeg.bytes, "\xff\xfe\xff\xfd", COMMENT);
    encode(&p->png);
    encode(&p->jpeg);
    uint32_t one = (uint32_t)crc32(0, (const Bytef *)p->png.bytes, PAD_PERIOD);
    for (size_t k = 1; k <= n; k++)
        p->crc[k] = (uint32_t)crc32_combine(p->crc[k - 1], one, PAD_PERIOD);
    return p;
}

void pad_free(struct pad *p)
{
    if (p)
        free(p->crc);
    free(p);
}

static void add_be32(struct buf *b, uint32_t v)
{
    char bytes[4] = {(char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v};
    buf_add(b, (struct span){bytes, 4});
}

// The CRC of the first `size` bytes of the repeated pattern, after `crc`.
static uint32_t pattern_crc(const struct pad *p, uint32_t crc, uint64_t size)
{
    size_t whole = (size_t)(size / PAD_PERIOD), rest = (size_t)(size % PAD_PERIOD);
    crc = (uint32_t)crc32_combine(crc, p->crc[whole], (z_off_t)(whole * PAD_PERIOD));
    return (uint32_t)crc32(crc, (const Bytef *)p->png.bytes, (uInt)rest);
}

// Only the head grows beyond a multiple of three: by zeros, which belong to the chunk.
void pad_png(const struct pad *p, struct buf *file, struct buf *head, uint64_t *pad_size,
             struct buf *tail)
{
    *head = *file;
    *file = (struct buf){.max = file->max};
    *pad_size = 0;
    *tail = (struct buf){.max = 64};
    if (head->err || head->len < PNG_END)
        return;
    size_t drawn = head->len - PNG_END;
    uint64_t missing = p->bytes > head->len + CHUNK + 5 ? p->bytes - head->len - CHUNK : 0;
    if (!missing)
        return;
    size_t lead = (3 - (drawn + 8) % 3) % 3;
    char end[PNG_END];
    memcpy(end, head->ptr + drawn, PNG_END);
    head->len = drawn;
    *pad_size = (missing - lead) / 3 * 3;
    add_be32(head, (uint32_t)(*pad_size + lead));
    buf_add(head, SPAN("faRm")); // ancillary, private, safe to copy
    buf_add(head, (struct span){"\0\0", lead});
    uint32_t crc = (uint32_t)crc32(0, (const Bytef *)(head->ptr + drawn + 4), (uInt)(4 + lead));
    add_be32(tail, pattern_crc(p, crc, *pad_size));
    buf_add(tail, (struct span){end, PNG_END});
}

void pad_jpeg(const struct pad *p, struct buf *file, struct buf *head, uint64_t *pad_size,
              struct buf *tail)
{
    uint64_t comments = p->bytes > file->len ? (p->bytes - file->len) / PAD_PERIOD : 0;
    *pad_size = 0;
    *tail = (struct buf){.max = 64};
    *head = *file;
    *file = (struct buf){.max = file->max};
    if (comments == 0 || head->err || head->len < JPEG_LEAD)
        return;
    *tail = *head;
    *head = (struct buf){.max = 64};
    buf_add(head, (struct span){tail->ptr, JPEG_LEAD});
    buf_add(head, (struct span){"\xff\xfe\0\2", COMMENT}); // 24 bytes: a multiple of three
    buf_drop(tail, JPEG_LEAD);
    *pad_size = comments * PAD_PERIOD;
}

const struct pad_pattern *pad_pattern_png(const struct pad *p)
{
    return &p->png;
}

const struct pad_pattern *pad_pattern_jpeg(const struct pad *p)
{
    return &p->jpeg;
}
