// held.h - compares what the server holds for this worker with what the worker knows of, after
// each renewal.
//
// Commands of one connection are answered in order, so that at the time of an answer every job
// that the server held when it gave it, is a task here; what is not is a stray (memory ran out
// when it was claimed) and is handed back. And a job of which the server says that it is over
// was cancelled: its call is cut off.
#ifndef WORKER_HELD_H
#define WORKER_HELD_H

#include "broker/queue.h"
#include "worker/tasks.h"

struct held;
struct lease;

struct held *held_new(struct queue *q, struct lease *l, struct tasks *t); // NULL: no memory
bool held_idle(const struct held *h); // no request is under way: it may be freed
void held_free(struct held *h);       // NULL is fine
// Jobs of these batches were cancelled of late.
void held_cancelled(struct held *h, const struct span *batches, size_t n);
// The server holds `active` jobs. Not to be called while things of the inbox are in hand, for
// those are no tasks.
void held_count(struct held *h, int64_t active);
#endif
