// digest.h - SHA-256 (OpenSSL's), checksums and random bytes.
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define DIGEST_SIZE 32
#define DIGEST_HEX  65 // with NUL

struct digest;                   // SHA-256 under way
struct digest *digest_new(void); // NULL: out of memory
void digest_add(struct digest *d, struct span bytes);
void digest_end(struct digest *d, uint8_t out[static DIGEST_SIZE]); // frees d
void digest_free(struct digest *d);

void digest_of(struct span bytes, uint8_t out[static DIGEST_SIZE]);
void digest_hex(const uint8_t *bytes, size_t n, char *out); // 2n digits and NUL
// Such digits of a SHA-256, without NUL. ERR_FORMAT: they are not.
MUST_USE enum err digest_read(struct span hex, uint8_t out[static DIGEST_SIZE]);
uint32_t digest_32(struct span bytes); // the first four bytes of the SHA-256, big-endian

void random_bytes(void *out, size_t n); // from the kernel; aborts the process if it has none
double random_unit(void);               // uniform in [0, 1), for jitter only
#endif
