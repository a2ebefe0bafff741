// private_redis.h - a redis-server of a run's own: on a unix socket that nobody else may open,
// with an append-only file that is synced at each write, started again when it is lost.
//
// A server that was killed while it wrote may have left the beginning of a transaction in its
// file. By default Redis starts all the same, ignores that beginning, but leaves it there:
// transactions that follow are then taken for its rest, and the start after next runs half of
// what never happened (seen with 7.0.15; valkey pull request 4342 describes it). Ours is told
// to refuse such a file, and redis-check-aof then takes the beginning out.
#ifndef CLIENT_PRIVATE_REDIS_H
#define CLIENT_PRIVATE_REDIS_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"

struct private_redis;

// Starts it on the files in `data`, a folder that is there, and waits until it answers. `why`
// gets a sentence. `keep`: a descriptor that it inherits, the lock of its files; below 3: none.
MUST_USE enum err private_redis_start(const char *data, int keep, struct private_redis **out,
                                      struct buf *why);
const char *private_redis_url(const struct private_redis *r);
// To be called now and then: starts it again if it ended, when there is room on its disk. Not
// OK: it cannot run at all; `why` has its last words.
MUST_USE enum err private_redis_look(struct private_redis *r, struct buf *why);
bool private_redis_no_room(
    const struct private_redis *r);               // it ended for want of room, and waits
void private_redis_stop(struct private_redis *r); // saves, ends, frees it. NULL is fine
void private_redis_kill(struct private_redis *r); // the same without saving
#endif
