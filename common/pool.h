// pool.h - threads for what computes or waits for the disk: image checks, thumbnails, syncs,
// links. Bytes in, bytes out, no shared state: a task belongs to the loop before pool_add() and
// from `done` on, to one thread in between. Results come back to the loop through ev_async.
#ifndef COMMON_POOL_H
#define COMMON_POOL_H

#include <sys/queue.h>

#include "common/err.h"

struct ev_loop;
struct pool;

struct pool_task {                     // embedded; must stay where it is until `done`
    void (*work)(struct pool_task *t); // on a thread
    void (*done)(struct pool_task *t); // on the loop, once
    STAILQ_ENTRY(pool_task) link;
};

// `nice`: added to the threads' own niceness, 0 to 19. With 19 they take what processor time
// others leave and next to none of what others want (Linux, sched(7): a weight of 15 beside the
// usual 1024), while SCHED_IDLE could hold up for ever what is waited for at the end. It is not
// taken back: that would need privileges. NULL: no memory or no threads.
struct pool *pool_new(struct ev_loop *loop, unsigned threads, int nice);
unsigned pool_cores(unsigned most); // processors that are online: at least 2, at most `most`
void pool_free(struct pool *p); // waits for what runs; what has not begun is dropped, not done
void pool_add(struct pool *p, struct pool_task *t);
#endif
