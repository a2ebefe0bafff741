// The structure of a PNG file: signature, chunks in their order, the CRC of each, IEND, and
// nothing behind it.
#include "common/image_private.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define TYPE(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))
#define IHDR             TYPE('I', 'H', 'D', 'R')
#define PLTE             TYPE('P', 'L', 'T', 'E')
#define IDAT             TYPE('I', 'D', 'A', 'T')
#define IEND             TYPE('I', 'E', 'N', 'D')
#define TRNS             TYPE('t', 'R', 'N', 'S')
#define CABX             TYPE('c', 'a', 'B', 'X')

static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

struct walk {
    enum { SIGNATURE, HEAD, DATA, CRC, END } at;
    uint8_t field[13]; // signature, head, IHDR's data or CRC as far as they have come
    uint32_t have;     // bytes in it
    uint32_t type, length, left, crc;
    uint8_t colour_type;
    bool header, palette, pixels, pixels_over;
    bool header_only;
    bool look;                   // at the pixel data
    struct png_rows *rows;       // from the header on, if so
    struct png_decoder *decoder; // NULL: nobody takes the pixels
    struct image_info *info;
    struct buf *why;
};

static enum err wrong(struct walk *w, const char *words)
{
    return image_fail(w->why, ERR_FORMAT, words);
}

// What a colour type allows: PNG specification, table 11.1. Bit n of `depths`: n bits.
static bool colour_allowed(uint8_t type, uint8_t depth)
{
    static const uint32_t depths[7] = {
        [0] = 1u << 1 | 1u << 2 | 1u << 4 | 1u << 8 | 1u << 16,
        [2] = 1u << 8 | 1u << 16,
        [3] = 1u << 1 | 1u << 2 | 1u << 4 | 1u << 8,
        [4] = 1u << 8 | 1u << 16,
        [6] = 1u << 8 | 1u << 16,
    };
    return type < 7 && depth <= 16 && depths[type] >> depth & 1;
}

static enum err read_header(struct walk *w)
{
    const uint8_t *f = w->field;
    w->info->width = image_be32(f);
    w->info->height = image_be32(f + 4);
    w->colour_type = f[9];
    if (!colour_allowed(f[9], f[8]) || f[10] || f[11] || f[12] > 1)
        return wrong(w, "PNG: a header that means nothing");
    enum err e = image_side_check(w->info->width, w->info->height, w->why);
    if (e == OK && w->look && !(w->rows = png_rows_new(f, w->why)))
        return image_fail(w->why, ERR_NOMEM, "out of memory");
    return e;
}

static enum err begin_palette(struct walk *w)
{
    if (w->palette || w->pixels || w->colour_type == 0 || w->colour_type == 4)
        return wrong(w, "PNG: a palette where none may be");
    if (w->length == 0 || w->length > 768 || w->length % 3)
        return wrong(w, "PNG: a palette of a wrong length");
    w->palette = true;
    return OK;
}

static enum err begin_pixels(struct walk *w)
{
    if (w->colour_type == 3 && !w->palette)
        return wrong(w, "PNG: no palette");
    if (w->pixels_over)
        return wrong(w, "PNG: pixels in two places");
    w->pixels = true;
    return OK;
}

// A chunk's length and type have come: may it stand here?
static enum err begin_chunk(struct walk *w)
{
    for (int shift = 0; shift < 32; shift += 8) {
        uint32_t letter = (w->type >> shift & 0xff) | 0x20;
        if (letter < 'a' || letter > 'z')
            return wrong(w, "PNG: a chunk without a name");
    }
    if (w->length > INT32_MAX)
        return wrong(w, "PNG: a chunk too long");
    if (w->header != (w->type != IHDR))
        return wrong(w, "PNG: the header is not where it belongs");
    if (w->pixels && w->type != IDAT)
        w->pixels_over = true;
    switch (w->type) {
    case IHDR: return w->length == 13 ? OK : wrong(w, "PNG: a header of a wrong length");
    case PLTE: return begin_palette(w);
    case IDAT: return begin_pixels(w);
    case IEND: return w->pixels && w->length == 0 ? OK : wrong(w, "PNG: no pixels");
    case CABX: w->info->c2pa = true; return OK;
    }
    bool critical = !(w->type >> 24 & 0x20); // the first letter is a capital
    return critical ? wrong(w, "PNG: an unknown chunk that must be understood") : OK;
}

