// sink.h - where finished images go: one of the two vtables of the worker.
//
// What is stored is the images and, written last, a record: the completed event as it will be
// settled, the batch's nonce and the input's digest. The first writer wins; the loser adopts
// the record that is there. A job that is delivered again looks for its record before it is
// sent: if nonce and digest match, it is settled without a call.
#ifndef WORKER_SINK_H
#define WORKER_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/event.h"
#include "common/buf.h"
#include "common/err.h"

struct sink;
struct spool;

struct sink_image {
    struct spool
        *spool;       // the bytes, whole and checked; owned by the caller; NULL: from `source`
    struct span name; // job_image_name()
    uint64_t bytes;
};

// A stored job of which the images are copied, one to one.
struct sink_source {
    struct span batch;
    uint32_t index;
    const struct event_image *images; // as its record has them
};

struct sink_item { // borrowed until the callback
    struct span batch;
    uint32_t index;
    uint16_t run;
    struct span record; // record_encode()
    unsigned n_images;
    struct sink_image images[EVENT_MAX_IMAGES];
    const struct sink_source *source; // NULL: all images are spools
    int64_t spare_s; // that it should stay, once it was fetched, for identical requests
};

// OK: stored, or with `record` not empty: adopt this one, another was first. For lookups the
// record that was found. ERR_MISSING: none, or the images of `source` are not there as its
// record says. Other errors: nothing under a final name is half.
typedef void sink_done(void *ctx, enum err e, struct span record, struct span why);

struct sink_ops {
    // Each calls back once, never from inside.
    enum err (*lookup)(struct sink *s, const struct sink_item *item, sink_done *done,
                       void *ctx);
    enum err (*store)(struct sink *s, const struct sink_item *item, sink_done *done, void *ctx);
    // How many of `want` calls may begin, when `busy` are under way already. `needed`: there
    // are jobs for them. `why` gets a sentence when there is none that those under way, or a
    // reader, will make free.
    unsigned (*room)(struct sink *s, unsigned busy, unsigned want, bool needed,
                     struct buf *why);
    void (*place)(struct sink *s, struct buf *out, const struct sink_item *item); // event.sink
    void (*free)(struct sink *s);
};
struct sink { // first member of every sink
    const struct sink_ops *ops;
};

struct ev_loop;
struct pool;
struct queue;
// PATH must be there. NULL: it is not, or out of memory.
struct sink *sink_dir_new(struct pool *pool, const char *path);
struct sink_bounds {    // of the Redis sink
    int64_t max_stored; // bytes, before new calls wait
    int64_t keep_bytes; // that the images of batches that have ended may have
    int64_t keep_ms;    // that they stay after the end
};
struct sink *sink_redis_new(struct ev_loop *loop, struct queue *q, const struct sink_bounds *b);

// --- The record -----------------------------------------------------------------------------

struct record {          // spans borrowed
    struct span nonce;   // of the batch, 16 bytes
    struct span call_id; // of the call that made the images
    uint32_t digest;     // of the input
    struct span event;   // event_encode() of the completed event
    struct span text;    // whole, where the event's is cut
};
void record_encode(struct buf *out, const struct record *r);
MUST_USE enum err record_decode(struct record *r, struct span bytes);
#endif
