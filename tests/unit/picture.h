// picture.h - small pictures made by the tests, whole and broken.
#ifndef TESTS_UNIT_PICTURE_H
#define TESTS_UNIT_PICTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/buf.h"

// The bytes as an open file; they are borrowed.
FILE *picture_stream(struct span bytes);

// What a pixel of the pictures made here is: a colour that differs from place to place.
void picture_pixel(uint32_t x, uint32_t y, uint8_t rgb[static 3]);

// The file's bytes, to be freed by buf_free.
struct buf picture_png(uint32_t w, uint32_t h);        // by image_writer, with a text
struct buf picture_interlaced(uint32_t w, uint32_t h); // grey, by libpng
struct buf picture_jpeg(uint32_t w, uint32_t h, bool progressive);
struct buf picture_webp(uint32_t w, uint32_t h); // the frame only: there are no pixels in it

// The place of the n-th chunk of a name: where its length stands; SIZE_MAX: there is none.
size_t picture_chunk(struct span png, const char *name, unsigned n);
// Sets the chunk's CRC to what its bytes ask for.
void picture_mend(struct buf *png, size_t chunk);
// Puts a chunk in at `at`.
void picture_insert(struct buf *png, size_t at, const char *name, struct span data);
#endif
