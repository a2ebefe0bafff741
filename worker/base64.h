// base64.h - strict base64 (RFC 4648 section 4: standard alphabet, padded, no line breaks) that
// comes in pieces.
#ifndef WORKER_BASE64_H
#define WORKER_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct base64 { // zeroed is a valid beginning
    uint32_t bits;
    unsigned have;   // digits in `bits`, 0 to 3
    unsigned padded; // '=' seen
};

// Decodes n digits to `out`, which has room for 3 * (n + 3) / 4 bytes. ERR_FORMAT: a byte that
// does not belong there.
MUST_USE enum err base64_feed(struct base64 *b, const char *in, size_t n, uint8_t *out,
                              size_t *out_n);
MUST_USE enum err base64_end(const struct base64 *b); // ERR_FORMAT: it ends within a group
#endif
