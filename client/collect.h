// collect.h - follows a batch to its end: reads its events in order, brings each image to disk
// before its event counts, and goes on through lost connections.
#ifndef CLIENT_COLLECT_H
#define CLIENT_COLLECT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/event.h"
#include "client/collect_batch.h"
#include "client/output.h"
#include "client/progress.h"
#include "client/session.h"
#include "client/trail.h"
#include "common/buf.h"
#include "common/err.h"

struct collect_options {
    struct span batch;
    struct trail after;        // events up to this one are known already
    struct output *output;     // NULL: images and results are not saved
    struct progress *progress; // may be NULL
    bool stop_blocked;         // end when a group is blocked...
    uint64_t blocked_after;    // ...by an event after this number: older ones are history
    // Each event, in order, its images being there. May be NULL.
    void (*event)(void *ctx, const struct event *e, struct span event_id);
    void (*idle)(void *ctx); // five times a second; may be NULL
    // With stop_blocked: whether nothing is under way any more, so that no more events come.
    // Asked until it is so. NULL: ends at once.
    bool (*drained)(void *ctx);
    double patience; // seconds without Redis until it is given up; 0: never
    // Told when it waits for Redis, and when it goes on: see patience.h. May be NULL.
    void (*waiting)(void *ctx, enum err e, const char *words);
    void *ctx;
};
struct collect_result {
    bool ended;   // batch_done was seen, and nothing was opened again since
    bool kept;    // the folder has its manifest; set by who writes that
    bool blocked; // and `code`, `message` say why
    enum code code;
    struct buf message;   // owned by the caller
    uint64_t last;        // number of the last event that was told
    uint32_t images_gone; // completed jobs whose images were no longer where they should be
    uint32_t left_open;   // jobs that have ended and are open in the folder all the same
    int64_t completed, failed, cancelled, total, cost_micro, possible_double_bill;
    int64_t refused; // of what other producers pushed for the batch
};
// OK: ended, or blocked. ERR_MISSING: no such batch. ERR_CANCELLED: interrupted. ERR_ORDER: the
// server has lost events that were read, or never had `after`. Others: the disk, or Redis for
// longer than `patience`. `why` gets a sentence.
MUST_USE enum err collect(struct session *s, const struct collect_options *o,
                          struct collect_result *r, struct buf *why);
#endif
