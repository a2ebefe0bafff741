// dead.h - the dead letters: jobs whose workers died with them again and again, and things from
// the inbox that can be no jobs.
//
// A letter is a msgpack map {batch, index, id, code, message, ts} or, of the inbox, {batch,
// code, message, ts, size} followed by the bytes that were pushed, 1 MiB of them at most. What
// is no such letter, whoever wrote it, is told as one that says nothing.
#ifndef BROKER_DEAD_H
#define BROKER_DEAD_H

#include "broker/code.h"
#include "broker/queue.h"

#define DEAD_SHA 40 // digits of a letter's SHA-1, by which it is known

struct dead_letter { // spans are borrowed; empty where it does not say
    uint32_t at;     // its position, which can only go down
    struct span sha; // DEAD_SHA digits
    uint64_t bytes;  // of the letter
    bool readable;
    struct span batch; // a name, or empty
    struct span id, message;
    enum code code;
    int64_t index; // of the job in its batch; -1: it never was one
    int64_t ts_ms;
    uint64_t size;      // bytes that were pushed
    struct span pushed; // the first of them, as far as they were asked for
};
// Reads what a letter says into `l`, whose `at`, `sha` and `bytes` stay.
void dead_read(struct span bytes, struct dead_letter *l);

struct dead_page {
    const struct dead_letter *letters;
    size_t n;      // 0: there are no more
    uint32_t next; // position after the last
    int64_t total; // letters in all
};
typedef void dead_done(void *ctx, enum err e, const struct dead_page *p); // p: OK only
// Up to `most` (1 to 200) letters from position `from`, `shown` bytes of each.
MUST_USE enum err dead_look(struct queue *q, uint32_t from, unsigned most, size_t shown,
                            dead_done *done, void *ctx);

#define DEAD_MAX_DROP 100
struct dead_place {
    uint32_t at;
    char sha[DEAD_SHA + 1];
};
// Takes letters out, positions rising. marks: '1' gone now, '0' not there any more.
MUST_USE enum err dead_drop(struct queue *q, size_t n, const struct dead_place *places,
                            queue_marks_done *done, void *ctx);
#endif
