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
    unsigned refused;                       // by Redis, one after the other
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
    bool unreached;                 // there was no way to the provider at the last try
    bool loaded, leaving, lost, over;
};

// --- operation.c: its steps
void op_after(struct op *o, double seconds, void (*step)(struct op *o));
double op_pause(struct op *o); // seconds until what failed is tried again
bool op_stops(struct op *o);   // it goes no further here: is left, or lost
// An answer of the queue has come. False: nothing more is to be done about it; what was asked
// is asked `again`, where that is worth it.
bool op_answered(struct op *o, enum err e, void (*again)(struct op *o));
// Writes down where it stands, then goes on; `made`: the batch was made just now.
void op_note(struct op *o, const char *state, bool made, void (*then)(struct op *o));
// Redis did not do it: the same again, after pauses that grow until it answers.
void op_again(struct op *o, void (*step)(struct op *o));
void op_note_again(struct op *o);
void op_take_name(char *to, struct span from); // REMOTE_NAME bytes, cut
double op_server_now(const struct op *o);      // seconds
const struct remote_ops *op_remote(const struct op *o);
bool op_all_over(const struct op *o); // each of its jobs was cancelled
void op_load(struct op *o);           // its jobs, then what comes next
void op_nudge(struct op *o);          // some of them may be over
void op_init_timers(struct op *o);

// --- operation_make.c: making it at the provider
void op_build(struct op *o);      // from the beginning
void op_upload(struct op *o);     // its lines are written
void op_find_first(struct op *o); // it may have been made

// --- operation_wait.c: waiting for its end
void op_look(struct op *o);
void op_still_waiting(struct op *o);

// --- operation_rows.c: its answers
void op_fetch(struct op *o);
void op_finish(struct op *o);        // all there will ever be of the rows has come
void op_finish_unmade(struct op *o); // nothing was made of it at all
// It was refused: each job is told so.
void op_refused(struct op *o, const struct remote_reply *r);

// --- operation_hold.c: holding it
void op_go_away(struct op *o);      // leaves it, once nothing is in hand
void op_look_if_done(struct op *o); // ends it, when nothing is left
#endif
