// output_jobs.h - what is known of each job of a folder, all but its bytes: 24 bytes a job, and
// what they sum up to.
#ifndef CLIENT_OUTPUT_JOBS_H
#define CLIENT_OUTPUT_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/output.h"
#include "client/output_result.h"
#include "common/err.h"

struct output_job {
    uint64_t result, input; // offsets in the journals
    uint16_t run;
    uint8_t state; // enum output_state
    bool has_input;
};
struct output_jobs {       // {0}: none
    struct output_job *at; // counts.total of them, by index
    size_t cap;
    uint32_t by_state[4];        // jobs, by enum output_state
    struct output_counts counts; // without what by_state tells
};
void output_jobs_free(struct output_jobs *j); // what is in it
// There are `total` jobs at least. ERR_RANGE: more than a queue takes.
MUST_USE enum err output_jobs_grow(struct output_jobs *j, uint32_t total);
MUST_USE enum err output_jobs_reach(struct output_jobs *j, uint32_t index); // it is one of them
// Not known yet: the job is open, or this is of a later run of it. For an index that is there.
bool output_jobs_is_news(const struct output_jobs *j, const struct output_result *r);
// Such news, of which the journal of results has the event at `at`.
void output_jobs_note(struct output_jobs *j, const struct output_result *r, uint64_t at);
void output_jobs_forget(struct output_jobs *j); // all are open, and have no inputs
// The journal of inputs has that job's at `at`. For an index that is there.
void output_jobs_note_input(struct output_jobs *j, uint32_t index, uint64_t at);
struct output_counts output_jobs_counts(const struct output_jobs *j);
#endif
