// image.h - what an image file is, and whether it is whole. PNG is read with libpng (or only
// inflated, where nobody wants its pixels), JPEG with libjpeg-turbo, row by row: memory does
// not depend on the image's height, but for small PNGs, which take up to 10 MB.
//
// All of this blocks and computes (a 2 MB PNG takes 7 to 18 ms): it belongs on a thread of its
// own, never on an event loop.
#ifndef COMMON_IMAGE_H
#define COMMON_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/err.h"

enum image_type { IMAGE_UNKNOWN, IMAGE_PNG, IMAGE_JPEG, IMAGE_WEBP };

enum image_type
image_sniff(struct span first_bytes);           // 12 bytes are enough; from the magic alone
const char *image_mime(enum image_type t);      // "image/png"; "application/octet-stream"
const char *image_extension(enum image_type t); // "png"; "bin"

struct image_info {
    enum image_type type;
    uint32_t width, height;
    bool c2pa; // carries a C2PA manifest (PNG caBX, JPEG APP11)
};

enum image_check {
    IMAGE_CHECK_NONE, // the magic and the header only
    IMAGE_CHECK_CRC,  // the structure to the end: every PNG chunk's CRC, every JPEG marker to
                      // EOI
    IMAGE_CHECK_FULL, // every row decoded
};

#define IMAGE_MAX_SIDE   16384u // pixels; beyond it an image is refused
#define IMAGE_MAX_PIXELS (128u * 1000 * 1000)
#define IMAGE_MAX_MEMORY (96u << 20) // bytes for decoding; refuses huge progressive JPEGs

// Reads the file to its end. OK: whole; `info` is set. ERR_FORMAT: no image, cut, corrupt, or
// bytes after its end; ERR_TOOBIG: beyond the limits; ERR_IO. `why` (may be NULL) gets a few
// words. WebP is never decoded: its RIFF length is checked.
MUST_USE enum err image_verify(FILE *f, enum image_check how, struct image_info *info,
                               struct buf *why);

// Decodes to 8-bit RGB (alpha over white), scaled down by averaging so that it fits into
// max_w x max_h (never up), row by row. The caller frees *rgb (3 * *w * *h bytes).
MUST_USE enum err image_thumbnail(FILE *f, uint32_t max_w, uint32_t max_h, uint8_t **rgb,
                                  uint32_t *w, uint32_t *h, struct buf *why);

// --- Writing ---------------------------------------------------------------------------------

// An 8-bit RGB picture on its way into a PNG file, a few rows at a time, from the top.
struct image_writer;
struct image_text { // written as iTXt before the pixels; ended by {NULL}
    const char *keyword;
    struct span text;
};
// `level`: zlib's, 0..9; `texts` may be NULL. `f` stays the caller's. ERR_RANGE, ERR_TOOBIG: a
// picture or a text that cannot be.
MUST_USE enum err image_writer_open(FILE *f, uint32_t w, uint32_t h, int level,
                                    const struct image_text *texts, struct image_writer **out);
// The next n rows, 3 * w bytes each. After a failure the picture can only be freed.
MUST_USE enum err image_writer_rows(struct image_writer *w, const uint8_t *rgb, uint32_t n);
// Writes what comes after the last row, and flushes. ERR_ORDER: rows are missing.
MUST_USE enum err image_writer_end(struct image_writer *w);
void image_writer_free(struct image_writer *w); // NULL is fine

// --- Lettering -------------------------------------------------------------------------------

// A built-in fixed font for ASCII (other characters show as a box), IMAGE_FONT_W x IMAGE_FONT_H
// pixels a letter times `scale`. Draws UTF-8 into an RGB picture, clipped at its edges.
#define IMAGE_FONT_W 6
#define IMAGE_FONT_H 12
struct image_canvas {
    uint8_t *rgb;
    uint32_t w, h;
};
void image_letter(struct image_canvas *c, int32_t x, int32_t y, unsigned scale, uint32_t colour,
                  struct span utf8); // colour 0xRRGGBB
#endif
