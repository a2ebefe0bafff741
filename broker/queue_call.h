// queue_call.h - making one call to the queue: its arguments, and whom to tell the answer.
// For the files queue_*.c only.
#ifndef BROKER_QUEUE_CALL_H
#define BROKER_QUEUE_CALL_H

#include "broker/blob.h"
#include "broker/check.h"
#include "broker/dead.h"
#include "broker/ledger.h"
#include "broker/operation.h"
#include "broker/queue_reply.h"

// Arguments, their spans and the texts made for them in one piece of memory that is sized
// before, so that a call of 1,000 jobs allocates no more than one of a single job. The first
// failure sticks, and is that of the call: ERR_TOOBIG of what does not fit.
struct args {
    size_t n, max, used, room;
    enum err err;
    char *text;
    struct span v[];
};
#define ARGS_INT 21   // bytes of text an integer may take
#define ARGS_KEY 1024 // bytes of a key

// `texts`: bytes for what args_int() and args_bytes() add. NULL: out of memory.
struct args *args_new(size_t max, size_t texts);
void args_add(struct args *a, struct span s);       // borrowed until the call is made
void args_str(struct args *a, const char *s);       // as above
void args_buf(struct args *a, const struct buf *b); // as above; its failure becomes that of `a`
void args_int(struct args *a, int64_t v);
void args_uint(struct args *a, uint64_t v);
char *args_bytes(struct args *a, size_t n); // n bytes to be written; NULL when full
void args_field(struct args *a, const struct queue_field *f);
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
    size_t n_table; // of call_read_value()
};
#define CALL_TABLE(t) .table = (t), .n_table = sizeof(t) / sizeof *(t)

// For calls whose answer is a code and a value: `table` says what the codes mean.
void call_read_value(const struct queue_call *c, enum err e, const redisReply *r);

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

enum queue_script {
    SCRIPT_CREATE,
    SCRIPT_CHUNK,
    SCRIPT_SEAL,
    SCRIPT_REGISTER,
    SCRIPT_LEAVE,
    SCRIPT_CLAIM,
    SCRIPT_LEAD,
    SCRIPT_SENT,
    SCRIPT_SETTLE,
    SCRIPT_RENEW,
    SCRIPT_TICK,
    SCRIPT_INBOX_TAKE,
    SCRIPT_INBOX_PUT,
    SCRIPT_CANCEL,
    SCRIPT_RETRY,
    SCRIPT_PAUSE,
    SCRIPT_WORKERS,
    SCRIPT_BLOB_PUSH,
    SCRIPT_BLOB,
    SCRIPT_BLOB_DROP,
    SCRIPT_BLOB_COPY,
    SCRIPT_BLOB_TRIM,
    SCRIPT_ORPHAN,
    SCRIPT_TELL,
    SCRIPT_MINE,
    SCRIPT_HANDBACK,
    SCRIPT_FSCK,
    SCRIPT_TICKETS,
    SCRIPT_MEND,
    SCRIPT_BUDGET,
    SCRIPT_DEAD,
    SCRIPT_DEAD_DROP,
    SCRIPT_OP_BEGIN,
    SCRIPT_OP_TAKE,
    SCRIPT_OP_NOTE,
    SCRIPT_OP_END,
    SCRIPT_OP_LIST,
    SCRIPT_CALLS,
    SCRIPT_HELD,
    SCRIPT_TALLY,
    SCRIPT_VOID,
    SCRIPTS
};
// Both take `a` (also when they fail); NULL, as after failing to make it, is ERR_NOMEM.
MUST_USE enum err call_script(struct queue *q, enum queue_script s, struct args *a,
                              const struct queue_call *c);
MUST_USE enum err call_command(struct queue *q, double timeout, struct args *a,
                               const struct queue_call *c);
double queue_timeout(const struct queue *q);
int64_t queue_ledger(const struct queue *q); // bytes it may have
#endif
