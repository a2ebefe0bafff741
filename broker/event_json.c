// event_json.c - an event as people and programs read it: the objects of watch --json.
#include "broker/event.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/json.h"

static void put_str(struct json_object *o, const char *name, struct span s)
{
    if (s.len)
        json_put_str(o, name, s);
}

static void put_int(struct json_object *o, const char *name, int64_t v)
{
    if (v)
        json_put_int(o, name, v);
}

static void put_time(struct json_object *o, const char *name, int64_t ms)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(ms, text);
    json_put_cstr(o, name, text);
}

static void put_error(struct json_object *o, const struct event *e)
{
    struct json_object *error = json_object_new_object();
    json_put_cstr(error, "code", code_name(e->code));
    put_str(error, "reason", e->reason);
    put_str(error, "message", e->message);
    json_put_bool(error, "retryable", e->retryable);
    json_put(o, "error", error);
}

static struct json_object *image_json(const struct event_image *im)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "path", im->path);
    json_put_cstr(o, "mime", image_mime(im->type));
    json_put_int(o, "bytes", (int64_t)im->bytes);
    json_put_int(o, "width", im->width);
    json_put_int(o, "height", im->height);
    if (im->sha256.len == DIGEST_SIZE) {
        char hex[DIGEST_HEX];
        digest_hex((const uint8_t *)im->sha256.ptr, DIGEST_SIZE, hex);
        json_put_cstr(o, "sha256", hex);
    }
    if (im->c2pa)
        json_put_bool(o, "c2pa", true);
    return o;
}

static void put_images(struct json_object *o, const struct event *e)
{
    struct json_object *list = json_object_new_array();
    for (unsigned i = 0; list && i < e->n_images && i < EVENT_MAX_IMAGES; i++)
        json_object_array_add(list, image_json(&e->images[i]));
    json_put(o, "images", list);
}

static void put_job(struct json_object *o, const struct event *e)
{
    json_put_str(o, "id", e->id);
    json_put_int(o, "index", e->index);
    json_put_int(o, "run", e->run);
    if (e->sample > 1)
        json_put_int(o, "sample", e->sample);
    if (e->type != EVENT_CANCELLED)
        json_put_int(o, "attempts", e->attempts);
}

static void put_call(struct json_object *o, const struct event *e)
{
    put_str(o, "model", e->model);
    put_str(o, "model_version", e->model_version);
    put_int(o, "latency_ms", e->latency_ms);
    if (e->type == EVENT_COMPLETED || e->cost_micro)
        json_put_usd(o, "cost_usd", e->cost_micro);
    if (e->type == EVENT_COMPLETED || e->input_tokens || e->output_tokens) {
        struct json_object *usage = json_object_new_object();
        json_put_int(usage, "input_tokens", e->input_tokens);
        json_put_int(usage, "output_tokens", e->output_tokens);
        json_put(o, "usage", usage);
    }
    put_str(o, "text", e->text);
    put_str(o, "worker", e->worker);
    put_str(o, "response_id", e->response_id);
    put_str(o, "deduped_of", e->deduped_of);
}

static void put_completed(struct json_object *o, const struct event *e)
{
    put_job(o, e);
    put_call(o, e);
    put_images(o, e);
}

static void put_failed(struct json_object *o, const struct event *e)
{
    put_job(o, e);
    put_error(o, e);
    put_call(o, e);
}

static void put_retrying(struct json_object *o, const struct event *e)
{
    put_failed(o, e);
    json_put_int(o, "delay_ms", e->delay_ms);
}

static void put_unknown(struct json_object *o, const struct event *e)
{
    put_failed(o, e);
    put_str(o, "policy", e->policy);
}

static void put_submitted(struct json_object *o, const struct event *e)
{
    if (e->total >= 0) // a batch of the inbox does not know it yet
        json_put_int(o, "total", e->total);
}

static void put_reopened(struct json_object *o, const struct event *e)
{
    json_put_int(o, "jobs", e->jobs);
    json_put_int(o, "run", e->run);
}

static void put_blocked(struct json_object *o, const struct event *e)
{
    json_put_str(o, "group", e->group);
    put_error(o, e);
    if (e->until_ms)
        put_time(o, "until", e->until_ms);
}

static void put_unblocked(struct json_object *o, const struct event *e)
{
    json_put_str(o, "group", e->group);
}

static void put_step(struct json_object *o, const struct event *e)
{
    json_put_str(o, "id", e->id);
    json_put_str(o, "step", e->step);
    if (e->code != CODE_OK) // of what was refused
        put_error(o, e);
    if (e->cost_micro)
        json_put_usd(o, "cost_usd", e->cost_micro);
}

static void put_batch_done(struct json_object *o, const struct event *e)
{
    json_put_int(o, "completed", e->completed);
    json_put_int(o, "failed", e->failed);
    json_put_int(o, "cancelled", e->cancelled);
    json_put_int(o, "total", e->total);
    json_put_usd(o, "cost_usd", e->cost_micro);
    json_put_int(o, "possible_double_bill", e->possible_double_bill);
    put_int(o, "refused", e->refused);
}

typedef void put_members(struct json_object *o, const struct event *e);
static put_members *const put_by_type[EVENT_TYPES] = {
    [EVENT_SUBMITTED] = put_submitted,   [EVENT_COMPLETED] = put_completed,
    [EVENT_FAILED] = put_failed,         [EVENT_CANCELLED] = put_job,
    [EVENT_RETRYING] = put_retrying,     [EVENT_UNKNOWN] = put_unknown,
    [EVENT_REOPENED] = put_reopened,     [EVENT_BLOCKED] = put_blocked,
    [EVENT_UNBLOCKED] = put_unblocked,   [EVENT_STEP] = put_step,
    [EVENT_BATCH_DONE] = put_batch_done,
};

struct json_object *event_json(const struct event *e, struct span batch, struct span event_id)
{
    struct json_object *o = json_object_new_object();
    if (!o)
        return NULL;
    json_put_cstr(o, "event", event_name(e->type));
    json_put_str(o, "batch", batch);
    json_put_str(o, "event_id", event_id);
    put_time(o, "ts", e->ts_ms);
    if ((unsigned)e->type < EVENT_TYPES && put_by_type[e->type])
        put_by_type[e->type](o, e);
    return o;
}
