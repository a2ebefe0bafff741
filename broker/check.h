// check.h - auditing a live queue: what genfarm fsck asks for. Everything comes in bounded
// pieces; a piece is what was true at one instant.
#ifndef BROKER_CHECK_H
#define BROKER_CHECK_H

#include "broker/queue.h"

struct check_problem {
    struct span text; // a sentence
    bool mended;
};
// next: cursor of the next piece, 0 after the last.
typedef void check_problems_done(void *ctx, enum err e, uint64_t next,
                                 const struct check_problem *p, size_t n);
// A page of all keys of the queue; 0 is the first cursor.
MUST_USE enum err check_keys(struct queue *q, uint64_t cursor, bool mend,
                             check_problems_done *done, void *ctx);
// Rings and counts against the ready lists of all batches, 1,000 at most.
MUST_USE enum err check_index(struct queue *q, bool mend, check_problems_done *done, void *ctx);
// A batch's counters against its keys.
MUST_USE enum err check_batch(struct queue *q, struct span batch, bool mend,
                              check_problems_done *done, void *ctx);

enum check_place { CHECK_READY, CHECK_DELAYED, CHECK_ACTIVE, CHECK_LOST };
struct check_ticket {
    struct span batch;
    struct ticket ticket;
};
typedef void check_tickets_done(void *ctx, enum err e, uint64_t next,
                                const struct check_ticket *t, size_t n);
// The tickets in a ready list, among a batch's delayed ones, or with an incarnation (active, or
// lost and being taken back).
MUST_USE enum err check_tickets(struct queue *q, enum check_place where, struct span name,
                                uint64_t cursor, check_tickets_done *done, void *ctx);

struct check_job {
    uint32_t index;
    const char *route; // "1/standard/MODEL"
};
// Mending a batch: while it is held back nobody claims of it, so that what is nowhere is lost.
// The hold ends by itself after `ms`, counted from what was asked last; pausing and resuming
// come before it. ERR_MISSING: the batch is gone, or has gone on meanwhile.
struct check_hold {
    struct span batch;
    struct span token; // of who mends, never used before
    int64_t ms;
};
MUST_USE enum err check_hold(struct queue *q, const struct check_hold *h, queue_done *done,
                             void *ctx);
MUST_USE enum err check_release(struct queue *q, const struct check_hold *h, queue_done *done,
                                void *ctx);
// Makes jobs ready again that are open and nowhere, up to 1,000; 0: only prolongs the hold.
// value: how many.
MUST_USE enum err check_mend_places(struct queue *q, const struct check_hold *h, size_t n,
                                    const struct check_job *jobs, queue_done *done, void *ctx);
struct check_counters {
    int64_t ev;       // the last event they were counted at
    int64_t ended[3]; // completed, failed, cancelled
    int64_t unknown;  // calls
};
// Sets the counters to what was counted. ERR_MISSING: there were events since.
MUST_USE enum err check_mend_counters(struct queue *q, struct span batch,
                                      const struct check_counters *is, queue_done *done,
                                      void *ctx);
// The names of a batch's ready lists, and of all incarnations that may hold jobs.
MUST_USE enum err check_lists(struct queue *q, struct span batch, queue_names_done *done,
                              void *ctx);
MUST_USE enum err check_holders(struct queue *q, queue_names_done *done, void *ctx);
// Jobs opened again: index, run, index, run, ... as strings.
MUST_USE enum err check_runs(struct queue *q, struct span batch, queue_names_done *done,
                             void *ctx);
#endif
