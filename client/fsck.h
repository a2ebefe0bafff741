// fsck.h - audits a queue while it lives: its keys, then for each batch its counters, states,
// events and where its jobs are, then the counts of all. What moved under the look is looked at
// again before it is called wrong.
#ifndef CLIENT_FSCK_H
#define CLIENT_FSCK_H

#include <stdbool.h>
#include <stdint.h>

#include "client/session.h"

struct fsck_options {
    bool mend; // puts right what can be; batches with lost jobs are held back for that moment
    void (*problem)(void *ctx, struct span text, bool mended);
    void *ctx;
};
struct fsck_result {
    uint64_t batches, jobs, events; // that were looked at
    unsigned problems, mended;      // mended ones are counted in both
    bool unsure;                    // counts moved at every look, and were not compared
};
MUST_USE enum err fsck_run(struct session *s, const struct fsck_options *o,
                           struct fsck_result *r);
#endif
