// genfarm_private.h - what the parts of the library share.
#ifndef CLIENT_GENFARM_PRIVATE_H
#define CLIENT_GENFARM_PRIVATE_H

#include <stdbool.h>
#include <sys/queue.h>

#include "client/genfarm.h"
#include "client/session.h"
#include "client/trail.h"
#include "common/buf.h"
#include "common/err.h"

struct pending { // an event that was read
    TAILQ_ENTRY(pending) link;
    struct buf bytes, id;
};

struct genfarm {
    struct session *session;
    struct catalogue *catalogue;
    struct buf why;
    char batch[GENFARM_BATCH_SIZE];
    struct trail read;
    bool watching, reading;
    bool moved;        // a read was answered
    unsigned failures; // of reads, one after the other
    int64_t read_ms;   // nothing is read before: clock_mono_ms()
    bool lost;         // the server has lost events
    TAILQ_HEAD(, pending) events;
    struct pending *told; // what the last event points into
    struct buf id, json;
    int epoll, timer;
};

// What the caller is told of an error; where nobody has said why yet, it is said.
enum genfarm_status genfarm_status_of(struct genfarm *g, enum err e);
// Frees what was read, and what the last event points into; ends a read that is under way.
void genfarm_forget_events(struct genfarm *g);
#endif
