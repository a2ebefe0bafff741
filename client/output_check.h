// output_check.h - whether a folder may become a batch's, or be gone on with.
#ifndef CLIENT_OUTPUT_CHECK_H
#define CLIENT_OUTPUT_CHECK_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"

// Touches nothing. Without `resume` there must be nothing of anybody's: ERR_EXISTS. With it the
// folder must be there, ERR_MISSING; be of this batch, ERR_ORDER; and not be complete,
// ERR_EXISTS. Where `nonce` is empty, or the folder has none, the name decides alone.
// `why` (may be NULL) gets a sentence.
MUST_USE enum err output_check(const char *folder, struct span batch, struct span nonce,
                               bool resume, struct buf *why);
#endif
