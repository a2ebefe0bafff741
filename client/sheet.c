// sheet.c - the contact sheet, one row of cells at a time.
#include "client/sheet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/sheet_list.h"
#include "common/file.h"
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

struct sheet {
    struct sheet_list *list;
    uint32_t cells, columns, rows, cell;
    uint32_t width, height, row_height;
    uint8_t *band; // the pixels of one row of cells, its gap above
    uint32_t band_row;
    uint32_t missing;
    const char *folder;
};

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

static bool draw_picture(const struct sheet *s, const struct sheet_item *item,
                         struct image_canvas *c, uint32_t x, uint32_t y)
{
    uint32_t w, h;
    uint8_t *rgb;
    char *path;
    if (!item->image.len ||
        asprintf(&path, "%s/%.*s", s->folder, (int)item->image.len, item->image.ptr) < 0)
        return false;
    FILE *f = fopen(path, "re");
    free(path);
    if (!f)
        return false;
    enum err e = image_thumbnail(f, s->cell, s->cell, &rgb, &w, &h, NULL);
    fclose(f);
    if (e != OK)
        return false;
    fill(c, x, y, s->cell, s->cell, FRAME);
    x += (s->cell - w) / 2;
    y += (s->cell - h) / 2;
    for (uint32_t row = 0; row < h; row++)
        memcpy(c->rgb + 3 * ((size_t)(y + row) * c->w + x), rgb + 3 * (size_t)row * w,
               3 * (size_t)w);
    free(rgb);
    return true;
}

static void draw_cell(struct sheet *s, uint32_t i, struct image_canvas *c, uint32_t x)
{
    struct sheet_item item;
    if (!sheet_list_get(s->list, i, &item)) {
        item = (struct sheet_item){.status = SPAN("unreadable")};
    }
    if (!draw_picture(s, &item, c, x, GAP)) {
        fill(c, x, GAP, s->cell, s->cell, GREY);
        write_centred(c, x + 4, GAP + (s->cell - IMAGE_FONT_H) / 2, s->cell - 8, PALE,
                      item.image.len ? SPAN("unreadable") : item.status);
        s->missing++;
    }
    write_centred(c, x, GAP + s->cell + 4, s->cell, TEXT, item.id);
}

static void draw_band(struct sheet *s, uint32_t row)
{
    struct image_canvas c = {s->band, s->width, s->row_height};
    fill(&c, 0, 0, c.w, c.h, BACKGROUND);
    for (uint32_t i = 0; i < s->columns; i++) {
        uint32_t cell = row * s->columns + i;
        if (cell < s->cells)
            draw_cell(s, cell, &c, GAP + i * (s->cell + GAP));
    }
    s->band_row = row;
}

static void next_row(void *ctx, uint32_t y, uint8_t *rgb)
{
    struct sheet *s = ctx;
    uint32_t row = y / s->row_height;
    if (row >= s->rows) { // the margin at the foot
        struct image_canvas c = {rgb, s->width, 1};
        fill(&c, 0, 0, s->width, 1, BACKGROUND);
        return;
    }
    if (row != s->band_row)
        draw_band(s, row);
    memcpy(rgb, s->band + 3 * (size_t)(y % s->row_height) * s->width, 3 * (size_t)s->width);
}

// As many columns as make the sheet about as wide as high.
static uint32_t choose_columns(uint32_t cells, uint32_t cell)
{
    uint32_t n = 1;
    while (n < MAX_COLUMNS && n < cells &&
           (uint64_t)n * (cell + GAP) < (uint64_t)((cells + n - 1) / n) * (cell + GAP + LABEL))
        n++;
    return n;
}

static enum err lay_out(struct sheet *s, const struct sheet_options *o)
{
    uint32_t cell = o->cell          ? o->cell
                    : s->cells > 400 ? CELL / 2
                    : s->cells > 100 ? CELL * 2 / 3
                                     : CELL;
    s->cell = cell < MIN_CELL ? MIN_CELL : cell > MAX_CELL ? MAX_CELL : cell;
    uint32_t most = (IMAGE_MAX_SIDE - GAP) / (s->cell + GAP);
    s->columns = o->columns ? o->columns : choose_columns(s->cells, s->cell);
    if (s->columns > most)
        s->columns = most;
    if (s->columns > s->cells)
        s->columns = s->cells;
    s->rows = (s->cells + s->columns - 1) / s->columns;
    s->row_height = GAP + s->cell + LABEL;
    s->width = GAP + s->columns * (s->cell + GAP);
    s->height = s->rows * s->row_height + GAP;
    s->band_row = UINT32_MAX;
    if (s->height > IMAGE_MAX_SIDE)
        return ERR_TOOBIG;
    s->band = malloc(3 * (size_t)s->width * s->row_height);
    return s->band ? OK : ERR_NOMEM;
}

static enum err write_sheet(struct sheet *s, const char *path, struct buf *why)
{
    struct file_atomic *file;
    struct image_text none = {0};
    enum err e = file_atomic_open(path, &file);
    if (e == OK) {
        e = image_write_png(file_atomic_stream(file), s->width, s->height, 6, next_row, s,
                            &none);
        if (e == OK)
            e = file_atomic_commit(file);
        else
            file_atomic_abort(file);
    }
    if (e != OK && why)
        buf_addf(why, "%s: %s", path, e == ERR_NOMEM ? err_text(e) : strerror(errno));
    return e;
}

static enum err make(struct sheet *s, const struct sheet_options *o, struct sheet_result *r,
                     struct buf *why)
{
    char *path = NULL;
    uint32_t total = sheet_list_count(s->list);
    s->folder = o->folder;
    s->cells = total < SHEET_MAX_CELLS ? total : SHEET_MAX_CELLS;
    enum err e = lay_out(s, o);
    if (e == ERR_TOOBIG && why)
        buf_addf(why,
                 "the sheet would be %u pixels high; give it more columns or smaller cells",
                 s->height);
    if (e == OK && asprintf(&path, "%s/contact_sheet.png", o->folder) < 0)
        e = ERR_NOMEM;
    if (e == OK)
        e = write_sheet(s, o->out ? o->out : path, why);
    free(path);
    if (e == OK && r)
        *r = (struct sheet_result){s->cells, total, s->missing, s->width, s->height};
    return e;
}

enum err sheet_make(const struct sheet_options *o, struct sheet_result *r, struct buf *why)
{
    struct sheet s = {0};
    enum err e = sheet_list_open(o->folder, &s.list, why);
    if (e == OK)
        e = make(&s, o, r, why);
    free(s.band);
    sheet_list_free(s.list);
    return e;
}
