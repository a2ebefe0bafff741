// picture.h - the images: shapes and colours that follow from a digest, with the prompt's words
// in them, so that a person sees which is which.
#ifndef EMULATOR_PICTURE_H
#define EMULATOR_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/digest.h"
#include "emulator/pad.h"
#include "emulator/rope.h"
#include "emulator/stock.h"

struct picture_spec {
    uint32_t w, h; // pixels
    bool jpeg;
    const uint8_t *look; // DIGEST_SIZE bytes: equal ones give equal pictures
    struct span words;   // UTF-8, drawn and wrapped
    struct span note;    // drawn small, at the foot
    const struct pad *pad;
};

// The file is `head`, then `pad_size` bytes of the pad's pattern, then `tail`. The lengths of
// the first two are multiples of three, so that their base64 can be strung together. Or it is
// `stock` (borrowed, else NULL), and those are empty.
struct picture {
    struct buf head, tail;
    const struct pad_pattern *pattern;
    uint64_t pad_size;
    const char *mime;
    const struct stock *stock;
};

MUST_USE enum err picture_draw(const struct picture_spec *spec, struct picture *out);
void picture_stock(const struct stock *s, struct picture *out);
void picture_free(struct picture *p);
uint64_t picture_size(const struct picture *p);
void picture_digest(const struct picture *p, uint8_t out[static DIGEST_SIZE]);
void picture_base64(const struct picture *p, struct rope *out);

void picture_cut(struct picture *p);     // to half of what is drawn; no end
void picture_corrupt(struct picture *p); // a byte changed: a PNG's CRC no longer fits
MUST_USE enum err picture_webp(struct picture *out); // 1x1, lossless, instead of a drawing
#endif
