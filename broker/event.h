// event.h - what happened, as the batch's stream keeps it and as people and programs read it.
//
// Stored: type u8, run u16, index u32, time u64 (ms), length of id u16, id, msgpack map; all
// big-endian, so that the scripts write one without knowing what is in the map.
#ifndef BROKER_EVENT_H
#define BROKER_EVENT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/code.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/image.h"

enum event_type { // the numbers are the wire's: see TYPE in lua/prelude.lua
    EVENT_NONE,
    EVENT_SUBMITTED,
    EVENT_COMPLETED,
    EVENT_FAILED,
    EVENT_CANCELLED,
    EVENT_RETRYING,
    EVENT_UNKNOWN,
    EVENT_REOPENED,
    EVENT_BLOCKED,
    EVENT_UNBLOCKED,
    EVENT_STEP,
    EVENT_BATCH_DONE,
    EVENT_TYPES
};

#define EVENT_MAX_IMAGES 16
#define EVENT_MAX_TEXT   4096 // bytes; longer text is cut here and whole in the record

struct event_image {
    struct span path; // relative to the batch's folder: images/00000_scene_001.png
    enum image_type type;
    uint64_t bytes;
    uint32_t width, height;
    struct span sha256; // 32 raw bytes
    bool c2pa;
};

struct event { // spans are borrowed
    enum event_type type;
    uint16_t run;
    uint32_t index;
    int64_t ts_ms;
    struct span id;
    // completed, failed, retrying, unknown; what does not apply is zero
    uint16_t attempts, sample;
    struct span model, model_version, worker, text, response_id;
    int64_t latency_ms, cost_micro, delay_ms;
    int64_t input_tokens, output_tokens;
    struct span deduped_of; // BATCH/ID of the job whose call this one shares
    struct span sink; // where the images are: "dir:/absolute/batch/folder" or "redis:NAME"
    struct event_image images[EVENT_MAX_IMAGES];
    unsigned n_images;
    enum code code;
    struct span reason, message; // the provider's own
    bool retryable;
    struct span policy; // "retry" or "fail"
    // submitted, reopened, batch_done
    int64_t total, completed, failed, cancelled, possible_double_bill, jobs;
    int64_t refused; // of what was pushed for the batch: it is in no other count
    // blocked, unblocked, step
    struct span group, step;
    int64_t until_ms;
};

const char *event_name(enum event_type t); // "completed"
bool event_terminal(enum event_type t);    // completed, failed, cancelled
void event_encode(struct buf *out, const struct event *e);
MUST_USE enum err event_decode(struct event *e, struct span bytes);
// The object of watch --json. `event_id` as "17-0". NULL: out of memory. The caller owns it.
struct json_object *event_json(const struct event *e, struct span batch, struct span event_id);
#endif
