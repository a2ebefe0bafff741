// storage.h - whether images can be stored now; and telling the batches that jobs are held of
// when they cannot, so that who follows them need not look into a worker's log. The jobs wait,
// attempts untouched, as at a key that is refused.
#ifndef WORKER_STORAGE_H
#define WORKER_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

struct ev_loop;
struct queue;
struct storage;

struct storage_options {
    struct queue *queue;
    const char *worker; // HOST:PID; borrowed
    // Images cannot be stored any more: nothing that has not been sent should be.
    void (*closed)(void *ctx);
    void *ctx;
};
struct storage *storage_new(struct ev_loop *loop, const struct storage_options *o); // or NULL
void storage_free(struct storage *s); // NULL is fine
// A job of this batch is held, so that it is told: the last 64 are.
void storage_saw(struct storage *s, struct span batch, struct span nonce);
// It cannot be stored, to be said after each try; `why` says where, and what may be done.
void storage_fails(struct storage *s, struct span why);
void storage_works(struct storage *s);
bool storage_closed(const struct storage *s);
#endif
