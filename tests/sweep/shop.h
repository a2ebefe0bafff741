// shop.h - a whole worker, with a provider of the test's own that makes the same picture of
// whatever it is asked for.
#ifndef TESTS_SWEEP_SHOP_H
#define TESTS_SWEEP_SHOP_H

#include <sys/queue.h>

#include "broker/projects.h"
#include "sweep.h"
#include "worker/provider.h"
#include "worker/spool.h"
#include "worker/worker.h"

#define SHOP_BATCH "cats"
#define SHOP_TOTAL 2

struct shop {
    struct provider base; // first
    struct farm *farm;
    struct projects projects;
    struct keyring *keys;
    struct catalogue *catalogue;
    struct redis_url url;
    struct worker_peers peers;
    struct pool *pool;
    struct spool_place place;
    struct buf picture;
    struct worker *worker; // NULL: out of memory
    unsigned calls;        // that the provider was asked, and may bill
};

// SHOP_TOTAL jobs in a fresh queue on `route` (NULL: none yet), and all that the worker needs.
void shop_open(struct shop *s, struct farm *f, const char *route);
// Makes the worker; false: out of memory.
bool shop_begin(struct shop *s, const struct provider_ops *ops);
void shop_ready(struct shop *s); // waits until it holds its lease, and is connected to wait
void shop_done(struct shop *s);  // waits until all jobs are, then drains
void shop_drain(struct shop *s); // returns when nothing is left in the worker
void shop_audit(struct shop *s); // no invariant of the queue and of accounts is broken
// Nor is one then; each job was completed once, with the picture and its text, whole; and each
// call is counted.
void shop_check(struct shop *s);
void shop_close(struct shop *s);

// One answer with the picture; without memory one that tells so. The caller frees the spool
// that is left in it.
struct provider_result shop_picture(struct shop *s);
extern const struct provider_ops shop_calls; // answers each call from a later turn of the loop
#endif
