// batcher.h - lane batch of one worker: gathers jobs until they make a batch of a bounded size,
// has the queue put them into an operation, and sees to it that no operation is without
// somebody who looks after it.
#ifndef WORKER_BATCHER_H
#define WORKER_BATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

struct batcher;
struct lease;
struct task_host;
struct tasks;

struct batcher_options {
    const struct task_host *host; // the worker's
    struct lease *lease;
    struct tasks *tasks; // among which the gathered ones are
    const char *queue;
    double seconds;                  // of a lease
    struct keyring *const *keyrings; // of the projects that batches may be made in
    size_t n_keyrings;
    unsigned most;            // batches at a time, of the whole queue; 0: none are begun here
    uint64_t max_bytes;       // of the answers of one
    void (*turn)(void *ctx);  // more may be claimed
    void (*empty)(void *ctx); // batcher_empty() is true now
    void *ctx;
};
struct batcher *batcher_new(const struct batcher_options *o); // NULL: out of memory
void batcher_free(struct batcher *b);                         // NULL is fine
void batcher_connected(struct batcher *b); // the connection to the queue is up again
void batcher_drain(struct batcher *b);     // leaves all operations to others
bool batcher_empty(const struct batcher *b);
// How many jobs of this lane and model may be claimed now; 0 also when it is no lane of
// batches.
unsigned batcher_room(struct batcher *b, struct span lane_model);
bool batcher_wants(struct span lane_model); // whether it is one
void batcher_wake(struct batcher *b);       // a job was gathered
#endif
