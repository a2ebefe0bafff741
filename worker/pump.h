// pump.h - many small things said in few large requests: items gather while one request is
// under way, and go together with the next. Settles and sent marks are both such a stream.
//
// A request whose outcome is unknown, or which the server could not take, is sent again as it
// was, for the scripts may be sent twice; an item leaves only when it was answered.
#ifndef WORKER_PUMP_H
#define WORKER_PUMP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/err.h"

struct ev_loop;
struct pump;

#define PUMP_MAYBE '?'

struct pump_item { // embedded in what is sent; it must stay where it is until it is told
    TAILQ_ENTRY(pump_item) link;
};

struct pump_ops {
    // Sends n items as request `number`. OK: pump_answered() follows, once, not from inside.
    enum err (*send)(void *ctx, uint64_t number, struct pump_item *const *items, size_t n);
    // The order that items of one request are brought into; NULL: as they came.
    int (*order)(const struct pump_item *a, const struct pump_item *b);
    // One item is over: `mark` as the script gave it, or when the lease was lost '0' for those
    // that were never sent, PUMP_MAYBE for those of which the answer had not come.
    void (*told)(void *ctx, struct pump_item *item, char mark);
};

// At most `most` items (1 to 1,000) go into one request. NULL: out of memory.
struct pump *pump_new(struct ev_loop *loop, const struct pump_ops *ops, void *ctx, size_t most);
void pump_free(struct pump *p); // NULL is fine; items that were not told are forgotten
void pump_add(struct pump *p, struct pump_item *item); // never calls back from inside
// The answer to the request under way. OK: `marks` has a character an item. ERR_LOST: each is
// told PUMP_MAYBE, for an earlier try may have done it. Anything else: the same request goes
// out again after a moment.
void pump_answered(struct pump *p, enum err e, struct span marks);
// The lease was lost: every item is told now, and an answer under way will be ignored, for
// what was said under one incarnation must not be said again under the next.
void pump_lost(struct pump *p);
// The items of the request under way; none when it was given up.
struct pump_item *const *pump_under_way(const struct pump *p, size_t *n);
uint64_t pump_number(const struct pump *p); // of the request under way, or of the last one
bool pump_sent(const struct pump *p);       // an answer is awaited: it must not be freed
bool pump_idle(const struct pump *p);       // nothing waits, nothing is under way
#endif
