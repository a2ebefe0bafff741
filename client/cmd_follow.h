// cmd_follow.h - watching and collecting: what run, watch and collect have in common.
#ifndef CLIENT_CMD_FOLLOW_H
#define CLIENT_CMD_FOLLOW_H

#include "client/cmd.h"
#include "client/collect.h"

struct cmd_follow { // {0} is a valid beginning
    struct span batch;
    const char *folder; // DIR/BATCH; NULL: nothing is saved
    bool resume;        // the folder may be there
    uint64_t after;
    bool stop_blocked;
    uint64_t blocked_after; // see collect.h
    // The folder is there, with what earlier runs have in it.
    void (*opened)(void *ctx, const struct output *o);
    void (*ended)(void *ctx, const struct output *o, uint32_t index); // a job did
    void (*idle)(void *ctx);
    bool (*drained)(void *ctx); // see collect.h
    void *ctx;
};
// Follows the batch to its end, with progress, events as JSON or results in order, then writes
// the folder's files. Returns an exit status.
int cmd_follow(struct cmd *c, struct session *s, const struct cmd_follow *f,
               struct collect_result *r);
#endif
