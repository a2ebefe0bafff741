// cmd_summary.h - what following a batch has come to: in words, and as an exit status.
#ifndef CLIENT_CMD_SUMMARY_H
#define CLIENT_CMD_SUMMARY_H

#include "client/cmd.h"
#include "client/collect.h"

// `e`: how collect() ended. Says why, where that is an error.
int cmd_summary_status(const struct cmd *c, const struct collect_result *r, enum err e);
// Of a batch that has ended; `seconds` 0: not known how long it took. `b`: as it was before.
void cmd_summary_say(const struct collect_result *r, const struct collect_batch *b,
                     double seconds);
void cmd_summary_say_open(const struct collect_batch *b); // of one that has not
#endif
