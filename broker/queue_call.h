// queue_call.h - making one call to the queue, and whom to tell the answer.
// For the files queue_*.c only.
#ifndef BROKER_QUEUE_CALL_H
#define BROKER_QUEUE_CALL_H

#include "broker/blob.h"
#include "broker/check.h"
#include "broker/dead.h"
#include "broker/ledger.h"
#include "broker/operation.h"
#include "broker/queue_args.h"
#include "broker/queue_reply.h"
#include "broker/queue_scripts.h"

// A command of one key, NAME KEY, and room for `max` more. The caller frees `key` when the call
// is made.
struct args *args_of_key(struct queue *q, struct buf *key, const char *command,
                         const char *kind, struct span rest, size_t max, size_t texts);

struct queue_call {
    // Reads the answer and tells it: r is NULL unless e is OK.
    void (*read)(const struct queue_call *c, enum err e, const redisReply *r);
    union {
        queue_done *value;
        queue_claim_done *claims;
        queue_marks_done *marks;
        queue_lead_done *answers;
        queue_renew_done *renewed;
        queue_inbox_done *inbox;
        queue_batch_done *batch;
        queue_names_done *names;
        queue_events_done *events;
        queue_inputs_done *inputs;
        queue_states_done *states;
        queue_workers_done *workers;
        queue_fields_done *fields;
        check_problems_done *problems;
        check_tickets_done *tickets;
        check_names_done *page;
        check_counts_done *counts;
        dead_done *dead;
        operation_begun_done *begun;
        operation_taken_done *taken;
        operation_list_done *operations;
        ledger_done *ledger;
        blob_done *blob;
        blob_chunks_done *chunks;
        blob_stock_done *stock;
    } done;
    void *ctx;
    size_t n;        // things asked for
    uint32_t first;  // of queue_states()
    size_t name_len; // of queue_status(): the batch
    char name[JOB_MAX_NAME];
    const struct reply_outcome *table;
    size_t n_table; // of call_value()
};
// For calls whose answer is {1, marks}, a character for each of the n things; {-1} the lease is
// lost.
void call_read_marks(const struct queue_call *c, enum err e, const redisReply *r);

// An array of strings, borrowed but for itself; `holes`: nil is an empty one. The caller frees
// it.
struct span *call_strings(const redisReply *r, bool holes, enum err *e);
// For calls whose answer is an array of strings: names.
void call_read_names(const struct queue_call *c, enum err e, const redisReply *r);

// What a script begins with: its KEYS, see lua/prelude.lua. NULL: out of memory.
struct args *script_args(struct queue *q, size_t max, size_t texts);

// Both take `a` (also when they fail); NULL, as after failing to make it, is ERR_NOMEM.
MUST_USE enum err call_script(struct queue *q, enum queue_script s, struct args *a,
                              const struct queue_call *c);
MUST_USE enum err call_command(struct queue *q, double timeout, struct args *a,
                               const struct queue_call *c);
// The same for one whose answer is a code and a value: `codes` say what the codes mean.
MUST_USE enum err call_value(struct queue *q, enum queue_script s, struct args *a,
                             const struct reply_outcome *codes, size_t n_codes,
                             queue_done *done, void *ctx);
#define CALL_CODES(t) (t), sizeof(t) / sizeof *(t)
double queue_timeout(const struct queue *q);
int64_t queue_ledger(const struct queue *q); // bytes it may have
#endif
