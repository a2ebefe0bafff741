// png.h - writes 8-bit RGB rows as PNG at the least cost: two filters, and runs for matches.
// common/image.h writes them smaller and slower; here every millisecond is taken from what is
// being tested.
#ifndef EMULATOR_PNG_H
#define EMULATOR_PNG_H

#include <stdint.h>

#include "common/buf.h"

// `rgb`: w * h pixels, each of which becomes a square of times x times pixels in the file.
void png_write(struct buf *out, const uint8_t *rgb, uint32_t w, uint32_t h, uint32_t times);
#endif
