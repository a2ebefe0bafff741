// spool.h - a temporary file that an answer's image lands in while it arrives, digested as it
// goes. It has no name until it is given one, so that a crash leaves nothing behind.
//
// An answer under way has been paid for. Where its folder takes no more bytes, for want of room
// or of the right to, the file goes on in memory, until it can be stored.
#ifndef WORKER_SPOOL_H
#define WORKER_SPOOL_H

#include <stdint.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/err.h"

#define SPOOL_HEAD 16

struct spool;

struct spool_place { // outlives its spools; of one thread
    const char *dir;
    uint64_t max_memory; // bytes, of all files that are in memory
    uint64_t in_memory;  // now
};
// NULL: out of memory. Files are opened at their first byte.
struct spool *spool_new(struct spool_place *place, uint64_t max_bytes);
void spool_free(struct spool *s); // NULL is fine; a file without a name is gone
// ERR_TOOBIG: beyond max_bytes; ERR_FULL, ERR_IO, ERR_MISSING: of the file, errno is set.
MUST_USE enum err spool_add(struct spool *s, const uint8_t *bytes, size_t n);
MUST_USE enum err spool_end(struct spool *s); // all bytes are in the file; the digest is ready
uint64_t spool_bytes(const struct spool *s);
struct span spool_head(const struct spool *s);      // the first bytes, SPOOL_HEAD at most
const uint8_t *spool_digest(const struct spool *s); // DIGEST_SIZE bytes, after spool_end()
// Descriptor of the file, at its beginning; the caller does not close it. -1: it is empty.
int spool_fd(const struct spool *s);
// The rest block and belong on a thread.
FILE *
spool_open(const struct spool *s); // for reading, from its beginning; the caller closes it
// Gives it a name if no file has it (ERR_EXISTS), its bytes being synced; copies it where it
// cannot be linked: on another file system, when its only name was removed again, or after a
// sync that failed, for the kernel would not write the same bytes again. May be done several
// times.
MUST_USE enum err spool_link(struct spool *s, const char *path);
#endif
