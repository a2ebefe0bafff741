// operation_private.h - what the files operation*.c share.
#ifndef WORKER_OPERATION_PRIVATE_H
#define WORKER_OPERATION_PRIVATE_H

#include <ev.h>

#include "worker/held.h"
#include "worker/operation.h"
#include "worker/remote.h"
#include "worker/tasks.h"

#define OP_MAX_LINES (1ull << 30) // bytes of its requests

struct op {
    const struct op_host *from;
    struct task_host host; // its tasks': the worker's, with a lease and pump of its own
    struct keyring *keys;  // of the project that it is made in
    struct lease *lease;
    struct held *held;
    struct tasks tasks; // its jobs that are not settled
    char id[OPERATION_ID + 1], batch[JOB_MAX_NAME + 1], model[JOB_MAX_NAME + 1];
    char title[JOB_MAX_NAME + OPERATION_ID + 16]; // by which it is found
    char noted[16];                               // its state when it came here
    char name[REMOTE_NAME], file[REMOTE_NAME], result[REMOTE_NAME];
    int64_t created_ms, made_ms, until_ms; // server time
    bool taken_over;                       // another worker began it

    ev_timer timer, due;
    void (*step)(struct op *o);             // what the timer does
    struct remote_call *call;               // under way, or NULL
    struct spool *lines;                    // its requests, until they are uploaded
    unsigned failures, asking;              // asking: requests to the queue under way
    int64_t find_until_us, cancel_until_us; // clock_boot_us(); 0: not begun
    struct {
        const char *state;
        bool made;
        void (*then)(struct op *o);
    } note;

    enum remote_state state;
    int64_t good;                   // as remote_reply's
    uint64_t delivered;             // rows with an answer that have come
    struct provider_result verdict; // for the rows that have none
    bool stop;                      // its time is up, or nobody wants it any more
    bool doubt;                     // whether it was made is not known
    bool paused;                    // fetching, and rows enough are in hand
    bool settling;                  // all rows have their answer, or a verdict
    bool busy;                      // tasks are being gone through
    bool making;                    // the call that makes it is under way
    bool loaded, leaving, lost, over;
};

// --- operation.c: what is done at the provider
void op_after(struct op *o, double seconds, void (*step)(struct op *o));
void op_note_again(struct op *o);
void op_begin(struct op *o, struct span state); // its jobs are there
void op_nudge(struct op *o);                    // some of them may be over
void op_init_timers(struct op *o);

// --- operation_hold.c: holding it
void op_go_away(struct op *o);      // leaves it, once nothing is in hand
void op_look_if_done(struct op *o); // ends it, when nothing is left
// Of the call that makes the job in this slot: the same whoever asks.
void op_call_id(const struct op *o, unsigned slot, uint8_t out[static QUEUE_CALL_ID]);
#endif
