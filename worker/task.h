// task.h - one job in a worker, from its claim to its settle.
//
//            +-- LOOKUP (delivered before: is it stored already?) --+
//   claimed -+                                                      +-> SETTLING (as found)
//            +-> ASKING (may it share a request? --dedupe) -> SEEKING -> STORING, or gone:
//            follows
//            +-> BACKLOG -> GATE -> PURSE -> MARKING -> CALLING -> CHECKING -> STORING ->
//            SETTLING -> gone
//                   ^                             |          |           |
//                   +-------- WAITING <-----------+----------+-----------+   (short waits)
//                                                 +--> SETTLING as R (long ones), F, X
//
// Only PURSE to CHECKING hold one of the worker's --concurrency slots; a task that waits or
// settles holds none.
#ifndef WORKER_TASK_H
#define WORKER_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/queue.h"
#include "worker/gate.h"

struct catalogue;
struct ev_loop;
struct lease;
struct pool;
struct provider;
struct purse;
struct sink;
struct storage;
struct task;
struct uplink;

#include "common/image.h"

struct task_host { // what tasks need of their worker; one for all of them
    struct ev_loop *loop;
    struct queue *queue;
    struct lease *lease;
    struct provider *provider;
    struct sink *sink;
    struct storage *storage;
    struct pool *pool;
    struct gates *gates;
    struct purse *purse;
    struct uplink *uplink;
    const struct catalogue *catalogue;
    enum image_check verify;
    const char *name;    // HOST:PID, in events
    const char *project; // whose keys these are; "": of several
    bool ledger;         // calls are entered there
    struct pump *settles, *marks, *asks;

    // Told by tasks.
    void (*ready)(void *ctx, struct task *t); // wants a concurrency slot: task_go() gives it
    void (*freed)(void *ctx, struct task *t); // has given it back
    void (*gone)(void *ctx, struct task *t);  // has ended, and frees itself after this
    // How the last request to mark calls as sent ended; may be NULL.
    void (*marked)(void *ctx, enum err e);
    void *ctx;
    int64_t server_offset_ms; // server time less clock_wall_ms(): task_host_now_ms()
    bool draining;            // nothing new is sent; what waits goes back
    unsigned stuck;           // tasks whose images cannot be stored for now
    // Of an operation: its calls are counted by whoever settles their rows, and by nobody else.
    bool remote;
};

int64_t task_host_now_ms(const struct task_host *h); // server time

// A job that was claimed under `seq`. Copies what it needs. NULL: out of memory, or an input
// that is not valid; then `why` has words and the job must be handed back or failed by the
// caller.
struct task *task_new(struct task_host *h, uint64_t seq, const struct queue_claimed *c);
void task_start(struct task *t); // ready() follows, or a settle
void task_go(struct task *t);    // it has a slot now
void task_drain(struct task *t); // give it back unless its call is under way
void task_abort(struct task *t); // its batch was cancelled: ends a call under way as unknown
// The lease is gone: nothing may be settled. A call that was sent ends and is stored, for the
// next worker to find; one that was not is given up.
void task_lost(struct task *t);
void task_free(struct task *t); // without a word to anyone, at the end of the process
struct span task_batch(const struct task *t);
struct queue_field task_field(const struct task *t);
bool task_is_lost(const struct task *t); // its lease is gone
bool task_in_flight(const struct task *t);

// What the pumps of `h` are made with.
extern const struct pump_ops task_settle_ops, task_mark_ops, task_ask_ops;
#endif
