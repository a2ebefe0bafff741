// jpeg.h - writes 8-bit RGB rows as a baseline JPEG, with libjpeg.
#ifndef EMULATOR_JPEG_H
#define EMULATOR_JPEG_H

#include <stdint.h>

#include "common/buf.h"

// As png_write().
void jpeg_write(struct buf *out, const uint8_t *rgb, uint32_t w, uint32_t h, uint32_t times);
#endif
