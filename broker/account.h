// account.h - what users and projects may use by day and month, of all queues together; kept by
// lua/account.lua, which says how. An account is "user:NAME" or "project:NAME". Days and months
// are of UTC.
//
// A call is reserved for at its worst before it is marked as sent, and told of when it has
// ended. Both may be sent twice. Callbacks as of queue.h.
#ifndef BROKER_ACCOUNT_H
#define BROKER_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/job.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/redis.h"

#define ACCOUNT_MAX_NAME  (JOB_MAX_NAME + 8)
#define ACCOUNT_MAX_CALLS 500 // in one request
#define ACCOUNT_MAX_NAMES 64  //

bool account_name_ok(struct span name);
// "usd=25/month,images=1000/day,calls=5000/day" becomes what account.lua takes. `why` says
// which part is wrong. The other way, for people:
MUST_USE enum err account_spec(struct span text, struct buf *out, struct buf *why);
void account_show_spec(struct buf *out, struct span spec);
struct account_state;
void account_read_spec(struct account_state *s); // `allowed` of `spec`

struct account_call {
    uint64_t number;        // of this call, within the incarnation
    unsigned user, project; // places among the names
    int64_t worst;          // millionths of USD; below 0: not known
};
struct account_verdict {
    bool limited;
    struct span limit; // "usd/month": that which has no room in this period; else empty
    int64_t allowed, used, until_ms; // of that
};
// marks: of each call '1' reserved; 'f' nothing limits it; 'w' no room until calls under way
// have ended; 'b' no room in this period; 'u' its USD are limited, and what it may cost is not
// known. A verdict for each name. `day`: since 1970-01-01 UTC, that was reserved of; the first,
// where the answer to an earlier try was lost. Valid when OK.
typedef void account_reserved(void *ctx, enum err e, int64_t day, struct span marks,
                              const struct account_verdict *v);
MUST_USE enum err account_reserve(struct redis *r, double timeout, struct span inc,
                                  int64_t lease_ms, size_t n_names, const struct span *names,
                                  size_t n, const struct account_call *calls,
                                  account_reserved *done, void *ctx);

struct account_sum { // of calls that had reserved nothing; below zero: told too much before
    struct span name;
    int64_t calls, images, micro, unknown; // unknown: of `micro`, of calls of unknown outcome
    int64_t day; // that it counts in, since 1970-01-01 UTC, if that is today, or of this month;
                 // 0: today
};
struct account_end { // of one that had
    uint64_t number;
    int64_t calls, images, micro;
    bool unknown; // it stays used at its worst
};
typedef void account_done(void *ctx, enum err e, int64_t value);
// `number` rises by one; the same may be sent again until it is answered.
MUST_USE enum err account_tell(struct redis *r, double timeout, struct span inc,
                               int64_t lease_ms, uint64_t number, size_t n_sums,
                               const struct account_sum *sums, size_t n,
                               const struct account_end *ends, account_done *done, void *ctx);
// Prolongs the lease of what this incarnation has reserved, and ends what lost ones have.
// value: calls so ended.
MUST_USE enum err account_keep(struct redis *r, double timeout, struct span inc,
                               int64_t lease_ms, account_done *done, void *ctx);
// It has told everything, and comes no more.
MUST_USE enum err account_leave(struct redis *r, double timeout, struct span inc,
                                account_done *done, void *ctx);

enum { ACCOUNT_DAY, ACCOUNT_MONTH, ACCOUNT_PERIODS };
enum { ACCOUNT_CALLS, ACCOUNT_IMAGES, ACCOUNT_USD, ACCOUNT_UNITS }; // USD in millionths
struct account_state {
    struct span spec; // empty: no limits
    struct {
        int64_t ends_ms;
        int64_t used[ACCOUNT_UNITS], reserved[ACCOUNT_UNITS], unknown_micro;
        int64_t allowed[ACCOUNT_UNITS]; // -1: no limit
    } of[ACCOUNT_PERIODS];
};
extern const char *const account_units[ACCOUNT_UNITS], *const account_periods[ACCOUNT_PERIODS];
typedef void account_shown(void *ctx, enum err e, const struct account_state *s);
MUST_USE enum err account_show(struct redis *r, double timeout, struct span name,
                               account_shown *done, void *ctx);
MUST_USE enum err account_set(struct redis *r, double timeout, struct span name,
                              struct span spec, account_done *done, void *ctx); // "": none
// Names of the accounts that have limits.
typedef void account_names(void *ctx, enum err e, const struct span *names, size_t n);
MUST_USE enum err account_list(struct redis *r, double timeout, account_names *done, void *ctx);
// Compares what is reserved with the calls it is for: pairs of a problem and whether it was
// mended ("1").
MUST_USE enum err account_check(struct redis *r, double timeout, bool mend, account_names *done,
                                void *ctx);
#endif
