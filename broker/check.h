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
// A batch's counters against its keys, and its lists' places in the rings.
MUST_USE enum err check_batch(struct queue *q, struct span batch, bool mend,
                              check_problems_done *done, void *ctx);

// --- Counts ---------------------------------------------------------------------------------

#define CHECK_FIRST (UINT64_C(1) << 53) // cursor of the first piece; they go down to 0

// The names of all batches, the last made first; `open_only`: of those that counts are made of.
typedef void check_names_done(void *ctx, enum err e, uint64_t next, const struct span *names,
                              size_t n);
MUST_USE enum err check_batches(struct queue *q, uint64_t cursor, bool open_only,
                                check_names_done *done, void *ctx);

enum check_tally {
    CHECK_JOBS, // of the named batches: "live", "queued", "ready LANE/MODEL"; and "batches",
                // how many of them are open, of all that are
    CHECK_RESERVED, // of the named batches: "reserved BATCH", millionths of USD
    CHECK_IMAGES,   // "stored", and "kept" of ended batches, bytes
    CHECK_SPARES    // "spare", bytes
};
struct check_count {
    struct span name;
    int64_t is;   // counted in this piece: pieces add up
    int64_t told; // what the queue says, of all pieces
};
typedef void check_counts_done(void *ctx, enum err e, uint64_t next,
                               const struct check_count *c, size_t n);
// Up to 1,000 names. A piece is what was so at one instant.
MUST_USE enum err check_counts(struct queue *q, enum check_tally what, uint64_t cursor,
                               size_t n, const struct span *names, check_counts_done *done,
                               void *ctx);
// Puts a count right that is still what it was told to be; value: what it is now, for a long
// way takes several calls. ERR_MISSING: it has moved.
MUST_USE enum err check_set_count(struct queue *q, const struct check_count *c,
                                  queue_done *done, void *ctx);

// --- Jobs -----------------------------------------------------------------------------------

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
