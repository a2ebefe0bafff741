// Scaling down while decoding: every pixel is added to the box of the small picture it falls
// into, and a box is divided by its number of pixels when its last row has come. One row of
// boxes is enough where the rows come in order; an interlaced picture needs them all.
#include "common/image_private.h"

#include <stdlib.h>

struct scale {
    uint32_t max_w, max_h;
    uint32_t from_w, from_h, w, h;
    uint32_t first, rows; // the boxes' rows `first` .. `first + rows` are in `sums`
    uint64_t *sums;       // three a box
    uint8_t *rgb;
    struct buf *why;
};

// Where the boxes of one side begin: box i has the pixels edge(i) .. edge(i + 1).
static uint32_t edge(uint32_t i, uint32_t from, uint32_t to)
{
    return (uint32_t)(((uint64_t)i * from + to - 1) / to);
}

static uint32_t box_of(uint32_t pixel, uint32_t from, uint32_t to)
{
    return (uint32_t)((uint64_t)pixel * to / from);
}

static uint32_t at_least_1(uint64_t v)
{
    return v ? (uint32_t)v : 1;
}

static void fit(struct scale *s)
{
    s->w = s->from_w;
    s->h = s->from_h;
    if (s->w > s->max_w) {
        s->h = at_least_1(((uint64_t)s->from_h * s->max_w + s->from_w / 2) / s->from_w);
        s->w = s->max_w;
    }
    if (s->h > s->max_h) {
        s->w = at_least_1(((uint64_t)s->from_w * s->max_h + s->from_h / 2) / s->from_h);
        s->h = s->max_h;
        if (s->w > s->max_w)
            s->w = s->max_w;
    }
}

static enum err start(void *ctx, uint32_t w, uint32_t h, bool flat)
{
    struct scale *s = ctx;
    s->from_w = w;
    s->from_h = h;
    fit(s);
    s->rows = flat ? 1 : s->h;
    uint64_t bytes = (uint64_t)s->w * s->rows * 3 * sizeof *s->sums;
    if (bytes > IMAGE_MAX_MEMORY)
        return image_fail(s->why, ERR_TOOBIG, "scaling it would take too much memory");
    s->sums = calloc(1, bytes);
    s->rgb = malloc((size_t)s->w * s->h * 3);
    return s->sums && s->rgb ? OK : image_fail(s->why, ERR_NOMEM, "out of memory");
}

// Writes the box row `y` of the small picture and makes its sums empty.
static void finish_row(struct scale *s, uint32_t y)
{
    uint64_t *sum = s->sums + (size_t)(y - s->first) * s->w * 3;
    uint8_t *out = s->rgb + (size_t)y * s->w * 3;
    uint64_t high = edge(y + 1, s->from_h, s->h) - edge(y, s->from_h, s->h);
    for (uint32_t x = 0; x < s->w; x++) {
        uint64_t n = high * (edge(x + 1, s->from_w, s->w) - edge(x, s->from_w, s->w));
        for (int i = 0; i < 3; i++, sum++, out++) {
            *out = (uint8_t)((*sum + n / 2) / n);
            *sum = 0;
        }
    }
}

static enum err add(void *ctx, const struct image_pixels *p)
{
    struct scale *s = ctx;
    uint32_t y = box_of(p->y, s->from_h, s->h);
    for (; s->rows == 1 && s->first < y; s->first++)
        finish_row(s, s->first);
    uint64_t *row = s->sums + (size_t)(y - s->first) * s->w * 3;
    const uint8_t *from = p->rgba;
    uint32_t box = box_of(p->x, s->from_w, s->w), next = edge(box + 1, s->from_w, s->w);
    for (uint32_t i = 0, x = p->x; i < p->n; i++, x += p->dx, from += 4) {
        while (x >= next)
            next = edge(++box + 1, s->from_w, s->w);
        uint64_t *sum = row + 3 * (size_t)box;
        uint32_t alpha = from[3];
        for (size_t c = 0; c < 3; c++) // over white
            sum[c] +=
                alpha == 255 ? from[c] : (from[c] * alpha + 255 * (255 - alpha) + 127) / 255;
    }
    return OK;
}

enum err image_thumbnail(FILE *f, uint32_t max_w, uint32_t max_h, uint8_t **rgb, uint32_t *w,
                         uint32_t *h, struct buf *why)
{
    if (!max_w || !max_h)
        return image_fail(why, ERR_RANGE, "no room for a thumbnail");
    struct scale s = {.max_w = max_w, .max_h = max_h, .why = why};
    struct image_sink sink = {start, add, &s};
    struct image_info info;
    enum err e = image_read(f, IMAGE_CHECK_FULL, &sink, &info, why);
    for (uint32_t y = s.first; e == OK && y < s.first + s.rows; y++)
        finish_row(&s, y);
    free(s.sums);
    if (e != OK) {
        free(s.rgb);
        return e;
    }
    *rgb = s.rgb;
    *w = s.w;
    *h = s.h;
    return OK;
}
