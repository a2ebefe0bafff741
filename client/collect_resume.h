// collect_resume.h - where a batch's folder goes on: behind the last event that it has, if the
// server still has the same.
//
// A server that lost the end of what it had acknowledged has another history from there on.
// What the folder has of the old one is forgotten then, and the server's is collected from the
// beginning: results of both would not go together, nor with the images.
#ifndef CLIENT_COLLECT_RESUME_H
#define CLIENT_COLLECT_RESUME_H

#include "client/trail.h"
#include "common/buf.h"
#include "common/err.h"

struct collect_batch;
struct output;
struct patience;

// *after: goes on behind this event; {0}: from the beginning, also where the folder lacks what
// the server may still have. `lost` (may be NULL) gets a sentence when it begins again, `why`
// one of a failure of the disk; other failures are of Redis, after what `p` allows.
MUST_USE enum err collect_resume(struct patience *p, struct span batch,
                                 const struct collect_batch *b, struct output *o,
                                 struct trail *after, struct buf *lost, struct buf *why);
#endif
