// press.h - the batches of the shop's provider: files of requests that are made at once, and
// answered row by row.
#ifndef TESTS_SWEEP_PRESS_H
#define TESTS_SWEEP_PRESS_H

#include "broker/operation.h"
#include "shop.h"
#include "worker/remote.h"

#define PRESS_MOST 16 // files

struct press_file {
    char title[REMOTE_NAME];
    char keys[SHOP_TOTAL][64];
    unsigned rows;
    bool made; // a batch of it
};
struct press {
    struct shop shop;                    // first
    struct press_file files[PRESS_MOST]; // as they were uploaded
    unsigned n_files, made;
    char op[OPERATION_ID + 1]; // press_leave()'s
};

void press_open(struct press *p, struct farm *f); // as shop_open()
// The worker, which begins to gather jobs, or to look after the operation that was left.
void press_begin(struct press *p);
void press_uploaded(struct press *p); // waits for the first file
// Nothing fails any more; what was not done is in one place, for others to do.
void press_close(struct press *p);
void press_make(struct press *p, struct press_file *f); // a batch of it, which is billed
// Puts all jobs into an operation that nobody has: in state "running", with the batch that was
// made of it, or in state "new".
void press_leave(struct press *p, bool running);
#endif
