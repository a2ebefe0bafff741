// limit.h - the farm-wide limiter: send slots of one group, granted by lua/limit.lua.
#ifndef BROKER_LIMIT_H
#define BROKER_LIMIT_H

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/redis.h"

#define LIMIT_MAX_SLOTS 1000
#define LIMIT_SLACK_US  10000 // a slot is good from its time until this much later

// "req=100/1s,rpm=600": NAME=COUNT/PERIOD, and the names rpm (COUNT per minute) and rpd (per
// day) with a bare count. `out` becomes what limit.lua takes:
// "req=100/1000000,rpm=600/60000000". `why` says which part is wrong.
MUST_USE enum err limit_spec(struct span text, struct buf *out, struct buf *why);

struct limit_grant {
    int64_t server_us;
    struct span spec;        // empty: no limit is set, no slots are needed
    const int64_t *slots_us; // from server_us, rising
    size_t n;
    int64_t next_us; // when n is 0 though some were wanted: until the next slot
};
typedef void limit_done(void *ctx, enum err e, const struct limit_grant *g);

struct limit_request {
    struct span group; // project/model/lane
    unsigned want;     // 0: ask only
    int64_t horizon_us;
    // Hands back the end of an earlier grant: the first and the last of its slots that will not
    // be used, in the server's time (server_us + slot); 0: none. Taken back only if they lie
    // ahead and nobody was granted later ones since: else those would be granted twice.
    int64_t back_from_us, back_to_us;
    struct span spec; // to be set where none is; empty: none
    enum { LIMIT_KEEP, LIMIT_SET, LIMIT_CLEAR } how;
};
MUST_USE enum err limit_ask(struct redis *r, double timeout, const struct limit_request *l,
                            limit_done *done, void *ctx);
#endif
