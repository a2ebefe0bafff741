// redis_pending.h - the requests of one connection that are under way, in the order of their
// answers, and whom to tell.
#ifndef COMMON_REDIS_PENDING_H
#define COMMON_REDIS_PENDING_H

#include <sys/queue.h>

#include "common/redis.h"

struct redis_request {
    STAILQ_ENTRY(redis_request) link;
    redis_done *done; // NULL: nobody
    void *ctx;
    double deadline; // on the clock of the loop
};
STAILQ_HEAD(redis_request_list, redis_request);

struct redis_pending {
    struct redis_request_list list;
    struct redis_request_list spare; // kept for the next ones
    unsigned spares;
};
void redis_pending_init(struct redis_pending *p);
void redis_pending_free(struct redis_pending *p); // tells nobody

MUST_USE enum err redis_pending_add(struct redis_pending *p, double deadline, redis_done *done,
                                    void *ctx); // ERR_NOMEM
// The one whose answer comes next; NULL: none is under way.
const struct redis_request *redis_pending_first(const struct redis_pending *p);
void redis_pending_tell(struct redis_pending *p, enum err e, const redisReply *reply); // it
// Tells all that are under way now, not those that they make: the first one `first`, the others
// `rest`.
void redis_pending_tell_all(struct redis_pending *p, enum err first, enum err rest);
#endif
