// quota.h - before anything is submitted: what a batch will ask for, and whether its budget,
// its user and its project allow that.
#ifndef CLIENT_QUOTA_H
#define CLIENT_QUOTA_H

#include "broker/account.h"
#include "broker/catalogue.h"
#include "client/patience.h"

// `limits` gets them for people; spans of `out` are gone. The server is waited for as `p` says,
// here and below.
MUST_USE enum err quota_read(struct patience *p, struct span name, struct account_state *out,
                             struct buf *limits);

#define QUOTA_WORDS 400 // bytes

struct quota_need { // of a whole batch; {0} is one of no calls
    int64_t calls;
    int64_t best, worst; // millionths of USD: the estimate, and all calls at their worst
    int64_t cheapest;    // the worst of its cheapest call that has a price
    int64_t unpriced;    // calls that the catalogue has no price for, which count as nothing
    char unpriced_why[QUOTA_WORDS]; // of the first one of them
};
// Counts one job in; `bytes`: of its encoded input.
void quota_need_add(struct quota_need *n, const struct catalogue *c, const struct job *j,
                    size_t bytes);
// ERR_LIMIT: `why` gets one sentence, what is allowed, used and asked for. Where money is
// limited, so is a call that has no price: nobody could hold it within.
MUST_USE enum err quota_budget(const struct quota_need *n, int64_t budget, struct buf *why);

#define QUOTA_PROJECTS 64

struct quota_projects { // whose quotas are looked at; {0} is none
    char names[QUOTA_PROJECTS][JOB_MAX_NAME + 1];
    size_t n;
};
void quota_add_project(struct quota_projects *p, struct span name); // what is no name is not
// Adds those that the queue's workers send through; where there is none then, and none before,
// "default", which is that of a worker that is told no name.
MUST_USE enum err quota_find_projects(struct patience *p, struct quota_projects *all);
// Whether the user, and any of the projects, may use that much; for work goes to those that
// have room. ERR_LIMIT as above. A user of Redis who may not see accounts is not held up: they
// hold all the same.
MUST_USE enum err quota_check(struct patience *p, struct span user,
                              const struct quota_projects *all, const struct quota_need *n,
                              struct buf *why);
#endif
