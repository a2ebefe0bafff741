// operation.h - remote batches ("operations"): many jobs in one call to the provider that takes
// hours. The scripts are lua/op_*.lua; lua/ops.lua says how they hang together.
//
// The jobs of an operation are active under an incarnation of its own, with a lease; they are
// claimed again (queue_claim with number 1), settled, renewed as those of a worker. Nobody who
// held it before can do anything once another has taken it over.
#ifndef BROKER_OPERATION_H
#define BROKER_OPERATION_H

#include "broker/queue.h"

#define OPERATION_ID 16 // hex digits

struct operation_new {
    struct span inc; // of the worker that has claimed the jobs
    struct span op;  // its id
    struct span batch, model, project;
    int64_t lease_ms, keep_ms; // keep: how long its end is hoped for
    unsigned most;             // operations there may be in the queue
    int64_t day; // that users and projects have room for it, see account.h; 0: any
    size_t n;
    const struct queue_mark *calls; // their `project` is not looked at
};
// marks: as queue_sent()'s; the k-th job, from 1, is {1, k} under `inc`, which is empty when
// none was marked.
typedef void operation_begun_done(void *ctx, enum err e, struct span marks, struct span inc);
// Marks jobs as sent and puts them into a new operation. ERR_LIMIT: there are too many, or its
// day is over.
MUST_USE enum err operation_begin(struct queue *q, const struct operation_new *o,
                                  operation_begun_done *done, void *ctx);

struct operation { // spans valid for the time of the callback
    struct span op, inc;
    struct span state; // "new": nothing was made of it; "making": it may have been; "running"
    struct span name, file; // at the provider; may be empty
    struct span batch, model, project;
    int64_t created_ms, until_ms, made_ms; // server time; made 0: not known to be
    int64_t jobs;                          // it had at first
};
// o NULL: there is none that nobody has.
typedef void operation_taken_done(void *ctx, enum err e, const struct operation *o);
// Of one of these projects, whose keys it needs.
MUST_USE enum err operation_take(struct queue *q, struct span inc, int64_t lease_ms, size_t n,
                                 const struct span *projects, operation_taken_done *done,
                                 void *ctx);

// Writes down how far it is: "state", "name", "file"; "made" is set to the server's time.
// value: that time, ms.
MUST_USE enum err operation_note(struct queue *q, struct span inc, struct span op, size_t n,
                                 const struct queue_fact *facts, queue_done *done, void *ctx);
// Forgets it if it has no jobs left; else, with `leave`, leaves it to others. value: jobs left.
MUST_USE enum err operation_end(struct queue *q, struct span inc, struct span op, bool leave,
                                queue_done *done, void *ctx);

// Those there are, for people to see, 200 at most: what is not told of them is empty or 0;
// `jobs` is how many are not settled, about.
typedef void operation_list_done(void *ctx, enum err e, const struct operation *o, size_t n);
MUST_USE enum err operation_list(struct queue *q, operation_list_done *done, void *ctx);
#endif
