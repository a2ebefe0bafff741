// base64_wide.h - many base64 digits at once, where the processor can.
#ifndef WORKER_BASE64_WIDE_H
#define WORKER_BASE64_WIDE_H

#include <stddef.h>
#include <stdint.h>

// Decodes whole groups of digits from the front of in[0..n) to `out`, which has room for
// 3 * n / 4 bytes, and returns how many digits it took: as many as it can without meeting a
// byte that is no digit, or the end. 0 where the processor has no such instructions.
size_t base64_wide(const unsigned char *in, size_t n, uint8_t *out);
#endif
