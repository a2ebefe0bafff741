// redis_sentinel.h - where the primary is: asks the sentinels, and goes on listening to the one
// that answered, so that a change of it is known at once.
//
// What a sentinel says may be old or wrong; the connection to the primary checks its ROLE, and
// asks again while that is not right.
#ifndef COMMON_REDIS_SENTINEL_H
#define COMMON_REDIS_SENTINEL_H

#include "common/redis.h"

struct redis_sentinel;

struct redis_sentinel_options {
    const struct redis_url *url;                                // borrowed
    const char *name, *ca_file;                                 // as in redis_options
    void (*found)(void *ctx, const struct redis_host *primary); // borrowed
    void (*failed)(void *ctx, enum err e, const char *why);     // nobody knows it, for now
    void *ctx;
};

struct redis_sentinel *redis_sentinel_new(struct ev_loop *loop,
                                          const struct redis_sentinel_options *o);
void redis_sentinel_free(struct redis_sentinel *s); // NULL is fine; no callback follows
// Asks now, afresh. `found` or `failed` follows; and again whenever there is news.
void redis_sentinel_ask(struct redis_sentinel *s);
struct redis_conn *redis_sentinel_conn(const struct redis_sentinel *s); // may be NULL
#endif
