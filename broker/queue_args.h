// queue_args.h - the arguments of one call to the queue. For the files queue_*.c only.
#ifndef BROKER_QUEUE_ARGS_H
#define BROKER_QUEUE_ARGS_H

#include <stdint.h>

#include "broker/queue.h"
#include "common/buf.h"
#include "common/err.h"

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
#endif
