// redis_io.h - the bytes of a connection: a non-blocking socket, over TLS where asked for.
#ifndef COMMON_REDIS_IO_H
#define COMMON_REDIS_IO_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/redis.h"

struct redis_io;

// Begins to connect to `at`, one of the servers that `u` leads to; both are borrowed. ERR_NET:
// it failed at once, `why` says how; ERR_NOMEM: it says nothing.
MUST_USE enum err redis_io_open(const struct redis_url *u, const struct redis_host *at,
                                const char *ca_file, struct buf *why, struct redis_io **out);
void redis_io_close(struct redis_io *io); // NULL is fine
int redis_io_fd(const struct redis_io *io);

// Goes on connecting once the socket is ready. OK: connected; ERR_BUSY: call again when the
// socket is ready for what redis_io_wants_write() says; else it failed, `why` says how. When
// one of several addresses refuses, the next is tried: the descriptor may change.
MUST_USE enum err redis_io_connect(struct redis_io *io, struct buf *why);
bool redis_io_wants_write(const struct redis_io *io);

// As read(2) and write(2): -1 with errno EAGAIN when the socket is not ready, 0 at its end.
ssize_t redis_io_read(struct redis_io *io, char *to, size_t n);
ssize_t redis_io_write(struct redis_io *io, const char *from, size_t n);
#endif
