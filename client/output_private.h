// output_private.h - the state behind output.h; private to output*.c.
#ifndef CLIENT_OUTPUT_PRIVATE_H
#define CLIENT_OUTPUT_PRIVATE_H

#include <json-c/json.h>

#include "broker/job.h"
#include "client/journal.h"
#include "client/output.h"

struct output_job {         // what is known of one job, all but its bytes
    uint64_t result, input; // offsets in the journals
    uint16_t run;
    uint8_t state; // enum output_state
    bool has_input;
};

struct output {
    char *folder;
    struct buf batch;
    struct journal results, inputs;
    bool images_lost;      // of jobs that the journal has: all events are asked for again
    bool journals_removed; // by ourselves, nothing being left to do
    struct output_job *jobs;
    size_t cap;
    uint32_t by_state[4];        // jobs, by enum output_state
    struct output_counts counts; // without what by_state tells
    uint32_t next;               // of output_next_ordered
    int64_t opened_ms;
};

// Puts a sentence into `why`, which may be NULL, and returns e.
enum err output_explain(struct buf *why, enum err e, const char *place, const char *what);
// ERR_MISSING: the folder went away, and what is written to the journals is lost.
MUST_USE enum err output_check_there(const struct output *o, struct buf *why);
// FOLDER/name; NULL: out of memory. The caller frees it.
char *output_path(const struct output *o, const char *name);
// The job's input, decoded; its spans point into `room`. False: there is none.
bool output_job_input(const struct output *o, uint32_t index, struct job *job,
                      struct buf *room);
// metadata.json while the batch runs.
MUST_USE enum err output_write_started(const struct output *o, struct buf *why);
#endif
