// output_result.c - see output_result.h.
#include "client/output_result.h"

#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>

#include "common/json.h"

static const struct {
    enum event_type type;
    enum output_state state;
} states[] = {{EVENT_COMPLETED, OUTPUT_COMPLETED},
              {EVENT_FAILED, OUTPUT_FAILED},
              {EVENT_CANCELLED, OUTPUT_CANCELLED}};
#define N_STATES (sizeof states / sizeof *states)

static enum output_state state_of(enum event_type t)
{
    for (size_t i = 0; i < N_STATES; i++)
        if (states[i].type == t)
            return states[i].state;
    return OUTPUT_OPEN;
}

struct output_result output_result_of(const struct event *e, const struct trail *at)
{
    struct output_result r = {.index = e->index,
                              .run = e->run,
                              .state = state_of(e->type),
                              .cost_micro = e->cost_micro,
                              .images = e->n_images,
                              .event = *at};
    for (unsigned i = 0; i < e->n_images && i < EVENT_MAX_IMAGES; i++)
        r.bytes += (int64_t)e->images[i].bytes;
    return r;
}

static bool read_state(struct span name, enum output_state *out)
{
    for (size_t i = 0; i < N_STATES; i++)
        if (span_is(name, event_name(states[i].type))) {
            *out = states[i].state;
            return true;
        }
    return false;
}

static void read_images(struct json_object *event, struct output_result *r)
{
    struct json_object *images;
    int64_t bytes;
    if (!json_get(event, "images", json_type_array, &images))
        return;
    r->images = (int64_t)json_object_array_length(images);
    for (int64_t i = 0; i < r->images; i++)
        if (json_get_int(json_object_array_get_idx(images, (size_t)i), "bytes", &bytes))
            r->bytes += bytes;
}

bool output_result_read(struct json_object *event, uint32_t index, struct output_result *out)
{
    struct output_result r = {.index = index};
    struct span name, id, digest;
    int64_t run;
    struct json_object *cost;
    if (!json_get_str(event, "event", &name) || !read_state(name, &r.state) ||
        !json_get_int(event, "run", &run) || run < 0 || run > UINT16_MAX ||
        !json_get_str(event, "event_id", &id))
        return false;
    r.run = (uint16_t)run;
    r.event.number = strtoull(id.ptr, NULL, 10);
    r.event.known =
        json_get_str(event, "digest", &digest) && digest_read(digest, r.event.digest) == OK;
    if (json_object_object_get_ex(event, "cost_usd", &cost))
        r.cost_micro = llround(json_object_get_double(cost) * 1e6);
    read_images(event, &r);
    *out = r;
    return true;
}
