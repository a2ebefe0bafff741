// purse.h - the worker's side of what users and projects may use (broker/account.h): a call is
// reserved for before it may be sent, and told of when it has ended.
//
// Reservations are asked for and ended many at a time. Accounts without limits cost no
// question: that they have none is believed for a second, and what their calls took is summed
// up and told once a second. So a limit holds for calls that begin a second after it was set.
#ifndef WORKER_PURSE_H
#define WORKER_PURSE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/account.h"

struct ev_loop;
struct purse;
struct purse_call; // one call, from purse_enter() to purse_end()

struct purse_options {
    const char *host; // for the incarnation's name
    double lease;     // seconds after which what a lost worker has reserved counts as used
};
struct purse *purse_new(struct ev_loop *loop, struct redis *r, const struct purse_options *o);
void purse_free(struct purse *p); // NULL is fine; calls that were not ended stay reserved
// Nothing is left to be told; false while a request is under way. To be asked again when `idle`
// (may be NULL) is called.
bool purse_settled(struct purse *p, void (*idle)(void *ctx), void *ctx);
// Settled, it gives its lease up: it is used no more. `left` is called, maybe from inside, when
// that is done, or cannot be done; the lease ends by itself then.
void purse_leave(struct purse *p, void (*left)(void *ctx), void *ctx);

enum purse_answer {
    PURSE_OPEN,     // it may be sent; purse_end() must follow
    PURSE_WAIT,     // no room until calls under way have ended: it is over
    PURSE_SHUT,     // no room in this period: it is over
    PURSE_UNPRICED, // its USD are limited, and what it may cost is not known: it is over
};
struct purse_refusal {          // of PURSE_SHUT
    struct span account, limit; // "user:ann", "usd/month"
    int64_t allowed, used, until_ms;
};
// Once, never from inside purse_enter().
typedef void purse_told(void *ctx, enum purse_answer a, const struct purse_refusal *why);
// A call that may cost `worst` millionths of USD; below 0: not known. *open: it may be sent at
// once, and nobody is told. NULL: out of memory.
struct purse_call *purse_enter(struct purse *p, struct span user, struct span project,
                               int64_t worst, bool *open, purse_told *told, void *ctx);
struct purse_took {
    bool sent, unknown;
    int64_t images, micro;
};
// The call is over, or will not be made (`took` NULL), or its answer is not waited for any
// more. NULL is fine.
void purse_end(struct purse *p, struct purse_call *c, const struct purse_took *took);
// The day that it was reserved in, since 1970-01-01 UTC; 0: nothing is reserved for it. NULL is
// fine.
int64_t purse_day(const struct purse_call *c);
// Calls of a remote batch end in hours, maybe with another worker: when one has begun they are
// told as of unknown outcome, which is their worst (purse_end()). What a call took after all,
// nothing if it was not made (`took->sent`), is told here, by whoever hears of it; it counts in
// the `day` in which they began, and its month.
void purse_correct(struct purse *p, struct span user, struct span project, int64_t worst,
                   int64_t day, const struct purse_took *took);
#endif
