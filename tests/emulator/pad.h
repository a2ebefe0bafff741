// pad.h - makes image files as large as is asked, still valid, without the bytes being there:
// a pattern is repeated inside a private PNG chunk, or JPEG comments follow one another.
#ifndef EMULATOR_PAD_H
#define EMULATOR_PAD_H

#include <stdint.h>

#include "common/buf.h"

#define PAD_PERIOD 65535 // bytes; three divide it, and a JPEG comment can be just that long

struct pad_pattern {
    char bytes[PAD_PERIOD];
    char base64[PAD_PERIOD / 3 * 4];
};

struct pad;
struct pad *pad_new(uint64_t bytes); // what files shall measure; 0: as they are
void pad_free(struct pad *p);

// Splits a finished image file, growing it. Takes what `file` holds. The three parts are as in
// struct picture. A JPEG grows by whole comments, so its size is met to within one of them.
void pad_png(const struct pad *p, struct buf *file, struct buf *head, uint64_t *pad_size,
             struct buf *tail);
void pad_jpeg(const struct pad *p, struct buf *file, struct buf *head, uint64_t *pad_size,
              struct buf *tail);
const struct pad_pattern *pad_pattern_png(const struct pad *p);
const struct pad_pattern *pad_pattern_jpeg(const struct pad *p);
#endif
