// collect_reader.h - reads the events of a batch in order and puts them among the arrivals: up
// to its end, and through lost connections without a gap.
#ifndef CLIENT_COLLECT_READER_H
#define CLIENT_COLLECT_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/event.h"
#include "client/collect_arrivals.h"
#include "client/collect_course.h"
#include "client/patience.h"
#include "client/trail.h"
#include "common/buf.h"

struct collect_reader {
    struct span batch;
    struct collect_course *course;
    struct collect_arrivals *arrivals; // where events go
    struct patience patience;          // with Redis; its session is the reader's
    double most;                       // seconds without Redis until it is given up; 0: never
    struct trail trail;                // .number: events up to this are known already
    uint64_t known_last;               // of the batch, when it was asked last
    bool known_done;                   // it had ended by then
    bool nothing_new;                  // the last read found nothing
    // Inside:
    bool reading;
    bool done_seen;  // batch_done was read, and no reopened since
    bool at_end;     // the end of the batch was read: nothing more is waited for
    int64_t read_ms; // nothing is read before: clock_mono_ms()
};
void collect_reader_read(struct collect_reader *r); // begins the next read, if one may begin
// Says that Redis is away, and gives up when it was for too long.
void collect_reader_check(struct collect_reader *r);
// Whether a batch that had `ended` before has ended with this event.
bool collect_reader_ended_by(const struct collect_reader *r, const struct event *e,
                             uint64_t number, bool ended);
void collect_reader_end(struct collect_reader *r); // once a read under way has ended
#endif
