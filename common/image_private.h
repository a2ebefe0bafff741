// image_private.h - what the readers of the image formats share. Not for others.
//
// A reader takes the file in blocks, once, from its first byte to its last. A walker looks at
// the structure of every block; where the pixels are wanted too, the library that decodes them
// gets the same bytes after the walker has seen them.
#ifndef COMMON_IMAGE_PRIVATE_H
#define COMMON_IMAGE_PRIVATE_H

#include "common/image.h"

#define IMAGE_BLOCK 65536

struct image_input {
    FILE *f;
    bool fresh; // the block has been read ahead and not yet been handed out
    size_t n;
    uint8_t block[IMAGE_BLOCK];
};
// The next block: `n` is 0 at the end. ERR_IO.
MUST_USE enum err image_next(struct image_input *in);

enum err image_fail(struct buf *why, enum err e, const char *words); // says why, returns e
MUST_USE enum err image_side_check(uint32_t w, uint32_t h, struct buf *why);
uint32_t image_be32(const uint8_t *p);

// n pixels of one row, 8-bit RGBA: the first at (x, y), each dx to the right of the one before.
// The rows of an interlaced picture come in parts, with dx above 1.
struct image_pixels {
    const uint8_t *rgba;
    uint32_t n, x, y, dx;
};
// Who takes the pixels. `flat`: rows come once, whole, from the top. An error stops the
// decoding and is returned by the reader.
struct image_sink {
    enum err (*start)(void *ctx, uint32_t w, uint32_t h, bool flat);
    enum err (*pixels)(void *ctx, const struct image_pixels *p);
    void *ctx;
};

// `sink` may be NULL; with one, `how` is IMAGE_CHECK_FULL.
typedef enum err image_reader(struct image_input *in, enum image_check how,
                              const struct image_sink *sink, struct image_info *info,
                              struct buf *why);
// Finds out what kind of image it is and reads it, from where the file stands.
MUST_USE enum err image_read(FILE *f, enum image_check how, const struct image_sink *sink,
                             struct image_info *info, struct buf *why);
image_reader image_png_read, image_jpeg_read, image_webp_read;

// --- PNG's parts -----------------------------------------------------------------------------

// PNG specification, 8.2 "Interlaced data order": where a pass begins and how far its pixels
// are from each other.
#define PNG_PASSES 7
extern const struct png_pass {
    uint8_t x, y, dx, dy;
} png_passes[PNG_PASSES];
// Pixels of a side, of which a pass has every `step`th from `first` on.
uint32_t png_pass_side(uint32_t side, uint32_t first, uint32_t step);

// Pixel data inflated and its rows counted, without making pixels of them: whatever can be
// wrong with pixel data shows at this.
struct png_rows;
// `header`: its 13 bytes, which have been looked at. NULL: out of memory.
struct png_rows *png_rows_new(const uint8_t *header, struct buf *why);
MUST_USE enum err png_rows_feed(struct png_rows *r, const uint8_t *bytes, size_t n);
MUST_USE enum err png_rows_end(struct png_rows *r); // OK: every row has come, and the end
void png_rows_free(struct png_rows *r);             // NULL is fine

struct png_decoder;
// Copies of the chunks that matter for pixels are fed to libpng; nothing else reaches it.
struct png_decoder *png_decoder_new(const struct image_sink *sink, struct buf *why); // or NULL
MUST_USE enum err png_decoder_feed(struct png_decoder *d, uint8_t *bytes, size_t n);
bool png_decoder_whole(const struct png_decoder *d); // every row has come, and the end
void png_decoder_free(struct png_decoder *d);

// --- JPEG's two halves -----------------------------------------------------------------------

// Walks from marker to marker over any number of blocks.
struct jpeg_walk {
    enum { JPEG_START, JPEG_FILL, JPEG_CODE, JPEG_LENGTH, JPEG_BODY, JPEG_SCAN, JPEG_END } at;
    uint8_t code;      // of the segment under way
    uint8_t field[32]; // the segment's first bytes, its length field included
    uint32_t have;     // how many of them
    uint32_t left;     // bytes of the segment still to come
    bool escape;       // in a scan: the byte before was 0xff
    unsigned scans, frames;
    struct image_info *info;
    struct buf *why;
};
MUST_USE enum err jpeg_walk_feed(struct jpeg_walk *w, const uint8_t *bytes, size_t n);
// Reads what is left of `in` and says whether the file ends where it should.
MUST_USE enum err jpeg_walk_finish(struct jpeg_walk *w, struct image_input *in);
MUST_USE enum err image_jpeg_decode(struct image_input *in, struct jpeg_walk *w,
                                    const struct image_sink *sink);
#endif
