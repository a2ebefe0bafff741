// task_batch.h - jobs of lane batch: gathered under their worker until they are put into an
// operation (broker/operation.h), then rows of it, under the operation's own lease.
//
//   task_start -> GATHERED -> moved into an operation (or back, or into the standard lane)
//   task_row_new -> ROW -> CHECKING -> STORING -> SETTLING -> gone, as any other answer
#ifndef WORKER_TASK_BATCH_H
#define WORKER_TASK_BATCH_H

#include "worker/provider.h"
#include "worker/task.h"

bool task_wants_batch(const struct task *t); // its lane is batch
void task_gather(struct task *t);            // it waits; or goes standard, if it is late
bool task_is_gathered(const struct task *t);
double task_due(const struct task *t); // Unix time, after which it is to go on without a batch;
                                       // 0: never
struct task_lot {                      // what it is to a batch
    struct span batch, model;
    struct queue_mark mark; // without a project
    struct span project;    // whose room it has, if it is
    bool affordable;        // there is room for it in what its user and its project may use...
    int64_t day;            // ...of this day, see purse_day()
    uint64_t bytes_in, bytes_out; // of its request; of its answer, about
};
struct task_lot task_lot(const struct task *t);
// It is named in a request that may make it part of an operation; or that did not.
void task_named(struct task *t, bool named);
// The server's word about a gathered job: '1' it is in the operation now and no longer this
// task's, '0' it was over, 'b' there is no money for it. The task may be gone.
void task_moved(struct task *t, char mark);

// A job of an operation, claimed under its incarnation. NULL: out of memory.
struct task *task_row_new(struct task_host *h, const struct queue_claimed *c,
                          const char *project, int64_t begun_ms);
// Fails it if its input cannot be done at all; to be asked once it is among the others.
void task_row_check(struct task *t);
const struct job *task_job(const struct task *t);
bool task_row_waits(const struct task *t);   // its answer has not come
bool task_row_is_over(const struct task *t); // it was cancelled meanwhile
// Its answer has come; `call_id`: QUEUE_CALL_ID bytes, the same whoever tells.
void task_row(struct task *t, const uint8_t *call_id, struct provider_result *r);
// No answer will come, and the job is not to blame: it goes back, into the standard lane if its
// time for batches is over, or ends if all its time is. `unknown`: it may have been billed.
void task_row_back(struct task *t, bool unknown);
#endif
