// folder_lock.h - one writer for a batch's folder: DIR/.genfarm/.BATCH.lock, locked by
// flock(2), holds its process id as text and what it does ("4711 run"). The run's private
// redis-server inherits the descriptor, so that a run that was killed keeps the lock until its
// Redis, which may still be writing, is gone.
#ifndef CLIENT_FOLDER_LOCK_H
#define CLIENT_FOLDER_LOCK_H

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define FOLDER_LOCK_WAIT_MS 10000 // a Redis that was told to end has ended by then

struct folder_lock; // NULL: not held

// Takes the lock of DIR/BATCH; DIR is there. `doing`: one word, "run" or "collected". Waits
// `wait_ms` at most. ERR_BUSY: another process has it, `why` says which; a file system that
// has no locks is no error.
MUST_USE enum err folder_lock_take(const char *dir, const char *batch, const char *doing,
                                   int64_t wait_ms, struct folder_lock **out, struct buf *why);
int folder_lock_fd(const struct folder_lock *l); // to be inherited; -1 where NULL
void folder_lock_free(struct folder_lock *l);    // removes the file, too. NULL is fine
#endif
