// remotes.h - the provider's batches that the farm waits for: up to a day in which nothing of
// their jobs is to be seen.
#ifndef CLIENT_REMOTES_H
#define CLIENT_REMOTES_H

#include <json-c/json.h>

#include "broker/operation.h"

#define REMOTES_MAX 200 // that are looked at

struct remotes {
    size_t n;
    struct remotes_one { // texts are cut, and cannot steer a terminal
        char op[OPERATION_ID + 1], state[16], name[200];
        char batch[JOB_MAX_NAME + 1], model[JOB_MAX_NAME + 1], project[JOB_MAX_NAME + 1];
        int64_t since_ms, jobs; // since it was made, or begun
    } list[REMOTES_MAX];
};
void remotes_take(struct remotes *r, const struct operation *o, size_t n);

struct remotes_sum {
    size_t batches; // at the provider
    int64_t jobs, since_ms;
};
// Of one batch of the farm, and one project. NULL: of all of them.
struct remotes_sum remotes_sum(const struct remotes *r, const char *batch, const char *project);
// "197 jobs in 2 remote batches since 12:00:05", or nothing when there are none.
void remotes_show(struct buf *out, const struct remotes_sum *s);
// The same for each project: " (project default)" follows, and a newline.
void remotes_show_projects(struct buf *out, const struct remotes *r, const char *batch);
// {"batches", "jobs", "since"}; NULL when there are none. The caller owns it.
struct json_object *remotes_sum_json(const struct remotes_sum *s);
// A list of what there is of one batch of the farm. The caller owns it.
struct json_object *remotes_json(const struct remotes *r, const char *batch);
#endif
