// queue_reply.h - reading answers of Redis, whatever they turn out to be. Nothing here trusts a
// type, a length or a count; what is not as expected is ERR_FORMAT, never a crash.
#ifndef BROKER_QUEUE_REPLY_H
#define BROKER_QUEUE_REPLY_H

#include "broker/queue.h"

const redisReply *reply_at(const redisReply *r, size_t i); // NULL: no array, or too short
size_t reply_count(const redisReply *r);                   // 0 unless it is an array
bool reply_str(const redisReply *r, struct span *out);     // a string; `out` is borrowed
bool reply_nil(const redisReply *r);                       // nil, or nothing at all
bool reply_int(const redisReply *r, int64_t *out);         // an integer, or a string of one
// A string of digits, or 0 where there is none or another thing.
int64_t reply_int_or_zero(const redisReply *r);

// Answers of scripts: an array that begins with a code. `value` is the next element, when it is
// an integer, else 0.
struct reply_outcome {
    int64_t code;
    enum err err;
};
MUST_USE enum err reply_outcome(const redisReply *r, const struct reply_outcome *table,
                                size_t n, int64_t *value);
// Of scripts that answer {1, next cursor, {...}}, with n elements to a thing: how many things
// there are; 0 with *e set when it is something else, or was set before.
size_t reply_page(const redisReply *r, size_t n, uint64_t *next, enum err *e);
// LANE/MODEL, jobs, LANE/MODEL, jobs, ... Room for reply_count(r) / 2 in `out`.
MUST_USE enum err reply_ready(const redisReply *r, struct queue_ready *out, size_t *n);
// PRIORITY/LANE/MODEL/BATCH into its parts.
MUST_USE enum err reply_list(struct span list, struct queue_claimed *out);
// "17-0": the number in front; the other is always 0.
MUST_USE enum err reply_event_id(struct span s, uint64_t *number);
// "SEQ:SLOT", as the active hash has it.
MUST_USE enum err reply_field(struct span s, struct queue_field *out);
#endif
