// sheet.c - see sheet.h.
#include "client/sheet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/sheet_draw.h"
#include "common/file.h"
#include "common/image.h"
#include "common/pool.h"

#define LEVEL       6 // zlib's: 4 is a tenth faster and a tenth larger
#define MAX_THREADS 8
#define MAX_HELD    (64u << 20) // bytes of thumbnails
#define MAX_TEXT    1024        // bytes of a label

struct cell {
    struct pool_task task; // first: the thumbnail's
    struct sheet *of;
    struct sheet_cell *shows; // while `task` is under way its pixels belong to a thread
    char *image;              // path of the picture; NULL: none
    enum {
        CELL_UNKNOWN,
        CELL_WAITING, // for its thumbnail to be begun
        CELL_BEGUN,
        CELL_READY,
        CELL_DRAWN
    } state;
};

struct sheet {
    struct sheet_layout layout; // set once
    const char *folder;         // borrowed
    char *path;
    struct pool *pool;
    unsigned most_begun; // few, so that a row of cells need not wait for many thumbnails
    uint32_t most_held;
    uint32_t total, missing, broken;

    struct cell *cells;
    struct sheet_cell *shows;
    unsigned begun;
    uint32_t held; // cells that are begun or ready
    uint32_t row;  // of cells, the next to be drawn
    bool finished;
    enum err err; // why it cannot be made
    int cause;    // errno's, or 0

    bool drawing;
    struct { // while `drawing` this, and the cells of the row, belong to a thread
        struct pool_task task;
        struct file_atomic *file;
        struct image_writer *writer;
        uint8_t *pixels; // of one row of cells
        enum err err;
        int cause;
    } draw;
};

static void advance(struct sheet *s);

// --- Thumbnails ------------------------------------------------------------------------------

static void make_thumbnail(struct pool_task *t)
{
    struct cell *c = (struct cell *)t;
    struct sheet_cell *shows = c->shows;
    uint32_t side = c->of->layout.cell;
    FILE *f = fopen(c->image, "re");
    if (!f || image_thumbnail(f, side, side, &shows->rgb, &shows->w, &shows->h, NULL) != OK)
        shows->rgb = NULL;
    if (f)
        fclose(f);
}

static void thumbnail_made(struct pool_task *t)
{
    struct cell *c = (struct cell *)t;
    struct sheet *s = c->of;
    c->state = CELL_READY;
    s->begun--;
    s->missing += !c->shows->rgb;
    s->broken += !c->shows->rgb;
    advance(s);
}

// The first cell that waits; one of the row that is wanted next is never too much to hold.
static struct cell *next_cell(struct sheet *s)
{
    const struct sheet_layout *l = &s->layout;
    uint32_t i = s->row * l->columns, end = i + l->columns;
    for (; i < l->cells && (i < end || s->held < s->most_held); i++)
        if (s->cells[i].state == CELL_WAITING)
            return &s->cells[i];
    return NULL;
}

static void begin_thumbnails(struct sheet *s)
{
    struct cell *c;
    while (s->begun < s->most_begun && (c = next_cell(s))) {
        c->state = CELL_BEGUN;
        c->task = (struct pool_task){.work = make_thumbnail, .done = thumbnail_made};
        s->begun++;
        s->held++;
        pool_add(s->pool, &c->task);
    }
}

static void forget_cell(struct cell *c)
{
    free(c->shows->label);
    free(c->shows->instead);
    free(c->shows->rgb);
    free(c->image);
    *c->shows = (struct sheet_cell){0};
    c->image = NULL;
}

// --- Rows of cells ---------------------------------------------------------------------------

static uint32_t cells_in_row(const struct sheet *s)
{
    uint32_t left = s->layout.cells - s->row * s->layout.columns;
    return left < s->layout.columns ? left : s->layout.columns;
}

static enum err write_row(struct sheet *s)
{
    const struct sheet_layout *l = &s->layout;
    sheet_draw_row(l, &s->shows[s->row * l->columns], cells_in_row(s), s->draw.pixels);
    return image_writer_rows(s->draw.writer, s->draw.pixels, l->row_height);
}

static enum err write_end(struct sheet *s)
{
    sheet_draw_foot(&s->layout, s->draw.pixels);
    enum err e = image_writer_rows(s->draw.writer, s->draw.pixels, sheet_foot(&s->layout));
    if (e == OK)
        e = image_writer_end(s->draw.writer);
    if (e == OK) {
        e = file_atomic_commit(s->draw.file);
        s->draw.file = NULL;
    }
    return e;
}

static void draw_row(struct pool_task *t)
{
    struct sheet *s = (struct sheet *)((char *)t - offsetof(struct sheet, draw.task));
    errno = 0;
    s->draw.err = write_row(s);
    if (s->draw.err == OK && s->row + 1 == s->layout.rows)
        s->draw.err = write_end(s);
    s->draw.cause = s->draw.err == OK ? 0 : errno;
}

static void stop(struct sheet *s, enum err e, int cause)
{
    if (s->finished && s->err != OK)
        return;
    s->finished = true;
    s->err = e;
    s->cause = cause;
}

static void row_drawn(struct pool_task *t)
{
    struct sheet *s = (struct sheet *)((char *)t - offsetof(struct sheet, draw.task));
    struct cell *c = &s->cells[s->row * s->layout.columns];
    s->drawing = false;
    for (uint32_t i = 0; i < cells_in_row(s); i++) {
        s->held -= c[i].image != NULL;
        forget_cell(&c[i]);
        c[i].state = CELL_DRAWN;
    }
    s->row++;
    if (s->draw.err != OK || s->row == s->layout.rows)
        stop(s, s->draw.err, s->draw.cause);
    else
        advance(s);
}

