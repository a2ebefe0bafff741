// pushed.h - what a producer in another language pushed to the inbox, and what it comes to: a
// job, the end of a batch, or a dead letter.
#ifndef BROKER_PUSHED_H
#define BROKER_PUSHED_H

#include "broker/job.h"

struct catalogue;

enum pushed_kind {
    PUSHED_JOB,
    PUSHED_END,     // {batch, seal: true, total: N}
    PUSHED_DEAD,    // no job, and not the end of one: its batch counts it as refused
    PUSHED_DEAD_END // meant as an end
};
struct pushed { // spans are borrowed from the bytes, or from `own`
    enum pushed_kind kind;
    struct span batch;     // a name; empty: a dead one, of which no batch can be read
    struct span id;        // empty: none
    struct span user;      // a name; empty: none
    int64_t total;         // of an end
    struct buf route, map; // of a job: PRIORITY/LANE/MODEL; complete, in the canonical encoding
    struct buf why;        // of a dead one: a sentence
    struct buf own;        // the name of a batch that was none of the producer's
};

// Judges it as a client would its inputs; whatever it is, it comes to something. `taken_ms`:
// when it was taken from the inbox, by the server's clock; from then on its deadlines count.
// The catalogue knows the default model, aliases, and what a model cannot do. ERR_NOMEM.
MUST_USE enum err pushed_read(struct pushed *p, struct span bytes, int64_t taken_ms,
                              const struct catalogue *c);
void pushed_free(struct pushed *p);
#endif
