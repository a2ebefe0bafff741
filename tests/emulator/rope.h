// rope.h - a long answer as a list of pieces: text of its own, and patterns that are repeated
// for as long as is asked. A body of 13 MB then needs only the few KB in which it differs from
// any other, so a thousand of them can be on their way at once.
#ifndef EMULATOR_ROPE_H
#define EMULATOR_ROPE_H

#include <stdint.h>

#include "common/buf.h"

struct piece {
    const char *ptr;
    size_t len;     // bytes at ptr
    uint64_t total; // bytes of the piece: ptr[0..len) over and over
    bool owned;     // freed with the rope
};

struct rope { // {0} is a valid empty rope
    struct piece *at;
    size_t n, cap;
    enum err err; // first failure; later appends then do nothing
};

struct rope_cursor { // {0} is the start
    size_t piece;
    uint64_t offset; // within the piece
};

void rope_add(struct rope *r, struct span bytes); // copied
void rope_take(struct rope *r, struct buf *b);    // takes what `b` holds, empties it
void rope_repeat(struct rope *r, struct span pattern, uint64_t total); // borrowed
// Moves the pieces of `from` to the end of `to`.
void rope_join(struct rope *to, struct rope *from);
uint64_t rope_size(const struct rope *r);
// The next bytes, at most `max`; 0 at the end.
size_t rope_read(const struct rope *r, struct rope_cursor *c, char *out, size_t max);
void rope_free(struct rope *r); // leaves an empty rope
#endif
