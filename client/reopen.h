// reopen.h - opens ended jobs of a batch again, for another run of them.
#ifndef CLIENT_REOPEN_H
#define CLIENT_REOPEN_H

#include "client/session.h"

#define REOPEN_MOST 400 // jobs in one call

struct reopen {
    struct session *session;
    struct span batch;
    uint16_t run;   // that the jobs are opened as: the batch's last and one
    int64_t opened; // so far
};
MUST_USE enum err reopen_begin(struct reopen *r, struct session *s, struct span batch);
// Indexes rising, over all calls; of jobs that are no more known none is opened.
MUST_USE enum err reopen_some(struct reopen *r, const uint32_t *indexes, size_t n);
#endif
