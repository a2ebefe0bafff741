// redis_inquiry.h - one question to several servers, one after the other, until one of them has
// a good answer: where the primary is (sentinels), who serves which slot (nodes of a cluster).
// Who answered last is asked first the next time.
#ifndef COMMON_REDIS_INQUIRY_H
#define COMMON_REDIS_INQUIRY_H

#include "common/redis_conn.h"
#include "common/redis_hosts.h"

struct redis_inquiry;

struct redis_inquiry_options {
    const struct redis_url *url; // how to log in, and whom to ask at first; borrowed
    const char *name, *ca_file;  // as in redis_options
    enum redis_peer peer;
    size_t argc;
    const struct span *argv; // the question; borrowed
    // OK: it is good, and the round is over; else `why` gets what is wrong with it, and the
    // next one is asked. `from` is borrowed until redis_inquiry_learn() is called.
    enum err (*answer)(void *ctx, const redisReply *reply, const struct redis_host *from,
                       struct buf *why);
    // Nobody had a good answer.
    void (*failed)(void *ctx, enum err e, const char *why);
    // The connection that answered, which is kept when this is set, was lost.
    void (*gone)(void *ctx);
    redis_done *pushed; // on that connection, see redis_conn_options
    void *ctx;
};

struct redis_inquiry *redis_inquiry_new(struct ev_loop *loop,
                                        const struct redis_inquiry_options *o);
void redis_inquiry_free(struct redis_inquiry *q); // NULL is fine; no callback follows
// Begins a round, unless one is under way; drops the connection that was kept. `answer` or
// `failed` follows, the latter from inside when memory is out.
void redis_inquiry_ask(struct redis_inquiry *q);
bool redis_inquiry_busy(const struct redis_inquiry *q); // a round is under way
// The connection that is asked, or that was kept; NULL: none.
struct redis_conn *redis_inquiry_conn(const struct redis_inquiry *q);
// Whom to ask from now on: who answered last, `others`, and those of the URL.
void redis_inquiry_learn(struct redis_inquiry *q, const struct redis_hosts *others);
#endif
