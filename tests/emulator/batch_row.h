// batch_row.h - one row of a batch: a line {"key", "request"} becomes {"key", "response"} or
// {"key", "error"}.
#ifndef EMULATOR_BATCH_ROW_H
#define EMULATOR_BATCH_ROW_H

#include "emulator/journal.h"
#include "emulator/model.h"
#include "emulator/prompts.h"
#include "emulator/rope.h"
#include "emulator/settings.h"

struct batch_row { // what it is made with; borrowed
    const struct settings *settings;
    struct journal *journal;
    struct prompts *prompts;
    const struct model *model;
    const char *batch, *project; // for the log: its name, and whose it is
    double age;                  // seconds since it was made, for the log
    bool lost;                   // made, and left out of the result
};

// The next line that is not empty; false: there is none.
bool batch_row_next(struct span *rest, struct span *line);
bool batch_row_check(struct span line); // whether it is one
// Writes into the log that the batch ended without this one, under the method UNMADE.
void batch_row_unmade(const struct batch_row *b, struct span line);
// Appends the row; false: it is an error. Faults of the connection lose the row, those of a
// body's text spoil it.
bool batch_row_make(const struct batch_row *b, struct span line, struct rope *out);
#endif
