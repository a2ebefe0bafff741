// The pixel data of a PNG file, taken as rows of bytes: inflated, each row's filter looked at,
// the rows of every pass counted. Undoing the filters can neither fail nor be seen to fail, so
// a check leaves it out, and costs half of what decoding does.
#include <stdlib.h>

#include "common/image_private.h"
#include "common/inflate.h"

#define MAX_FILTER 4

struct png_rows {
    struct inflate *data;
    uint32_t w, h;
    unsigned bits;   // of a pixel
    bool interlaced; // else the last pass is the only one, and has all pixels
    unsigned pass;   // under way; PNG_PASSES: all rows have come
    uint32_t rows;   // of the pass still to begin
    uint64_t row;    // bytes of a row of the pass, without its filter
    uint64_t left;   // of the one under way
    struct buf *why;
    bool told; // in `why`
};

const struct png_pass png_passes[PNG_PASSES] = {
    {0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
    {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2},
};

uint32_t png_pass_side(uint32_t side, uint32_t first, uint32_t step)
{
    return side > first ? (side - first + step - 1) / step : 0;
}

// --- Rows ------------------------------------------------------------------------------------

static void size_of_pass(struct png_rows *r)
{
    static const struct png_pass whole = {0, 0, 1, 1};
    const struct png_pass *p = r->interlaced ? &png_passes[r->pass] : &whole;
    uint32_t w = png_pass_side(r->w, p->x, p->dx);
    r->row = ((uint64_t)w * r->bits + 7) / 8;
    r->rows = w ? png_pass_side(r->h, p->y, p->dy) : 0;
}

// To the next pass that has rows.
static void next_pass(struct png_rows *r)
{
    while (r->rows == 0 && ++r->pass < PNG_PASSES)
        size_of_pass(r);
}

static enum err wrong(struct png_rows *r, const char *words)
{
    r->told = true;
    return image_fail(r->why, ERR_FORMAT, words);
}

static enum err begin_row(struct png_rows *r, uint8_t filter)
{
    if (r->pass == PNG_PASSES)
        return wrong(r, "PNG: more rows than there should be");
    if (filter > MAX_FILTER)
        return wrong(r, "PNG: a row with an unknown filter");
    r->left = r->row;
    r->rows--;
    return OK;
}

static enum err count(void *ctx, const uint8_t *p, size_t n)
{
    struct png_rows *r = ctx;
    while (n > 0) {
        if (r->left == 0) {
            enum err e = begin_row(r, *p++);
            if (e != OK)
                return e;
            n--;
        }
        size_t k = n < r->left ? n : (size_t)r->left;
        p += k;
        n -= k;
        r->left -= k;
        if (r->left == 0)
            next_pass(r);
    }
    return OK;
}

// --- Bytes -----------------------------------------------------------------------------------

static uint64_t all_rows(const struct png_rows *r)
{
    struct png_rows p = *r;
    uint64_t sum = 0;
    while (p.pass < PNG_PASSES) {
        size_of_pass(&p);
        sum += (p.row + 1) * p.rows;
        p.pass++;
    }
    return sum;
}

struct png_rows *png_rows_new(const uint8_t *header, struct buf *why)
{
    static const unsigned channels[] = {[0] = 1, [2] = 3, [3] = 1, [4] = 2, [6] = 4};
    struct png_rows *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->w = image_be32(header);
    r->h = image_be32(header + 4);
    r->bits = header[8] * channels[header[9]];
    r->interlaced = header[12] != 0;
    r->pass = r->interlaced ? 0 : PNG_PASSES - 1;
    r->why = why;
    size_of_pass(r);
    if ((r->data = inflate_new(all_rows(r), count, r)))
        return r;
    free(r);
    return NULL;
}

// The rows have said for themselves what is wrong with them.
static enum err say(const struct png_rows *r, enum err e)
{
    if (e == OK || r->told)
        return e;
    return image_fail(r->why, e,
                      e == ERR_NOMEM ? "out of memory" : "PNG: pixels that cannot be inflated");
}

enum err png_rows_feed(struct png_rows *r, const uint8_t *bytes, size_t n)
{
    return say(r, inflate_feed(r->data, bytes, n));
}

enum err png_rows_end(struct png_rows *r)
{
    enum err e = say(r, inflate_end(r->data));
    if (e == OK && (r->pass < PNG_PASSES || r->left > 0))
        return image_fail(r->why, ERR_FORMAT, "PNG: rows missing");
    return e;
}

void png_rows_free(struct png_rows *r)
{
    if (!r)
        return;
    inflate_free(r->data);
    free(r);
}
