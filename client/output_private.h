// output_private.h - the state behind output.h; private to output*.c.
#ifndef CLIENT_OUTPUT_PRIVATE_H
#define CLIENT_OUTPUT_PRIVATE_H

#include <json-c/json.h>

#include "broker/job.h"
#include "client/journal.h"
#include "client/output.h"
#include "client/output_jobs.h"

#define OUTPUT_MAX_LINE (4u << 20) // a job's texts and its result, escaped

struct output {
    char *folder;
    struct buf batch, nonce; // nonce: in hex
    struct journal results, inputs;
    struct trail last;     // the terminal event of the highest number in `results`
    bool images_lost;      // of jobs that the journal has: all events are asked for again
    bool journals_removed; // by ourselves, nothing being left to do
    struct output_jobs jobs;
    uint32_t next; // of output_next_ordered
    int64_t opened_ms;
};

// FOLDER/name; NULL: out of memory. The caller frees it.
char *output_path(const struct output *o, const char *name);

// --- One job (output.c) ----------------------------------------------------------------------

// Its input, decoded; its spans point into `room`. ERR_MISSING: there is none.
MUST_USE enum err output_job_input(const struct output *o, uint32_t index, struct job *job,
                                   struct buf *room);
// Its terminal event, as event_json() wrote it; the caller owns it. ERR_MISSING: it is open.
MUST_USE enum err output_job_event(const struct output *o, uint32_t index,
                                   struct json_object **event);
// Of both: what is not there, or not to be understood, is left out of the files; what could not
// be read now, which this tells, is no reason to.
bool output_unread(enum err e);

// --- Journals (output_journals.c) ------------------------------------------------------------

// Opens both, with what is in them. `why` (may be NULL) gets a sentence.
MUST_USE enum err output_journals_open(struct output *o, struct buf *why);
// Adds a terminal event; *at: where it is in `results`.
MUST_USE enum err output_journals_add(struct output *o, const struct event *e,
                                      const struct trail *where, uint64_t *at);
void output_journals_remove(struct output *o); // the open descriptors go on reading

// --- Files (output_write.c) ------------------------------------------------------------------

// Prints the whole of a file. Whether writing went well is found out when it is closed.
typedef enum err output_body(const struct output *o, FILE *f, const void *ctx);
// FOLDER/name, whole or not at all. `why` (may be NULL) gets a sentence.
MUST_USE enum err output_write(const struct output *o, const char *name, output_body *body,
                               const void *ctx, struct buf *why);
MUST_USE enum err output_remove(const struct output *o, const char *name, struct buf *why);
// An object as a line; NULL is for want of memory.
MUST_USE enum err output_print(FILE *f, struct json_object *line);

// --- What the files say ----------------------------------------------------------------------

output_body output_manifest_body; // manifest.jsonl
output_body output_failed_body;   // failed.jsonl
output_body output_metadata_body; // metadata.json; ctx: struct output_summary
output_body output_started_body;  // metadata.json while the batch runs
// "completed", "ended" with jobs that did not, or "interrupted".
const char *output_batch_state(const struct output *o, const struct output_summary *s);
#endif
