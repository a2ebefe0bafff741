// sheet.h - the contact sheet: one PNG with every picture of a batch, scaled down, in a grid.
#ifndef CLIENT_SHEET_H
#define CLIENT_SHEET_H

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define SHEET_MAX_CELLS 2000u

struct sheet_options {
    const char *folder; // a batch's; manifest.jsonl is read if it is there, else images/
    const char *out;    // NULL: FOLDER/contact_sheet.png
    uint32_t columns;   // 0: chosen so that the sheet is about as wide as high, 48 at most
    uint32_t
        cell; // pixels, the longest side of a picture; 0: 192, less for more than 100 pictures
};
struct sheet_result {
    uint32_t cells;   // drawn
    uint32_t total;   // there were; more than `cells` when cut at SHEET_MAX_CELLS
    uint32_t missing; // drawn as a grey cell: failed, or not to be read
    uint32_t width, height;
};
// Blocks; memory is one row of cells. ERR_MISSING: no pictures and no manifest. `why` (may be
// NULL) gets a sentence.
MUST_USE enum err sheet_make(const struct sheet_options *o, struct sheet_result *r,
                             struct buf *why);
#endif
