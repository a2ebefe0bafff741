// input.h - reads what a person wants drawn: JSON, JSON Lines, CSV, TSV and plain text, all of
// it into one list of encoded jobs.
//
// Files are read as a stream: beside the jobs themselves, only the entry being read is held.
// Nothing here decides whether bad entries matter: every one is named and counted, and the
// caller refuses the whole submission or (--skip-bad) goes on with the good ones.
#ifndef CLIENT_INPUT_H
#define CLIENT_INPUT_H

#include <stdint.h>
#include <stdio.h>

#include "broker/job.h"
#include "common/buf.h"
#include "common/err.h"

#define INPUTS_MAX_BYTES  (4ull << 30) // of all encoded jobs
#define INPUTS_MAX_JOBS   (1u << 24)
#define INPUTS_MAX_SHOWN  50         // bad entries named in words; the rest is a number
#define INPUTS_MAX_RECORD (2u << 20) // bytes of one entry as it stands in the file

struct inputs;

// `defaults`: the command line's, applied before each entry's own values; its spans must live
// until inputs_finish. `count`: jobs made of each entry (sample 1..count), unless the entry has
// a `count` of its own. NULL: out of memory.
struct inputs *inputs_new(const struct job *defaults, uint32_t count);
void inputs_free(struct inputs *in); // NULL is fine

// Reads one file, or standard input for "-". `format` NULL: by the name's extension; else
// json, jsonl, ndjson, csv, tsv or txt. OK: read to its end, though entries in it may be bad
// (inputs_bad). Otherwise the file as a whole is of no use (unreadable, empty, no header,
// malformed as a document). Either way `complaints` gets one line "FILE:LINE: what" each.
MUST_USE enum err inputs_read(struct inputs *in, const char *path, const char *format,
                              struct buf *complaints);
// The formats' names, for --help and messages: "json, jsonl, ndjson, csv, tsv, txt".
const char *inputs_formats(void);

// Asks of each entry, before inputs_finish(), whether it can be done at all. Those that cannot,
// with `why` as the complaint, become bad entries.
typedef bool inputs_fits(void *ctx, struct span map, struct buf *why);
MUST_USE enum err inputs_check(struct inputs *in, inputs_fits *fits, void *ctx,
                               struct buf *complaints);

// To be called once after the last file: ids must be unique, and none may be another's default.
// Those that are not become bad entries too. Ends `complaints` with how many were not shown.
// OK even with bad entries. Afterwards inputs_at may be used, and nothing more be read.
MUST_USE enum err inputs_finish(struct inputs *in, struct buf *complaints);

struct input_entry { // borrowed from the inputs
    struct span id;  // never empty: an entry without one has its zero-based index, 00000042
    struct span map; // job_encode()'s
    const char *file;
    uint32_t line;  // where the entry begins, from 1
    uint32_t input; // zero-based position among all entries, bad ones counted as well
};
size_t inputs_count(const struct inputs *in); // jobs, --count included
struct input_entry inputs_at(const struct inputs *in, size_t i);

struct input_reject {
    const char *file;
    uint32_t line;
    struct span why; // the complaint, without the place
    struct span raw; // the entry as it stood in the file, at most INPUTS_MAX_RECORD
};
size_t inputs_bad(const struct inputs *in);
struct input_reject inputs_rejected(const struct inputs *in, size_t i);
// Writes the rejects as JSON Lines: {"file":…,"line":…,"error":…,"raw":…}.
MUST_USE enum err inputs_write_rejects(const struct inputs *in, const char *path);
#endif
