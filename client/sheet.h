// sheet.h - the contact sheet: one PNG with every picture of a batch, scaled down, in a grid.
//
// Its cells are told of in any order, as a batch's jobs end in any order; the sheet's bytes
// depend on what is in them alone. Nothing here blocks the loop: thumbnails are made on
// threads, and the rows of cells are drawn and written there too, one at a time from the top,
// each as soon as all of its cells are there. All else belongs to the loop.
#ifndef CLIENT_SHEET_H
#define CLIENT_SHEET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define SHEET_MAX_CELLS 2000u

struct sheet_options {
    const char *folder; // a batch's
    const char *out;    // NULL: FOLDER/contact_sheet.png
    uint32_t columns;   // 0: chosen so that the sheet is about as wide as high, 48 at most
    uint32_t
        cell; // pixels, the longest side of a picture; 0: 192, less for more than 100 pictures
    bool background; // the threads take only what processor time others leave, see pool.h
};
struct sheet_result {
    uint32_t cells;   // drawn
    uint32_t total;   // there were; more than `cells` when cut at SHEET_MAX_CELLS
    uint32_t missing; // drawn as a grey cell: failed, or not to be read...
    uint32_t broken;  // ...of these: their files are not there, or no pictures
    uint32_t width, height;
};

// --- Cell by cell ----------------------------------------------------------------------------

struct ev_loop;
struct sheet;
struct sheet_item {     // borrowed
    struct span id;     // the label
    struct span image;  // path relative to the folder; empty: there is none
    struct span status; // why there is none: an error's code, or the job's state
};
// Of `total` cells. Memory: 64 MB of thumbnails at most, and a row of cells. `why` (may be
// NULL) gets a sentence.
MUST_USE enum err sheet_begin(struct ev_loop *loop, const struct sheet_options *o,
                              uint32_t total, struct sheet **out, struct buf *why);
// What is in a cell, to be told once. Told again, as of a job that was run again, the sheet is
// out of date and comes to an end, even after it had its name. Cells beyond the last are
// ignored.
void sheet_set(struct sheet *s, uint32_t cell, const struct sheet_item *item);
// Becomes true, in the loop, once the sheet has its name, or cannot be made.
const bool *sheet_finished(const struct sheet *s);
// Frees the sheet. ERR_ORDER: it is out of date, or cells are missing.
MUST_USE enum err sheet_end(struct sheet *s, struct sheet_result *r, struct buf *why);
void sheet_free(struct sheet *s); // leaves nothing of one that was not finished; NULL is fine

// --- Of a folder -----------------------------------------------------------------------------

// From manifest.jsonl if it is there, else of the files in images/. Blocks. ERR_MISSING: no
// pictures and no manifest.
MUST_USE enum err sheet_make(const struct sheet_options *o, struct sheet_result *r,
                             struct buf *why);
#endif
