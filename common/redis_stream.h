// redis_stream.h - a socket in the loop: commands go out, as few writes as can be, and whole
// replies come in. Part of a connection, whose life it shares; knows nothing of who waits for
// what.
#ifndef COMMON_REDIS_STREAM_H
#define COMMON_REDIS_STREAM_H

#include <ev.h>

#include "common/life.h"
#include "common/redis.h"

struct pollfd;
struct redis_io;

struct redis_stream_hooks { // each may close the stream, and open it anew
    void (*connected)(void *ctx);
    void (*reply)(void *ctx, const redisReply *reply); // borrowed
    void (*idle)(void *ctx); // all replies that were there have been told
    // Nothing was closed yet. `what` NULL: the words are in `why` already.
    void (*broken)(void *ctx, enum err e, const char *what);
    void *ctx;
};

struct redis_stream {
    struct ev_loop *loop;
    const struct redis_stream_hooks *hooks;
    struct life *life;   // of the connection
    struct buf *why;     // of the connection: words for what failed below TLS
    struct redis_io *io; // NULL: closed
    redisReader *reader; // once connected
    struct buf out;      // what is said goes here, and is followed by redis_stream_said()
    size_t written;      // bytes of `out` that are gone already
    ev_io readable, writable;
    ev_prepare flush; // one write for all that a turn of the loop has said
};
void redis_stream_init(struct redis_stream *s, struct ev_loop *loop,
                       const struct redis_stream_hooks *hooks, struct life *life,
                       struct buf *why); // hooks: borrowed
// Begins to connect; `connected` or `broken` follows. Fails as redis_io_open() does.
MUST_USE enum err redis_stream_open(struct redis_stream *s, const struct redis_url *u,
                                    const struct redis_host *at, const char *ca_file);
void redis_stream_close(struct redis_stream *s); // may be closed already
void redis_stream_said(struct redis_stream *s);
bool redis_stream_poll(const struct redis_stream *s, struct pollfd *out); // false: closed
#endif