static bool row_ready(const struct sheet *s)
{
    const struct cell *c = &s->cells[s->row * s->layout.columns];
    for (uint32_t i = 0; i < cells_in_row(s); i++)
        if (c[i].state != CELL_READY)
            return false;
    return true;
}

static void advance(struct sheet *s)
{
    if (s->finished)
        return;
    begin_thumbnails(s);
    if (s->drawing || !row_ready(s))
        return;
    s->drawing = true;
    s->draw.task = (struct pool_task){.work = draw_row, .done = row_drawn};
    pool_add(s->pool, &s->draw.task);
}

// --- Cell by cell ----------------------------------------------------------------------------

static bool copy_text(char **to, struct span s)
{
    *to = strndup(s.len ? s.ptr : "", s.len < MAX_TEXT ? s.len : MAX_TEXT);
    return *to;
}

void sheet_set(struct sheet *s, uint32_t i, const struct sheet_item *item)
{
    struct cell *c = i < s->layout.cells ? &s->cells[i] : NULL;
    if (c && c->state != CELL_UNKNOWN)
        stop(s, ERR_ORDER, 0);
    if (!c || s->finished)
        return;
    bool picture = item->image.len > 0;
    if (!copy_text(&c->shows->label, item->id) ||
        !copy_text(&c->shows->instead, picture ? SPAN("unreadable") : item->status) ||
        (picture && asprintf(&c->image, "%s/%.*s", s->folder, (int)item->image.len,
                             item->image.ptr) < 0)) {
        stop(s, ERR_NOMEM, 0);
        return;
    }
    c->state = picture ? CELL_WAITING : CELL_READY;
    s->missing += !picture;
    advance(s);
}

static enum err open_file(struct sheet *s, const char *out)
{
    if ((out ? asprintf(&s->path, "%s", out)
             : asprintf(&s->path, "%s/contact_sheet.png", s->folder)) < 0) {
        s->path = NULL;
        return ERR_NOMEM;
    }
    enum err e = file_atomic_open(s->path, &s->draw.file);
    return e != OK ? e
                   : image_writer_open(file_atomic_stream(s->draw.file), s->layout.width,
                                       s->layout.height, LEVEL, NULL, &s->draw.writer);
}

static enum err make_parts(struct sheet *s, struct ev_loop *loop, const struct sheet_options *o)
{
    const struct sheet_layout *l = &s->layout;
    unsigned threads = pool_cores(MAX_THREADS);
    s->most_begun = 2 * threads;
    s->most_held = MAX_HELD / (3 * l->cell * l->cell);
    s->cells = calloc(l->cells, sizeof *s->cells);
    s->shows = calloc(l->cells, sizeof *s->shows);
    s->draw.pixels = malloc(3 * (size_t)l->width * l->row_height);
    s->pool = pool_new(loop, threads, o->background ? 19 : 0);
    for (uint32_t i = 0; s->cells && i < l->cells; i++)
        s->cells[i] = (struct cell){.of = s, .shows = &s->shows[i]};
    return s->cells && s->shows && s->draw.pixels && s->pool ? open_file(s, o->out) : ERR_NOMEM;
}

static enum err explain(const struct sheet *s, enum err e, int cause, struct buf *why)
{
    if (e == OK || !why)
        return e;
    if (e == ERR_TOOBIG)
        buf_addf(why,
                 "the sheet would be %u pixels high; give it more columns or smaller cells",
                 s->layout.height);
    else
        buf_addf(why, "%s: %s", s->path ? s->path : s->folder,
                 cause && e != ERR_NOMEM ? strerror(cause) : err_text(e));
    return e;
}

enum err sheet_begin(struct ev_loop *loop, const struct sheet_options *o, uint32_t total,
                     struct sheet **out, struct buf *why)
{
    struct sheet *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_NOMEM;
    s->folder = o->folder;
    s->total = total;
    uint32_t cells = total < SHEET_MAX_CELLS ? total : SHEET_MAX_CELLS;
    errno = 0;
    enum err e = cells ? sheet_lay_out(&s->layout, cells, o->columns, o->cell) : ERR_MISSING;
    if (e == OK)
        e = make_parts(s, loop, o);
    if (e == OK) {
        *out = s;
        return OK;
    }
    explain(s, e, errno, why);
    sheet_free(s);
    return e;
}

const bool *sheet_finished(const struct sheet *s)
{
    return &s->finished;
}

enum err sheet_end(struct sheet *s, struct sheet_result *r, struct buf *why)
{
    enum err e = s->finished ? s->err : ERR_ORDER;
    if (e == OK && r)
        *r = (struct sheet_result){s->layout.cells, s->total,        s->missing,
                                   s->broken,       s->layout.width, s->layout.height};
    explain(s, e, s->cause, why);
    sheet_free(s);
    return e;
}

void sheet_free(struct sheet *s)
{
    if (!s)
        return;
    pool_free(s->pool); // first: what is under way ends
    for (uint32_t i = 0; s->cells && s->shows && i < s->layout.cells; i++)
        forget_cell(&s->cells[i]);
    image_writer_free(s->draw.writer);
    file_atomic_abort(s->draw.file);
    free(s->draw.pixels);
    free(s->cells);
    free(s->shows);
    free(s->path);
    free(s);
}
