// trail.h - the last event of a batch that was read, and whether the server still has it.
//
// A server that failed over to a replica which was behind, or that was killed before it had
// synced its file, goes on from an earlier point: it writes other events under numbers that
// were read already. Who read on would miss some of them and never learn of it.
#ifndef CLIENT_TRAIL_H
#define CLIENT_TRAIL_H

#include "broker/queue.h"
#include "common/digest.h"

struct trail { // {.number = N}: events up to N are known, but not what N was
    uint64_t number;
    bool known, doubt;
    uint8_t digest[DIGEST_SIZE];
};
void trail_step(struct trail *t, const struct queue_event *last); // it was read
void trail_doubt(struct trail *t);                                // the connection was lost
// Whether event `number` must be looked at again before reading on: as the first one after
// trail_before(), without waiting.
bool trail_doubtful(const struct trail *t);
uint64_t trail_before(const struct trail *t);
// Whether what is there is the same; then the doubt is over.
MUST_USE bool trail_same(struct trail *t, const struct queue_event *ev, size_t n);
// That it is not, and what comes of it: `then`, a sentence without its dot.
void trail_explain(const struct trail *t, const char *then, struct buf *why);
#define TRAIL_BEGIN_AGAIN "what was lost is done again; begin again to see all of it"
#endif
