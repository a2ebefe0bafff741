// pool.h - threads for what computes or waits for the disk: image checks, syncs, links. Bytes
// in, bytes out, no shared state; results come back to the loop through ev_async.
#ifndef WORKER_POOL_H
#define WORKER_POOL_H

#include <sys/queue.h>

#include "common/err.h"

struct ev_loop;
struct pool;

struct pool_task {                     // embedded; must stay where it is until `done`
    void (*work)(struct pool_task *t); // on a thread
    void (*done)(struct pool_task *t); // on the loop, once
    STAILQ_ENTRY(pool_task) link;
};

struct pool *pool_new(struct ev_loop *loop, unsigned threads); // NULL: no memory or no threads
void pool_free(struct pool *p); // waits for what runs; what has not begun is dropped, not done
void pool_add(struct pool *p, struct pool_task *t);
#endif
