// sheet_draw.h - how a contact sheet is laid out, and the pixels of a row of its cells.
#ifndef CLIENT_SHEET_DRAW_H
#define CLIENT_SHEET_DRAW_H

#include <stdint.h>

#include "common/err.h"

struct sheet_layout {
    uint32_t cells, columns, rows; // of cells
    uint32_t cell;                 // pixels, a side of the square that a picture fits into
    uint32_t row_height;           // pixels, the label and the gap above included
    uint32_t width, height;        // pixels, of the sheet
};
// `columns`, `cell`: 0 where they are to be chosen. ERR_TOOBIG: higher than IMAGE_MAX_SIDE;
// `height` says by how much.
MUST_USE enum err sheet_lay_out(struct sheet_layout *l, uint32_t cells, uint32_t columns,
                                uint32_t cell);

struct sheet_cell { // what is to be seen in one; owned by whoever made it
    char *label;    // below it; NULL: none
    char *instead;  // what stands there when there is no picture; NULL: nothing
    uint8_t *rgb;   // a thumbnail no larger than a cell; NULL: no picture
    uint32_t w, h;
};
// `cells`: those of the row, as many as it has. `rgb`: width * row_height pixels.
void sheet_draw_row(const struct sheet_layout *l, const struct sheet_cell *cells, uint32_t n,
                    uint8_t *rgb);
// The margin at the foot: `rgb` has width * sheet_foot(l) pixels.
uint32_t sheet_foot(const struct sheet_layout *l);
void sheet_draw_foot(const struct sheet_layout *l, uint8_t *rgb);
#endif
