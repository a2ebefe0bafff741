#include "client/sheet_draw.h"

#include <string.h>

#include "common/buf.h"
#include "common/image.h"

#define CELL        192u // pixels, when nothing else is asked
#define MIN_CELL    32u
#define MAX_CELL    1024u
#define MAX_COLUMNS 48
#define GAP         12u // around and between the cells
#define LABEL       (IMAGE_FONT_H + 8u)
#define BACKGROUND  0x1b1d21u
#define FRAME       0x26292fu // behind a picture that does not fill its cell
#define GREY        0x3a3d44u // a cell without a picture
#define TEXT        0xc9ccd2u
#define PALE        0x9a9ea8u

// --- Layout ----------------------------------------------------------------------------------

// As many columns as make the sheet about as wide as high.
static uint32_t choose_columns(uint32_t cells, uint32_t cell)
{
    uint32_t n = 1;
    while (n < MAX_COLUMNS && n < cells &&
           (uint64_t)n * (cell + GAP) < (uint64_t)((cells + n - 1) / n) * (cell + GAP + LABEL))
        n++;
    return n;
}

static uint32_t choose_cell(uint32_t cells)
{
    return cells > 400 ? CELL / 2 : cells > 100 ? CELL * 2 / 3 : CELL;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

enum err sheet_lay_out(struct sheet_layout *l, uint32_t cells, uint32_t columns, uint32_t cell)
{
    if (!cell)
        cell = choose_cell(cells);
    cell = cell < MIN_CELL ? MIN_CELL : least(cell, MAX_CELL);
    columns = columns ? columns : choose_columns(cells, cell);
    columns = least(least(columns, (IMAGE_MAX_SIDE - GAP) / (cell + GAP)), cells);
    columns += columns == 0; // of no cells
    *l = (struct sheet_layout){.cells = cells,
                               .columns = columns,
                               .rows = (cells + columns - 1) / columns,
                               .cell = cell,
                               .row_height = GAP + cell + LABEL,
                               .width = GAP + columns * (cell + GAP)};
    l->height = l->rows * l->row_height + GAP;
    return l->height > IMAGE_MAX_SIDE ? ERR_TOOBIG : OK;
}

// --- Drawing ---------------------------------------------------------------------------------

static void fill(struct image_canvas *c, uint32_t x, uint32_t y, uint32_t w, uint32_t h,
                 uint32_t colour)
{
    for (uint32_t row = y; row < y + h && row < c->h; row++) {
        uint8_t *p = c->rgb + 3 * ((size_t)row * c->w + x);
        for (uint32_t i = 0; i < w && x + i < c->w; i++, p += 3) {
            p[0] = (uint8_t)(colour >> 16);
            p[1] = (uint8_t)(colour >> 8);
            p[2] = (uint8_t)colour;
        }
    }
}

// The longest beginning of `s` of at most `most` characters, not cut within one.
static struct span first_letters(struct span s, size_t most)
{
    size_t n = 0, at = 0;
    for (; at < s.len; at++)
        if (((unsigned char)s.ptr[at] & 0xc0) != 0x80 && n++ == most)
            break;
    return (struct span){s.ptr, at};
}

static size_t letters(struct span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

// Centred between x and x + w; what is too long ends with two dots.
static void write_centred(struct image_canvas *c, uint32_t x, uint32_t y, uint32_t w,
                          uint32_t colour, struct span s)
{
    size_t most = w / IMAGE_FONT_W, n = letters(s);
    struct buf text = {.max = 4096};
    if (n > most && most > 2) {
        buf_add(&text, first_letters(s, most - 2));
        buf_add_str(&text, "..");
        n = most;
    } else {
        buf_add(&text, first_letters(s, most));
    }
    uint32_t from = x + (w - (uint32_t)(n < most ? n : most) * IMAGE_FONT_W) / 2;
    image_letter(c, (int32_t)from, (int32_t)y, 1, colour, buf_span(&text));
    buf_free(&text);
}

static void draw_picture(const struct sheet_layout *l, const struct sheet_cell *cell,
                         struct image_canvas *c, uint32_t x, uint32_t y)
{
    fill(c, x, y, l->cell, l->cell, FRAME);
    x += (l->cell - cell->w) / 2;
    y += (l->cell - cell->h) / 2;
    for (uint32_t row = 0; row < cell->h; row++)
        memcpy(c->rgb + 3 * ((size_t)(y + row) * c->w + x),
               cell->rgb + 3 * (size_t)row * cell->w, 3 * (size_t)cell->w);
}

static void draw_cell(const struct sheet_layout *l, const struct sheet_cell *cell,
                      struct image_canvas *c, uint32_t x)
{
    if (cell->rgb) {
        draw_picture(l, cell, c, x, GAP);
    } else {
        fill(c, x, GAP, l->cell, l->cell, GREY);
        write_centred(c, x + 4, GAP + (l->cell - IMAGE_FONT_H) / 2, l->cell - 8, PALE,
                      span_of(cell->instead ? cell->instead : ""));
    }
    write_centred(c, x, GAP + l->cell + 4, l->cell, TEXT,
                  span_of(cell->label ? cell->label : ""));
}

void sheet_draw_row(const struct sheet_layout *l, const struct sheet_cell *cells, uint32_t n,
                    uint8_t *rgb)
{
    struct image_canvas c = {rgb, l->width, l->row_height};
    fill(&c, 0, 0, c.w, c.h, BACKGROUND);
    for (uint32_t i = 0; i < n; i++)
        draw_cell(l, &cells[i], &c, GAP + i * (l->cell + GAP));
}

uint32_t sheet_foot(const struct sheet_layout *l)
{
    return l->height - l->rows * l->row_height;
}

void sheet_draw_foot(const struct sheet_layout *l, uint8_t *rgb)
{
    struct image_canvas c = {rgb, l->width, sheet_foot(l)};
    fill(&c, 0, 0, c.w, c.h, BACKGROUND);
}
