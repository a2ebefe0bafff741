// judge_private.h - what the files judge*.c share.
#ifndef WORKER_JUDGE_PRIVATE_H
#define WORKER_JUDGE_PRIVATE_H

#include "worker/judge.h"

// Seconds between looks whether a day's quota is back, whose window may roll, or the credits.
#define JUDGE_DAY_PROBE 600.0

bool judge_has(struct span s, const char *part);
// One of the error's details, by the end of its type's name; NULL: none.
struct json_object *judge_detail(struct json_object *error, const char *type);
// A 429: which quota was at fault, and what it allows. r->message and r->delay_floor are set.
void judge_quota(struct provider_result *r, struct json_object *error);
#endif
