// inputs.h - the list behind input.h, as its readers see it; private to input*.c.
#ifndef CLIENT_INPUTS_H
#define CLIENT_INPUTS_H

#include "broker/job.h"
#include "client/input.h"

const struct job *inputs_defaults(const struct inputs *in);
// Appends one checked entry, as job->samples jobs. `job->id` empty: the default.
// ERR_RANGE: longer than JOB_MAX_BYTES when encoded, not taken in; ERR_TOOBIG: too many.
MUST_USE enum err inputs_put(struct inputs *in, const struct job *job, uint32_t line);
// Appends one bad entry, and names it in `complaints` while there are few.
MUST_USE enum err inputs_put_bad(struct inputs *in, uint32_t line, struct span why,
                                 struct span raw, struct buf *complaints);
// Names the file that entries come from until the next call. The copy lives as long as the
// inputs; NULL: out of memory.
const char *inputs_name(struct inputs *in, const char *path);
#endif
