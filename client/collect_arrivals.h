// collect_arrivals.h - events that were read and not told yet: each waits until its images are
// in the folder, and they leave in the order in which they came.
//
// Images that Redis cannot give now are asked for again; what else fails ends the course.
#ifndef CLIENT_COLLECT_ARRIVALS_H
#define CLIENT_COLLECT_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "broker/event.h"
#include "client/collect_course.h"
#include "common/buf.h"
#include "common/err.h"

struct output;
struct queue_event;
struct session;

struct collect_arrival { // one event; `event` borrows from `bytes`
    TAILQ_ENTRY(collect_arrival) link;
    struct collect_arrivals *of;
    struct buf bytes, id;
    struct event event;
    uint64_t number; // 17 of "17-0"
    enum { ARRIVAL_WAITING, ARRIVAL_FETCHING, ARRIVAL_READY } state;
    bool gone; // its images are no longer where they should be
};
struct collect_arrivals {
    struct session *session;
    struct output *output; // where images go; NULL: they are not fetched
    struct collect_course *course;
    // Inside; collect_arrivals_init() sets them:
    TAILQ_HEAD(, collect_arrival) all;
    unsigned n, fetching;
    unsigned refused; // fetches, one after the other, by a server that is busy
    int64_t fetch_ms; // nothing is fetched before: clock_mono_ms()
};
void collect_arrivals_init(struct collect_arrivals *a, struct session *s, struct output *o,
                           struct collect_course *course);
// Copies the event. ERR_NOMEM; ERR_FORMAT: it cannot be read.
MUST_USE enum err collect_arrivals_add(struct collect_arrivals *a, const struct queue_event *e,
                                       const struct collect_arrival **added);
bool collect_arrivals_full(const struct collect_arrivals *a); // no more should be read
void collect_arrivals_fetch(struct collect_arrivals *a);      // begins what may be fetched now
// The first one, if its images are there: collect_arrivals_drop() follows. NULL: it is not
// ready, or there is none.
struct collect_arrival *collect_arrivals_ready(struct collect_arrivals *a);
void collect_arrivals_drop(struct collect_arrival *i);
void collect_arrivals_clear(struct collect_arrivals *a); // once fetches under way have ended
#endif
