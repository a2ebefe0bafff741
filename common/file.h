// file.h - files that are whole when they have their name.
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/err.h"

// Failures of all of these leave errno set; ERR_FULL is ENOSPC and EDQUOT, ERR_MISSING ENOENT,
// ERR_EXISTS EEXIST, else ERR_IO.
enum err file_err(int errno_value);
// What went wrong with a file, and what a person may do about it: "PLACE: WHAT: No space left
// on device; free some room there". `what` may be NULL; errno_value 0: the words are
// err_text(e)'s. Returns e.
enum err file_explain(struct buf *why, enum err e, int errno_value, const char *place,
                      const char *what); // why may be NULL

MUST_USE enum err file_mkdirs(const char *path);                // like mkdir -p
MUST_USE enum err file_read(const char *path, struct buf *out); // ERR_TOOBIG beyond out->max
bool file_exists(const char *path);
// Whether it is a file of that many bytes and that SHA-256. Reads it.
bool file_has(const char *path, uint64_t bytes, struct span sha256);

// A file that appears under its name at once and whole, or not at all: written without a name
// in the same folder, so that a crash leaves nothing, synced, named ".NAME.PID.RANDOM.tmp",
// renamed, the folder synced. Where a file system knows no files without a name it has the
// temporary one from the beginning.
struct file_atomic;
MUST_USE enum err file_atomic_open(const char *path, struct file_atomic **out);
FILE *file_atomic_stream(struct file_atomic *f);
MUST_USE enum err
file_atomic_commit(struct file_atomic *f);     // frees f; on failure the old file stays
void file_atomic_abort(struct file_atomic *f); // NULL is fine
MUST_USE enum err file_write(const char *path, struct span bytes); // all of the above in one

struct file_room {       // of a file system
    uint64_t free, size; // bytes: that may be written by us, and of all
    uint64_t files;      // that may still be made; UINT64_MAX where nobody counts
};
MUST_USE enum err file_look(const char *path, struct file_room *out);

MUST_USE enum err file_sync_dir(const char *path);
// Gives the synced file `from` the name `to` if no file has it: ERR_EXISTS otherwise. link(2),
// so that of several only the first wins; `from` keeps its name too.
MUST_USE enum err file_link(const char *from, const char *to);
#endif
