// submit.h - puts a batch into the queue: create, chunks, seal. Each may be sent twice, so a
// lost connection costs nothing; submitting the same batch again adds what is missing.
#ifndef CLIENT_SUBMIT_H
#define CLIENT_SUBMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct session;

struct submit_item {   // borrowed until the next call of the source
    struct span id;    // as events show it
    struct span map;   // job_encode()'s
    const char *route; // queue_route()'s
};
// Gives item i; may be asked for the same one again.
typedef enum err submit_source(void *ctx, uint32_t i, struct submit_item *out);

struct submit_options {
    struct span batch, user;
    uint32_t total;
    bool fail_unknown;
    int64_t keep_s;      // after its end
    int64_t budget;      // millionths of USD; 0: none
    int64_t cheapest;    // as queue_create()'s
    struct span options; // kept with the batch, for who collects it: JSON text
    submit_source *source;
    void *ctx;
    void (*progress)(void *ctx, uint32_t in); // may be NULL
    // Refused when the queue would have more than that; 0: no limit. See queue_create().
    int64_t max_queue, max_queue_bytes;
    bool wait; // for room, and for the server, for as long as it takes
    void (*waiting)(void *ctx, enum err e, const char *words); // see patience.h; may be NULL
};
struct submit_result {
    uint32_t was_in; // jobs that were there before
    uint32_t index;  // ERR_EXISTS: the job that is there with another input
};
// ERR_LIMIT: the queue is full, and ERR_RANGE: it could never hold them; nothing is in then.
// ERR_FULL: the server is. ERR_CANCELLED: interrupted. `why` says what is in. ERR_EXISTS:
// another batch has the name, or another input the index; ERR_ORDER: the batch was closed with
// another number of jobs. `why` gets a sentence.
MUST_USE enum err submit_batch(struct session *s, const struct submit_options *o,
                               struct submit_result *r, struct buf *why);
#endif
