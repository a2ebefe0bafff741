// inbox.h - takes in what producers in other languages pushed to the queue's inbox: each thing
// is held under this worker's lease until it is placed, so that a crash loses nothing.
#ifndef WORKER_INBOX_H
#define WORKER_INBOX_H

#include <stdbool.h>

struct catalogue;
struct ev_loop;
struct inbox;
struct lease;
struct queue;

// `idle` is called when what was found is placed.
struct inbox *inbox_new(struct ev_loop *loop, struct queue *q, struct lease *l,
                        const struct catalogue *c, void (*idle)(void *ctx), void *ctx);
void inbox_free(struct inbox *i); // NULL is fine
void inbox_look(
    struct inbox *i); // takes what is there; no-op while busy. No claim may be under way
bool inbox_busy(
    const struct inbox *i); // no claim may be made meanwhile: they share the numbers
#endif
