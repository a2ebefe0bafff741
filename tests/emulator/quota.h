// quota.h - so many calls of a model in so long, as the real API limits each project.
#ifndef EMULATOR_QUOTA_H
#define EMULATOR_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "emulator/model.h"

#define QUOTA_RULES   16
#define QUOTA_WINDOWS 64

struct quota { // {0}: no limit
    struct quota_rule {
        char project[64]; // empty: of every project that has no rule of its own
        uint64_t calls;
        int64_t period_us; // 0: of the day, which never ends here
    } rules[QUOTA_RULES];
    unsigned n;
    struct quota_window { // of one rule, project and model
        const struct quota_rule *rule;
        const char *project;
        const struct model *model;
        int64_t since_us; // its start, on the monotonic clock
        uint64_t used;
    } windows[QUOTA_WINDOWS];
};

// "100/1m", "100/day"; "PROJECT=100/1m".
MUST_USE enum err quota_add(struct quota *q, const char *text);
// Counts one call. A rule: of this one there were too many; *wait_us is how long until its
// window ends. `project` is borrowed for good. The caller serializes.
const struct quota_rule *quota_take(struct quota *q, const char *project, const struct model *m,
                                    int64_t now_us, int64_t *wait_us);
#endif
