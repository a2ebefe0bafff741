// blob.h - images that wait in Redis for a client to fetch them: a record and, for each image,
// a list of chunks. They live as long as their batch does: without an end while it has not
// ended, from then on within what the workers allow (blob_trim).
//
// A name is BATCH/INDEX. Chunks are pushed under a temporary name first, and get their own in
// the script that also keeps the record, if nobody was there before.
#ifndef BROKER_BLOB_H
#define BROKER_BLOB_H

#include "broker/queue.h"

#define BLOB_CHUNK (256u * 1024) // bytes

void blob_name(struct buf *out, struct span batch, uint32_t index);

// Appends a chunk to the temporary list `temp`, which goes after an hour. value: chunks in it.
MUST_USE enum err blob_push(struct queue *q, struct span temp, struct span chunk,
                            queue_done *done, void *ctx);
// record: empty when ours is kept now, or the batch is gone; else the one that was there first.
// Borrowed. Of one batch only: in `record` its nonce is looked for.
// `spare_s`: seconds that it stays after blob_drop(), for identical requests; 0: none.
typedef void blob_done(void *ctx, enum err e, struct span record);
MUST_USE enum err blob_keep(struct queue *q, struct span name, struct span record,
                            int64_t bytes, int64_t spare_s, size_t n, const struct span *temps,
                            blob_done *done, void *ctx);
// Copies image `image` of another to the temporary list `temp`. value: chunks; ERR_MISSING.
MUST_USE enum err blob_copy(struct queue *q, struct span name, unsigned image, struct span temp,
                            queue_done *done, void *ctx);
MUST_USE enum err blob_find(struct queue *q, struct span name, blob_done *done,
                            void *ctx); // ERR_MISSING
// `most` chunks of an image from chunk `first`; none when it is at its end.
typedef void blob_chunks_done(void *ctx, enum err e, const struct span *chunks, size_t n);
MUST_USE enum err blob_read(struct queue *q, struct span name, unsigned image, uint32_t first,
                            unsigned most, blob_chunks_done *done, void *ctx);
// Forgets it. value: 1 gone, 0 was not there.
MUST_USE enum err blob_drop(struct queue *q, struct span name, queue_done *done, void *ctx);

struct blob_bounds {     // of the images of batches that have ended
    int64_t keep_ms;     // that they stay after their batch's end
    int64_t most_ended;  // bytes that they may have in all
    int64_t most_stored; // bytes that all images may have, as calls wait for room; -1: none do
    int64_t
        calm_ms; // for bytes, nothing goes of a batch that ended, or was fetched from, later
};
struct blob_stock {
    int64_t stored, ended; // bytes of all images, and of those of ended batches
    int64_t jobs, bytes;   // whose images went now, those of the oldest batch first
    struct span batch;     // of which; borrowed
};
// Looks at how much there is, and brings it within bounds, a bounded part each time.
typedef void blob_stock_done(void *ctx, enum err e, const struct blob_stock *s);
MUST_USE enum err blob_trim(struct queue *q, const struct blob_bounds *b, blob_stock_done *done,
                            void *ctx);
#endif
