// scene.c - see scene.h.
#include "emulator/scene.h"

#include <stdbool.h>
#include <string.h>

#define SHAPES 5

static void bar(struct image_canvas *c, uint32_t y, uint32_t x0, uint32_t x1, uint32_t colour)
{
    uint8_t *p = c->rgb + ((size_t)y * c->w + x0) * 3;
    for (uint32_t x = x0; x < x1; x++, p += 3) {
        p[0] = (uint8_t)(colour >> 16);
        p[1] = (uint8_t)(colour >> 8);
        p[2] = (uint8_t)colour;
    }
}

static void box(struct image_canvas *c, uint32_t x0, uint32_t y0, uint32_t x1, uint32_t y1,
                uint32_t colour)
{
    x1 = x1 < c->w ? x1 : c->w;
    y1 = y1 < c->h ? y1 : c->h;
    if (x0 >= x1 || y0 >= y1)
        return;
    bar(c, y0, x0, x1, colour);
    for (uint32_t y = y0 + 1; y < y1; y++)
        memcpy(c->rgb + ((size_t)y * c->w + x0) * 3, c->rgb + ((size_t)y0 * c->w + x0) * 3,
               (size_t)(x1 - x0) * 3);
}

static void disc(struct image_canvas *c, int64_t cx, int64_t cy, int64_t r, uint32_t colour)
{
    for (int64_t y = cy - r < 0 ? 0 : cy - r; y <= cy + r && y < c->h; y++) {
        int64_t half = 0;
        while ((half + 1) * (half + 1) + (y - cy) * (y - cy) <= r * r)
            half++;
        int64_t x0 = cx - half < 0 ? 0 : cx - half, x1 = cx + half + 1;
        x1 = x1 < c->w ? x1 : c->w;
        if (x0 < x1)
            bar(c, (uint32_t)y, (uint32_t)x0, (uint32_t)x1, colour);
    }
}

// A colour of middling brightness from three bytes.
static uint32_t colour_of(const uint8_t *b)
{
    return (uint32_t)(64 + b[0] / 2) << 16 | (uint32_t)(64 + b[1] / 2) << 8 |
           (uint32_t)(64 + b[2] / 2);
}

static void shapes(struct image_canvas *c, const uint8_t *look)
{
    uint32_t side = c->w < c->h ? c->w : c->h;
    for (unsigned i = 0; i < SHAPES; i++) {
        const uint8_t *b = look + 3 + i * 5;
        uint32_t x = c->w * b[0] / 256, y = c->h * b[1] / 256,
                 r = side / 12 + side * b[2] / 900;
        uint32_t colour = colour_of((const uint8_t[]){b[3], b[4], (uint8_t)(b[3] ^ b[2])});
        if (b[4] & 1)
            disc(c, x, y, r, colour);
        else
            box(c, x, y, x + 2 * r, y + r, colour);
    }
}

// The next line: as many words as fit in `columns`, at least a part of one.
static struct span next_line(struct span *rest, size_t columns)
{
    while (rest->len && *rest->ptr == ' ')
        *rest = (struct span){rest->ptr + 1, rest->len - 1};
    size_t letters = 0, n = 0, fit = 0;
    bool ended = false;
    for (; n < rest->len && letters <= columns; n++) {
        unsigned char ch = (unsigned char)rest->ptr[n];
        if (ch == '\n' && (ended = true))
            break;
        if (ch == ' ')
            fit = n;
        letters += (ch & 0xc0) != 0x80; // not a continuation byte
        if (letters > columns)
            break;
    }
    size_t take = ended || n == rest->len || fit == 0 ? n : fit;
    struct span line = {rest->ptr, take};
    take += ended && take < rest->len;
    *rest = (struct span){rest->ptr + take, rest->len - take};
    return line;
}

static size_t count_lines(struct span words, size_t columns, size_t most)
{
    size_t n = 0;
    while (words.len && n <= most) {
        next_line(&words, columns);
        n++;
    }
    return n;
}

// The largest lettering with which the words fill at most two thirds of the height.
static unsigned lettering(const struct image_canvas *c, struct span words)
{
    for (unsigned scale = 4; scale > 1; scale--) {
        size_t columns = c->w * 9 / 10 / (IMAGE_FONT_W * scale);
        size_t most = c->h * 2 / 3 / (IMAGE_FONT_H * scale);
        if (columns >= 14 && count_lines(words, columns, most) <= most)
            return scale;
    }
    return 1;
}

static void write_words(struct image_canvas *c, struct span words)
{
    unsigned scale = lettering(c, words);
    uint32_t step = IMAGE_FONT_H * scale, margin = c->w / 20;
    size_t columns = c->w * 9 / 10 / (IMAGE_FONT_W * scale), most = c->h * 2 / 3 / step;
    if (columns == 0 || most == 0 || words.len == 0)
        return;
    size_t lines = count_lines(words, columns, most);
    lines = lines < most ? lines : most;
    uint32_t height = (uint32_t)lines * step, top = (c->h - height) / 2;
    box(c, margin / 2, top - step / 2, c->w - margin / 2, top + height + step / 2, 0xffffff);
    for (size_t i = 0; i < lines; i++)
        image_letter(c, (int32_t)margin, (int32_t)(top + i * step), scale, 0x101010,
                     next_line(&words, columns));
}

void scene_draw(struct image_canvas *c, const uint8_t *look, struct span words,
                struct span note)
{
    box(c, 0, 0, c->w, c->h, colour_of(look));
    shapes(c, look);
    write_words(c, words);
    if (c->h > 4 * IMAGE_FONT_H)
        image_letter(c, 4, (int32_t)(c->h - IMAGE_FONT_H - 4), 1, 0xffffff, note);
}
