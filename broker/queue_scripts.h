// queue_scripts.h - the scripts of the queue, by number. For the files queue_*.c only.
#ifndef BROKER_QUEUE_SCRIPTS_H
#define BROKER_QUEUE_SCRIPTS_H

#include "common/redis.h"

// number, file in lua/ without its ending
#define QUEUE_SCRIPTS(X)             \
    X(SCRIPT_CREATE, create)         \
    X(SCRIPT_CHUNK, chunk)           \
    X(SCRIPT_SEAL, seal)             \
    X(SCRIPT_REGISTER, register)     \
    X(SCRIPT_LEAVE, leave)           \
    X(SCRIPT_CLAIM, claim)           \
    X(SCRIPT_LEAD, lead)             \
    X(SCRIPT_SENT, sent)             \
    X(SCRIPT_SETTLE, settle)         \
    X(SCRIPT_RENEW, renew)           \
    X(SCRIPT_TICK, tick)             \
    X(SCRIPT_INBOX_TAKE, inbox_take) \
    X(SCRIPT_INBOX_PUT, inbox_put)   \
    X(SCRIPT_CANCEL, cancel)         \
    X(SCRIPT_RETRY, retry)           \
    X(SCRIPT_PAUSE, pause)           \
    X(SCRIPT_WORKERS, workers)       \
    X(SCRIPT_BLOB_PUSH, blob_push)   \
    X(SCRIPT_BLOB, blob)             \
    X(SCRIPT_BLOB_DROP, blob_drop)   \
    X(SCRIPT_BLOB_COPY, blob_copy)   \
    X(SCRIPT_BLOB_TRIM, blob_trim)   \
    X(SCRIPT_ORPHAN, orphan)         \
    X(SCRIPT_TELL, tell)             \
    X(SCRIPT_MINE, mine)             \
    X(SCRIPT_HANDBACK, handback)     \
    X(SCRIPT_FSCK, fsck)             \
    X(SCRIPT_TICKETS, tickets)       \
    X(SCRIPT_MEND, mend)             \
    X(SCRIPT_BUDGET, budget)         \
    X(SCRIPT_DEAD, dead)             \
    X(SCRIPT_DEAD_DROP, dead_drop)   \
    X(SCRIPT_OP_BEGIN, op_begin)     \
    X(SCRIPT_OP_TAKE, op_take)       \
    X(SCRIPT_OP_NOTE, op_note)       \
    X(SCRIPT_OP_END, op_end)         \
    X(SCRIPT_OP_LIST, op_list)       \
    X(SCRIPT_CALLS, calls)           \
    X(SCRIPT_HELD, held)             \
    X(SCRIPT_TALLY, tally)           \
    X(SCRIPT_VOID, void)

enum queue_script {
#define X(number, name) number,
    QUEUE_SCRIPTS(X)
#undef X
};
// As redis_eval() takes it; its digest is kept there from the first use on.
struct redis_script *queue_script(enum queue_script s);
#endif
