// judge.h - what an answer of the Gemini API means: one of the codes of code.h, and what may
// be done about it. Source of the rules: the API's documentation and recordings of its answers,
// gathered in tables here (finish reasons, HTTP status, kinds of quota).
#ifndef WORKER_JUDGE_H
#define WORKER_JUDGE_H

#include <json-c/json.h>

#include "worker/answer.h"
#include "worker/provider.h"

// Spans of the result are borrowed from `doc`; the images' spools move into the result.
// HTTP 200 with a whole document: images, or the reason why there are none.
void judge_answer(struct provider_result *r, struct answer *a, struct json_object *doc);

// Any other status. `doc` NULL: the body was no JSON; `raw` is its beginning.
// `retry_after`: seconds of the header, 0: none.
void judge_refusal(struct provider_result *r, long status, struct json_object *doc,
                   struct span raw, double retry_after);

// The seconds in a protobuf duration ("48s", "373.8ms", "1m2.5s"), or 0.
double judge_duration(struct span text);
#endif
