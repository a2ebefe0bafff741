// inflate.h - a zlib stream (RFC 1950) that comes in pieces, inflated.
//
// What is known to come to no more than INFLATE_AT_ONCE bytes is gathered and inflated in one
// go by libdeflate, if genfarm was built with it: in half the time or less. All else goes
// through zlib as it comes, in flat memory.
#ifndef COMMON_INFLATE_H
#define COMMON_INFLATE_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define INFLATE_AT_ONCE (5u << 20) // enough for a picture of 1024 x 1024 pixels

struct inflate;
// Some of the bytes, in their order. Not OK ends it with that error.
typedef enum err inflate_take(void *ctx, const uint8_t *bytes, size_t n);

// `expected`: bytes that should come; the caller looks whether they do, and says no to more.
struct inflate *inflate_new(uint64_t expected, inflate_take *take, void *ctx); // or NULL
// ERR_FORMAT: no such stream, or bytes behind its end; ERR_NOMEM; what `take` returned.
MUST_USE enum err inflate_feed(struct inflate *i, const uint8_t *bytes, size_t n);
MUST_USE enum err inflate_end(struct inflate *i); // also ERR_FORMAT: it is not whole
void inflate_free(struct inflate *i);             // NULL is fine
#endif
