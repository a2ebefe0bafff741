// stock.h - one image file from outside that every answer carries, instead of a drawing.
#ifndef EMULATOR_STOCK_H
#define EMULATOR_STOCK_H

#include "common/buf.h"
#include "common/digest.h"

struct stock {
    struct buf bytes, base64; // the file, and the same as text
    uint8_t digest[DIGEST_SIZE];
    const char *mime;
};

// NULL: it could not be read, or is no image; `why` says which.
struct stock *stock_new(const char *path, struct buf *why);
void stock_free(struct stock *s); // NULL is fine
#endif
