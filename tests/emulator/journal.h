// journal.h - what the emulator has done: counts, and a line of JSON for every call.
#ifndef EMULATOR_JOURNAL_H
#define EMULATOR_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "emulator/reply.h"

struct journal;
MUST_USE enum err journal_open(const char *path, struct journal **out); // NULL: no lines
void journal_free(struct journal *j);

// A call of a model (generateContent and streamGenerateContent) has come; the others only get
// a line. All of these may be called by any thread.
void journal_begin(struct journal *j);
struct journal_line {
    uint64_t number; // of the call, from 1; 0 for what is no call of a model
    const char *method, *path, *model;
    const char *project;   // NULL: not known
    const char *tier;      // of service; empty: not known
    const uint8_t *prompt; // its digest; NULL: not known
    uint64_t tries;        // how often the prompt came before
    double seconds;        // since it came
    const struct reply *reply;
};
void journal_write(struct journal *j, const struct journal_line *line);
void journal_end(struct journal *j, bool whole, uint64_t bytes); // of the answer's body
void journal_stats(struct journal *j, struct buf *out);          // one JSON object, one line
#endif
