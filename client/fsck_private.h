// fsck_private.h - what the files fsck*.c share.
#ifndef CLIENT_FSCK_PRIVATE_H
#define CLIENT_FSCK_PRIVATE_H

#include "broker/check.h"
#include "client/fsck.h"

struct fsck {
    struct session *session;
    struct queue *queue;
    const struct fsck_options *options;
    struct fsck_result *result;
    bool gone; // the connection was given up: nothing can be asked any more
    bool done; // of the request under way:
    enum err err;
    uint64_t next;
};
// Waits for the request that was started; the outcome of both. ERR_CANCELLED: interrupted; its
// answer, if it was there within a moment, was read all the same.
MUST_USE enum err fsck_wait(struct fsck *f, enum err started);
void fsck_problem(struct fsck *f, bool mended, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

struct fsck_names { // copies, each ended by a NUL
    struct fsck *fsck;
    struct buf text;
    size_t n;
};
queue_names_done fsck_take_names; // ctx: a struct fsck_names
// The next page of names of batches, and its cursor, CHECK_FIRST to 0.
MUST_USE enum err fsck_batches(struct fsck_names *n, bool open_only, uint64_t *next);
// The name at *at, and moves on; NULL after the last.
const char *fsck_next_name(const struct fsck_names *n, size_t *at);

// --- fsck_counts.c --------------------------------------------------------------------------

MUST_USE enum err fsck_counts(struct fsck *f);

// --- fsck_jobs.c ----------------------------------------------------------------------------

MUST_USE enum err fsck_jobs(struct fsck *f, const char *batch);

// --- fsck_places.c --------------------------------------------------------------------------

#define FSCK_TOKEN 8 // bytes

struct fsck_job {
    uint16_t run;
    uint8_t state;  // 0 open, 1 completed, 2 failed, 3 cancelled
    uint8_t told;   // terminal events of this run
    uint8_t places; // where it is, at the last look
    uint8_t missed; // looks at which it was open and nowhere
};
struct fsck_batch {
    struct fsck *fsck;
    struct span name;
    struct fsck_job *jobs;
    uint32_t n;
    int64_t open, ev;
    unsigned suspect;               // looks after which a job is lost; set by fsck_places()
    bool mended;                    // jobs that were nowhere are ready again
    char token[2 * FSCK_TOKEN + 1]; // of the hold; "": the batch is not held back
    int64_t asked_ms;               // when it was prolonged last, clock_mono_ms()
};
MUST_USE enum err fsck_states(struct fsck_batch *b); // reads the jobs' states anew
MUST_USE enum err fsck_places(struct fsck_batch *b);
MUST_USE enum err fsck_look(struct fsck_batch *b); // counts the places of all jobs

// --- fsck_mend.c ----------------------------------------------------------------------------

// Makes jobs ready again that were nowhere at all looks and still are. Sets `mended` when it
// could.
MUST_USE enum err fsck_mend(struct fsck_batch *b);
// To be called during a long look: prolongs the hold, if there is one.
MUST_USE enum err fsck_mend_go_on(struct fsck_batch *b);
#endif
