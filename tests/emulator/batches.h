// batches.h - batches of requests: made from an uploaded file, over after --batch-latency, with
// one row of result for each. Rows are made when somebody first looks after that time.
#ifndef EMULATOR_BATCHES_H
#define EMULATOR_BATCHES_H

#include <stdint.h>

#include "common/json.h"
#include "common/opt.h"
#include "emulator/files.h"
#include "emulator/journal.h"
#include "emulator/prompts.h"
#include "emulator/settings.h"

struct batches;

struct batches_desk { // what rows are made with; borrowed
    const struct settings *settings;
    struct journal *journal;
    struct prompts *prompts;
    struct files *files;
};

// ERR_FORMAT: `why` says which of --batch-fault.
MUST_USE enum err batches_faults(struct batch_faults *f, const struct opt_strs *given,
                                 struct buf *why);

struct batches *batches_new(const struct batches_desk *d); // NULL: out of memory
void batches_free(struct batches *b);
// All of these: the caller serializes; batches of other projects are not there. `now_us` is on
// the monotonic clock.

enum batch_made { BATCH_MADE, BATCH_LOST, BATCH_BAD, BATCH_BUSY };
// From the lines of `file`. *out: the operation, the caller's. BATCH_LOST: it is made, and its
// answer is to be lost. BATCH_BAD: `why` says what is wrong; BATCH_BUSY: too many are under
// way.
enum batch_made batches_make(struct batches *b, const struct model *m, struct span display,
                             struct file *file, int64_t now_us, struct json_object **out,
                             struct buf *why);
// The operation, the caller's; NULL: there is none.
struct json_object *batches_get(struct batches *b, const char *project, struct span name,
                                int64_t now_us);
bool batches_cancel(struct batches *b, const char *project, struct span name,
                    int64_t now_us); // false: none
bool batches_delete(struct batches *b, const char *project, struct span name);
// {"operations": [...], "nextPageToken"}, the newest first.
struct json_object *batches_list(struct batches *b, const char *project, unsigned from,
                                 unsigned most, int64_t now_us);
// Whether the download of this file breaks off in its middle: once, if it shall.
bool batches_cut(struct batches *b, const struct file *f);
void batches_look(struct batches *b, int64_t now_us); // at all whose time has come
#endif