static bool for_decoder(const struct walk *w)
{
    return w->decoder && (w->type == IHDR || w->type == PLTE || w->type == IDAT ||
                          w->type == IEND || w->type == TRNS);
}

static enum err hand_on(struct walk *w, uint8_t *bytes, size_t n)
{
    return for_decoder(w) ? png_decoder_feed(w->decoder, bytes, n) : OK;
}

static enum err hand_on_data(struct walk *w, uint8_t *bytes, size_t n)
{
    if (w->rows && w->type == IDAT)
        return png_rows_feed(w->rows, bytes, n);
    return hand_on(w, bytes, n);
}

// Gathers a field that may lie in two blocks. True when it is whole.
static bool gather(struct walk *w, uint32_t size, uint8_t **p, const uint8_t *end)
{
    while (w->have < size && *p < end)
        w->field[w->have++] = *(*p)++;
    if (w->have < size)
        return false;
    w->have = 0;
    return true;
}

static enum err take_signature(struct walk *w)
{
    if (memcmp(w->field, signature, sizeof signature) != 0)
        return wrong(w, "PNG: a wrong signature");
    w->at = HEAD;
    return w->decoder ? png_decoder_feed(w->decoder, w->field, sizeof signature) : OK;
}

static enum err take_head(struct walk *w)
{
    w->length = w->left = image_be32(w->field);
    w->type = image_be32(w->field + 4);
    w->crc = (uint32_t)crc32(0, w->field + 4, 4);
    w->at = w->left ? DATA : CRC;
    enum err e = begin_chunk(w);
    return e ? e : hand_on(w, w->field, 8);
}

static enum err take_data(struct walk *w, uint8_t **p, const uint8_t *end)
{
    size_t n = (size_t)(end - *p) < w->left ? (size_t)(end - *p) : w->left;
    uint8_t *from = *p;
    if (w->type == IHDR) // looked at as a whole, before libpng sees it
        for (size_t i = 0; i < n; i++)
            w->field[w->length - w->left + i] = from[i];
    w->crc = (uint32_t)crc32(w->crc, from, (uInt)n);
    w->left -= (uint32_t)n;
    *p += n;
    if (w->left == 0)
        w->at = CRC;
    enum err e = OK;
    if (w->type == IHDR && w->left == 0) {
        w->header = true;
        e = read_header(w);
    }
    return e ? e : hand_on_data(w, from, n);
}

static enum err take_crc(struct walk *w)
{
    if (image_be32(w->field) != w->crc)
        return wrong(w, "PNG: a checksum does not match");
    w->at = w->type == IEND || w->header_only ? END : HEAD;
    return hand_on(w, w->field, 4);
}

static enum err walk_feed(struct walk *w, uint8_t *p, size_t n)
{
    uint8_t *end = p + n;
    enum err e = OK;
    while (p < end && e == OK) {
        if (w->at == END)
            return w->header_only ? OK : wrong(w, "PNG: bytes after its end");
        if (w->at == DATA)
            e = take_data(w, &p, end);
        else if (w->at == SIGNATURE && gather(w, sizeof signature, &p, end))
            e = take_signature(w);
        else if (w->at == HEAD && gather(w, 8, &p, end))
            e = take_head(w);
        else if (w->at == CRC && gather(w, 4, &p, end))
            e = take_crc(w);
    }
    return e;
}

static enum err walk_file(struct walk *w, struct image_input *in)
{
    enum err e = OK;
    while (e == OK && !(w->at == END && w->header_only)) {
        e = image_next(in);
        if (e != OK || in->n == 0)
            break;
        e = walk_feed(w, in->block, in->n);
    }
    if (e != OK)
        return e;
    if (w->at != END)
        return wrong(w, "PNG: cut short");
    if (w->rows)
        return png_rows_end(w->rows);
    return !w->decoder || png_decoder_whole(w->decoder) ? OK : wrong(w, "PNG: rows missing");
}

enum err image_png_read(struct image_input *in, enum image_check how,
                        const struct image_sink *sink, struct image_info *info, struct buf *why)
{
    struct walk w = {.info = info,
                     .why = why,
                     .header_only = how == IMAGE_CHECK_NONE,
                     .look = how == IMAGE_CHECK_FULL && !sink};
    if (sink && !(w.decoder = png_decoder_new(sink, why)))
        return ERR_NOMEM;
    enum err e = walk_file(&w, in);
    png_decoder_free(w.decoder);
    png_rows_free(w.rows);
    return e;
}
