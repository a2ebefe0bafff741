// output.h - the folder a batch ends up in: images/, manifest.jsonl, failed.jsonl and
// metadata.json, each whole or not there at all.
//
// While a batch runs, every terminal event is appended to DIR/BATCH/.results and every input to
// DIR/BATCH/.inputs (journal.h); in memory there are 24 bytes a job. A client that is killed
// opens the folder again and knows what it had. The two journals go when all jobs completed.
#ifndef CLIENT_OUTPUT_H
#define CLIENT_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "broker/event.h"
#include "client/trail.h"
#include "common/buf.h"
#include "common/err.h"

struct json_object;
struct output;

struct output_options {
    const char *folder; // of this batch: DIR/BATCH
    struct span batch;
    uint32_t total;    // jobs; may grow by output_set_total()
    bool resume;       // the folder may exist, and is gone on with
    struct span nonce; // of the batch, in hex: there may be another one of its name
};
// Makes the folder. ERR_EXISTS: it is there and not empty, and `resume` is off. With `resume`:
// ERR_MISSING, there is no such folder; ERR_ORDER, it belongs to another batch, by its name or
// by its nonce. A folder in which there is no nonce yet becomes this batch's. `why` (may be
// NULL) gets a sentence.
MUST_USE enum err output_open(const struct output_options *o, struct output **out,
                              struct buf *why);
void output_free(struct output *o); // closes the journals, deletes nothing; NULL is fine
const char *output_folder(const struct output *o);

// Keeps job `index`'s input, a map by job_encode(), for the manifest and for failed.jsonl. The
// same index again is ignored.
MUST_USE enum err output_input(struct output *o, uint32_t index, struct span map);
bool output_has_input(const struct output *o, uint32_t index);

// Keeps a terminal event; others are ignored. To be called when its images are there. A later
// run of the same job replaces an earlier one; the same event again changes nothing.
// `at`: its number and digest. `why` (may be NULL) gets a sentence.
MUST_USE enum err output_event(struct output *o, const struct event *e, const struct trail *at,
                               struct buf *why);
enum output_state { OUTPUT_OPEN, OUTPUT_COMPLETED, OUTPUT_FAILED, OUTPUT_CANCELLED };
enum output_state output_state(const struct output *o, uint32_t index);
uint16_t output_run(const struct output *o, uint32_t index); // 0 while open
struct output_counts {
    uint32_t total, completed, failed, cancelled;
    int64_t cost_micro, images, bytes;
};
struct output_counts output_counts(const struct output *o);
// The terminal event of the highest number that the folder has; {0}: none. `known` is false in
// a folder of an older program.
struct trail output_last(const struct output *o);
bool output_images_lost(const struct output *o); // some that were saved are not there any more
// Forgets all results and inputs: the server has another history of this batch. Images stay
// until others take their places. `why` (may be NULL) gets a sentence.
MUST_USE enum err output_begin_again(struct output *o, struct buf *why);
MUST_USE enum err output_set_total(struct output *o, uint32_t total);

// The next job's result as a manifest line (without newline), in input order; false while that
// job is still open, and after the last.
bool output_next_ordered(struct output *o, struct buf *line);

// What is known of a job, as its line of the manifest will say it. The caller owns it; NULL:
// it cannot be read now.
struct json_object *output_manifest_line(const struct output *o, uint32_t index);

// --- Images ----------------------------------------------------------------------------------

// The full path of an image that an event names. ERR_FORMAT: not of the form images/NAME (it
// came over the network, and must not lead out of the folder).
MUST_USE enum err output_image_path(const struct output *o, const struct event_image *im,
                                    struct buf *path);
bool output_has_image(const struct output *o, const struct event_image *im); // of its size
// With its bytes, too: whatever lay there before may have the size by chance. Reads it.
bool output_has_bytes(const struct output *o, const struct event_image *im);
// Writes one image as its bytes arrive. The file appears at commit, if its length and SHA-256
// are what the event said: ERR_FORMAT otherwise.
struct output_image;
MUST_USE enum err output_image_open(struct output *o, const struct event_image *im,
                                    struct output_image **out);
MUST_USE enum err output_image_add(struct output_image *im, struct span bytes);
MUST_USE enum err output_image_commit(struct output_image *im); // frees it either way
void output_image_abort(struct output_image *im);               // NULL is fine

// --- The end ---------------------------------------------------------------------------------

struct output_summary {
    int64_t submitted_ms, ended_ms; // wall clock
    struct span model;              // of the command line or the catalogue
    struct json_object *options;    // what was asked for, borrowed; may be NULL
    int64_t possible_double_bill;
    bool interrupted; // some jobs are still open, and that is known
};
// Writes manifest.jsonl, failed.jsonl (removes an old one when nothing failed) and
// metadata.json. May be called again after more events. `why` (may be NULL) gets a sentence.
MUST_USE enum err output_finish(struct output *o, const struct output_summary *s,
                                struct buf *why);
#endif
