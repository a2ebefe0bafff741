// redis_slots.h - the answer to CLUSTER SLOTS: who serves what.
#ifndef COMMON_REDIS_SLOTS_H
#define COMMON_REDIS_SLOTS_H

#include "common/redis_hosts.h"

struct redis_slots {          // owned
    struct redis_hosts hosts; // primaries and replicas
    struct redis_range {
        unsigned first, last;
        size_t primary; // one of the hosts
    } * ranges;
    size_t n;
};
// `asked`: who answered; it may leave out its own address. ERR_FORMAT: it is no such answer.
MUST_USE enum err redis_slots_read(struct redis_slots *s, const redisReply *reply,
                                   const struct redis_host *asked);
void redis_slots_free(struct redis_slots *s);
#endif
