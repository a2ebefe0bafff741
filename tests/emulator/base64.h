// base64.h - RFC 4648, with padding.
#ifndef EMULATOR_BASE64_H
#define EMULATOR_BASE64_H

#include <stdbool.h>

#include "common/buf.h"

void base64_add(struct buf *out, struct span bytes);
// The alphabet of URLs, no padding: as in a responseId.
void base64url_add(struct buf *out, struct span bytes);
// Whether `text` is whole base64 of the standard alphabet; *size (may be NULL): its bytes.
bool base64_valid(struct span text, size_t *size);
#endif
