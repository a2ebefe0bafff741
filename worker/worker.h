// worker.h - a worker: one loop that claims jobs, sends them when the limiter says so, stores
// what comes back and settles. See task.h for the life of one job.
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/image.h"
#include "common/redis.h"

struct catalogue;
struct ev_loop;
struct keyring;
struct pool;
struct provider;
struct sink;
struct worker;

// The workers of one process, one a queue; they share its calls in flight.
#define WORKER_MAX_QUEUES 16
struct worker_peers {
    struct worker *at[WORKER_MAX_QUEUES];
    unsigned n;
};

struct worker_options { // borrowed for the worker's life
    const struct redis_url *redis;
    const char *ca_file;
    const char *queue;
    struct keyring *const *keyrings; // of the projects that calls may be sent through
    size_t n_keyrings;
    const char *project;  // the only one; "": there are several
    unsigned concurrency; // calls in flight, of all peers together
    struct worker_peers *peers;
    double lease, grace; // seconds
    enum image_check verify;
    const struct catalogue *catalogue;
    const char *sink_name; // for people to see
    int64_t ledger;        // bytes it may have; 0: calls are not entered
    unsigned max_batches;  // remote batches at a time, of the whole queue; 0: none from here
    uint64_t batch_bytes;  // of the answers of one
};

struct worker_parts { // owned by the caller, and freed after the worker
    struct provider *provider;
    struct pool *pool;
    // Makes the sink, which may want the queue; called once, from worker_new(). NULL: no
    // memory.
    struct sink *(*sink)(void *ctx, struct ev_loop *loop, void *queue);
    void *ctx;
};

struct worker *worker_new(struct ev_loop *loop, const struct worker_options *o,
                          const struct worker_parts *p); // NULL: out of memory
void worker_free(struct worker *w);
// Stops claiming, finishes what is in flight within the grace and hands back the rest; breaks
// the loop when all peers have done so.
void worker_drain(struct worker *w);
bool worker_drained(const struct worker *w); // nothing is left
// Why the server will never take us (a wrong password, a version too old); NULL while it may.
const char *worker_refused(const struct worker *w);
#endif
