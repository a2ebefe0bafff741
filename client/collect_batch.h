// collect_batch.h - what a queue knows of a batch before its events are read: its counters,
// what it waits for, its inputs.
#ifndef CLIENT_COLLECT_BATCH_H
#define CLIENT_COLLECT_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define COLLECT_NONCE_SIZE 33

struct output;
struct patience;
struct session;

struct collect_batch { // {0} is empty; its strings are owned by collect_batch_free()
    struct buf options, user;
    struct buf paused_by, blocked_by; // see queue.h
    char nonce[COLLECT_NONCE_SIZE];   // in hex: tells it from another one of its name
    int64_t total, in, open, completed, failed, cancelled, cost_micro;
    int64_t refused, expected;                         // see queue.h
    int64_t budget_micro, reserved_micro, spent_micro; // see queue.h
    int64_t images_gone;                 // jobs whose images nobody fetched in time
    int64_t calls, possible_double_bill; // calls: that went out, as far as it is known
    int64_t created_ms, done_ms, last_event;
    bool sealed, paused, cancelling, pushed;
};
MUST_USE enum err collect_status(struct session *s, struct span batch, struct collect_batch *b);
MUST_USE enum err collect_status_patiently(struct patience *p, struct span batch,
                                           struct collect_batch *b);
// Says in `why` what collect_status() failed for, where the error's own text would not.
void collect_explain(enum err e, struct span batch, struct buf *why);
void collect_batch_free(struct collect_batch *b);
bool collect_is_there(struct session *s, struct span batch); // false also when it is not known
// Fetches the inputs that the output does not have. This and collect_status() wait half a
// minute for a server that went away, or as `p` says.
MUST_USE enum err collect_inputs(struct session *s, struct span batch, struct output *o);
MUST_USE enum err collect_inputs_patiently(struct patience *p, struct span batch,
                                           struct output *o);
#endif
