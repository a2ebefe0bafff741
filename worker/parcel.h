// parcel.h - the images of one answer on their way from the provider to the sink: checked,
// named, described by a completed event, stored.
#ifndef WORKER_PARCEL_H
#define WORKER_PARCEL_H

#include "broker/event.h"
#include "broker/queue.h"
#include "common/image.h"
#include "worker/provider.h"
#include "worker/sink.h"

struct parcel;
struct pool;

// Takes the result's spools and copies its texts. NULL: out of memory.
struct parcel *parcel_new(struct provider_result *r);
// The images of the job that is stored at `batch` and `index`, with its event and whole text,
// to be another one's as well. They need no check; storing them is ERR_MISSING where they are
// gone. All is copied. NULL: out of memory.
struct parcel *parcel_shared(const struct event *e, struct span text, struct span batch,
                             uint32_t index);
void parcel_free(struct parcel *p); // not while a callback is to come; NULL is fine

// Looks at every image on a thread. OK: all are whole; ERR_FORMAT, ERR_TOOBIG: one is not,
// `why` says what is wrong; ERR_IO and others: of this host.
typedef void parcel_checked(void *ctx, enum err e, struct span why);
void parcel_check(struct parcel *p, struct pool *pool, enum image_check how,
                  parcel_checked *done, void *ctx);

struct parcel_label { // borrowed until stored
    const struct job *job;
    struct span id, batch, nonce, worker, call_id;
    uint32_t digest, index, total;
    uint16_t run, attempts;
    int64_t cost_micro;
    struct span deduped_of; // empty: a call of its own made them
    int64_t spare_s;        // see sink.h
};
// OK: stored, with `r` ours; or `adopted`: `r` is that of who was first. Its event is what is
// to be settled. Else (r is NULL) nothing was stored, and it may be tried again.
struct record;
typedef void parcel_stored(void *ctx, enum err e, const struct record *r, bool adopted,
                           struct span why);
MUST_USE enum err parcel_store(struct parcel *p, struct sink *sink,
                               const struct parcel_label *label, parcel_stored *done,
                               void *ctx);
bool parcel_is_shared(const struct parcel *p);
uint64_t parcel_bytes(const struct parcel *p);
unsigned parcel_images(const struct parcel *p);
#endif
