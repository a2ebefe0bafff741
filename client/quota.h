// quota.h - before anything is submitted: what a batch will ask for, and whether its budget,
// its user and its project allow that.
#ifndef CLIENT_QUOTA_H
#define CLIENT_QUOTA_H

#include "broker/account.h"
#include "client/session.h"

// `limits` gets them for people; spans of `out` are gone.
MUST_USE enum err quota_read(struct session *s, struct span name, struct account_state *out,
                             struct buf *limits);

struct quota_need { // of a whole batch
    int64_t calls;
    int64_t best, worst; // millionths of USD: the estimate, and all calls at their worst
    int64_t cheapest;    // the worst of its cheapest call
    size_t unpriced;     // calls that the catalogue has no price for
};
// ERR_LIMIT: `why` gets one sentence, what is allowed, used and asked for.
MUST_USE enum err quota_budget(const struct quota_need *n, int64_t budget, struct buf *why);
MUST_USE enum err quota_check(struct session *s, struct span account,
                              const struct quota_need *n, struct buf *why);
#endif
