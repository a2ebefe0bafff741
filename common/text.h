// text.h - strict reading of text: what is not wholly right is refused, never guessed.
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

// Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). On failure *bad, when not
// NULL, is the offset of the first wrong byte.
bool text_utf8(struct span s, size_t *bad);
struct span text_trim(struct span s); // without ASCII white space at both ends

// Decimal digits only, no sign but a leading '-' for text_int, no white space.
// ERR_FORMAT: not a number; ERR_RANGE: outside min..max.
MUST_USE enum err text_uint(struct span s, uint64_t min, uint64_t max, uint64_t *out);
MUST_USE enum err text_int(struct span s, int64_t min, int64_t max, int64_t *out);
// "12", "0.5": digits with at most one point; no exponent, no sign, no infinity.
MUST_USE enum err text_decimal(struct span s, double min, double max, double *out);
// "90", "1.5s", "200ms", "10m", "2h", "1d": seconds. A bare number is seconds.
MUST_USE enum err text_duration(struct span s, double *seconds);
// "512", "64K", "1.5M", "2G" (powers of 1,024; "KiB" and "KB" are taken as well): bytes.
MUST_USE enum err text_bytes(struct span s, uint64_t *out);
// "1.25": dollars as millionths of a dollar, at most six decimals.
MUST_USE enum err text_usd(struct span s, int64_t *micro);

// Appends `s` as one file name: anything but A-Z a-z 0-9 . _ - is percent-encoded, a leading
// dot too, and what would pass `limit` bytes is cut and closed with '~' and 16 hex digits of
// its SHA-256. Different inputs give different names.
void text_file_name(struct buf *out, struct span s, size_t limit);
// Appends `s` for a log line or a message: control bytes as \xNN, cut at `limit` bytes with
// "…".
void text_show(struct buf *out, struct span s, size_t limit);
// Replaces every occurrence of `secret` (when 6 bytes or longer) in `b` by "[redacted]".
void text_redact(struct buf *b, struct span secret);
#endif
