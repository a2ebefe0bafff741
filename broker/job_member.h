// job_member.h - the table of a job's members; for the files job*.c only.
#ifndef BROKER_JOB_MEMBER_H
#define BROKER_JOB_MEMBER_H

#include <stddef.h>

#include "broker/job.h"

enum member_kind {
    MEMBER_TEXT, // the first four are spans
    MEMBER_NAME,
    MEMBER_RATIO,
    MEMBER_SIZE,
    MEMBER_EXTRA,
    MEMBER_PRIORITY,
    MEMBER_LANE,
    MEMBER_UNKNOWN,
    MEMBER_U16,
    MEMBER_U32,
    MEMBER_SEED,
    MEMBER_TEMPERATURE,
    MEMBER_SECONDS,
    MEMBER_REFERENCE // is asked for, and cannot be done yet: refused, and never left out
};

struct job_member {
    const char *name;
    enum member_kind kind;
    size_t offset;   // in struct job
    bool column;     // may be set by a person; otherwise it is the wire's alone
    double min, max; // of numbers; of texts max is their length in bytes
};

const struct job_member *job_members(size_t *n);
const struct job_member *job_member_find(struct span name); // NULL: unknown
struct span *job_member_span(struct job *j, const struct job_member *m);
MUST_USE enum err job_member_text(struct job *j, const struct job_member *m, struct span s,
                                  struct buf *why);
MUST_USE enum err job_member_number(struct job *j, const struct job_member *m, double v,
                                    struct buf *why);
// As a person wrote it: "10m", "16:9".
MUST_USE enum err job_member_set(struct job *j, const struct job_member *m, struct span value,
                                 struct buf *why);
// What is there, whoever put it there; what is not there is well.
MUST_USE enum err job_member_check(const struct job *j, const struct job_member *m,
                                   struct buf *why);
#endif
