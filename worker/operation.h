// operation.h - one remote batch in the hands of this worker, from the writing of its requests
// to the settling of its last row. What must survive a crash is noted in the queue before the
// next step (broker/operation.h), so that any worker goes on where this one stopped:
//
//   new:     write the lines -> upload -> note "making"
//   making:  make the batch -> note "running"   (the answer was lost: find it by its title)
//   running: look, less and less often -> fetch the rows -> settle each -> end
//
// Rows whose answers come are tasks as any others from then on. What is missing at the end goes
// back to the queue, as unknown where the provider may have made it.
#ifndef WORKER_OPERATION_H
#define WORKER_OPERATION_H

#include "broker/operation.h"
#include "worker/task.h"

struct op;

struct op_host {
    const struct task_host *tasks; // the worker's
    const char *queue;             // its name
    double lease;                  // seconds
    struct keyring *const *keyrings;
    size_t n_keyrings;
    void (*ended)(void *ctx); // some op has come to its end: op_over()
    void *ctx;
};

// `asked_us`: when the request that gave it was sent, CLOCK_BOOTTIME. NULL: out of memory.
struct op *op_new(const struct op_host *h, const struct operation *o, int64_t asked_us);
void op_connected(struct op *o);  // the connection to the queue is up again
void op_leave(struct op *o);      // others shall go on with it; op_over() soon
bool op_over(const struct op *o); // nothing is left of it here, and it may be freed
unsigned op_jobs(const struct op *o);
void op_free(struct op *o);
#endif
