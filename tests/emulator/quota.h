// quota.h - so many calls of a model in so long, as the real API limits them.
#ifndef EMULATOR_QUOTA_H
#define EMULATOR_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "emulator/model.h"

#define QUOTA_MODELS 16

struct quota { // {0}: no limit
    uint64_t calls;
    int64_t period_us;
    struct {
        const struct model *model;
        int64_t since_us; // start of the window, on the monotonic clock
        uint64_t used;
    } window[QUOTA_MODELS];
};

MUST_USE enum err quota_parse(struct quota *q, const char *text); // "100/1m"
// Counts one call. False: too many; *wait_us is how long until the window ends. The caller
// serializes.
bool quota_take(struct quota *q, const struct model *m, int64_t now_us, int64_t *wait_us);
#endif
