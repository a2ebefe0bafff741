// cmd_run_place.h - where a run lies, and whether one may begin there or go on.
//
//   DIR/BATCH/             the results
//   DIR/.genfarm/BATCH/    the private Redis and the logs, until the batch has ended
//
// What returns an int gives 0, or an exit status when it has said what is wrong.
#ifndef CLIENT_CMD_RUN_PLACE_H
#define CLIENT_CMD_RUN_PLACE_H

#include <stdbool.h>

#include "client/cmd.h"

#define RUN_PLACE_PATH 4096

struct run_place {
    char dir[RUN_PLACE_PATH], batch[JOB_MAX_NAME + 1]; // dir: whole, without links
    char folder[RUN_PLACE_PATH + 128], data[RUN_PLACE_PATH + 160];
    char queue[JOB_MAX_NAME + 8];
};
// Makes DIR, that of --output, and names the batch.
int run_place_make(const struct cmd *c, struct run_place *p);
int run_place_check_new(const struct run_place *p);           // nothing is there yet
int run_place_find(const struct cmd *c, struct run_place *p); // that of --resume
// Whether there is something to go on with. *over: the batch has ended, and what is left of its
// queue has been removed; then the run has this exit status, be it 0.
int run_place_check_resumed(const struct cmd *c, const struct run_place *p, bool *over);
void run_place_say_failed(const struct run_place *p); // how to try the failed jobs again
#endif
