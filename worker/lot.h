// lot.h - jobs of one batch, model and project that are to become an operation together: what
// the queue is asked for, and told again until it has answered.
#ifndef WORKER_LOT_H
#define WORKER_LOT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/operation.h"
#include "broker/queue.h"

struct tasks;

struct lot {                   // {0}: none
    char id[OPERATION_ID + 1]; // of the operation, random
    char batch[JOB_MAX_NAME + 1], model[JOB_MAX_NAME + 1], project[JOB_MAX_NAME + 1];
    size_t n; // jobs
    struct queue_mark calls[QUEUE_MAX_JOBS];
    int64_t day;      // the first that there is room for them in; 0: any
    uint64_t in, out; // bytes of their requests; of their answers, about
    bool full;        // there was one more, and no room for it
};
// The first batch, model and project that a gathered task has, and as many of those as fit;
// `max_out` bytes of answers at most, unless it is but one. n 0: there is none.
void lot_gather(struct lot *l, const struct tasks *among, uint64_t max_out);
// Of those that are still there: whether they are named in a request that may move them.
void lot_name(const struct lot *l, struct tasks *among, bool named);
void lot_moved(const struct lot *l, struct tasks *among, struct span marks); // as task_moved()
#endif
