// output_result.h - what became of a job in one run of it, by its terminal event: as it came,
// or as the journal of results has kept it.
#ifndef CLIENT_OUTPUT_RESULT_H
#define CLIENT_OUTPUT_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/event.h"
#include "client/output.h"
#include "client/trail.h"

struct json_object;

struct output_result {
    uint32_t index;
    uint16_t run;
    enum output_state state;           // never open
    int64_t cost_micro, images, bytes; // bytes: of its images
    struct trail event;                // its number, and its digest where it is known
};
struct output_result output_result_of(const struct event *terminal, const struct trail *at);
// Of an event as event_json() writes it, with its digest. False: it is no terminal event's.
bool output_result_read(struct json_object *event, uint32_t index, struct output_result *out);
#endif
