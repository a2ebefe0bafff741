// request.c - the body of a generateContent call, built with json-c.
#include "broker/request.h"

#include <json-c/json.h>

#include "common/json.h"

const char *const request_key_names[] = {"GOOGLE_API_KEY", "GEMINI_API_KEY", NULL};

static struct json_object *contents(const struct job *j, enum err *e)
{
    struct buf prompt = {.max = 2 * JOB_MAX_BYTES};
    struct json_object *list = json_object_new_array();
    struct json_object *turn = json_object_new_object();
    struct json_object *parts = json_object_new_array();
    struct json_object *part = json_object_new_object();
    job_compose(&prompt, j);
    json_put_str(part, "text", buf_span(&prompt));
    *e = prompt.err;
    buf_free(&prompt);
    if (parts)
        json_object_array_add(parts, part);
    json_put_cstr(turn, "role", "user");
    json_put(turn, "parts", parts);
    if (list)
        json_object_array_add(list, turn);
    return list;
}

static struct json_object *image_config(const struct job *j)
{
    struct json_object *o = json_object_new_object();
    if (j->aspect_ratio.len)
        json_put_str(o, "aspectRatio", j->aspect_ratio);
    if (j->image_size.len)
        json_put_str(o, "imageSize", j->image_size);
    return o;
}

static struct json_object *config(const struct job *j)
{
    struct json_object *o = json_object_new_object();
    struct json_object *modalities = json_object_new_array();
    if (modalities) {
        json_object_array_add(modalities, json_object_new_string("TEXT"));
        json_object_array_add(modalities, json_object_new_string("IMAGE"));
    }
    json_put(o, "responseModalities", modalities);
    if (j->aspect_ratio.len || j->image_size.len)
        json_put(o, "imageConfig", image_config(j));
    if (j->has_seed)
        json_put_int(o, "seed", j->seed);
    if (j->has_temperature)
        json_put_fixed(o, "temperature", j->temperature, 4);
    return o;
}

void request_body(struct buf *out, const struct job *j)
{
    struct json_object *o = json_object_new_object();
    enum err e = OK;
    json_put(o, "contents", contents(j, &e));
    json_put(o, "generationConfig", config(j));
    if (j->lane == JOB_FLEX || j->lane == JOB_PRIORITY)
        json_put_cstr(o, "serviceTier", job_lane_name(j->lane));
    if (o && e == OK)
        json_write(out, o);
    else if (!out->err) // a part of the prompt would be paid for, too
        out->err = o ? e : ERR_NOMEM;
    json_object_put(o);
}

// The body has the prompt as it is sent and all parameters; whoever adds to what is sent adds
// to what is the same.
void request_digest(const struct job *j, char out[static DIGEST_HEX])
{
    struct buf text = {.max = 16 * JOB_MAX_BYTES};
    struct job any = *j;
    uint8_t sum[DIGEST_SIZE];
    any.lane = JOB_STANDARD;
    out[0] = '\0';
    buf_addf(&text, "gemini\n%.*s\n%u\n", (int)j->model.len, j->model.ptr,
             j->sample ? (unsigned)j->sample : 1);
    request_body(&text, &any);
    if (!text.err) {
        digest_of(buf_span(&text), sum);
        digest_hex(sum, sizeof sum, out);
    }
    buf_free(&text);
}

void request_path(struct buf *out, struct span model)
{
    buf_add_str(out, "/v1beta/models/");
    buf_add(out, model);
    buf_add_str(out, ":generateContent");
}

void request_row(struct buf *out, struct span key, const struct job *j)
{
    buf_addf(out, "{\"key\":\"%.*s\",\"request\":", (int)key.len, key.ptr);
    request_body(out, j);
    buf_add_str(out, "}\n");
}

void request_batch_path(struct buf *out, struct span model)
{
    buf_add_str(out, "/v1beta/models/");
    buf_add(out, model);
    buf_add_str(out, ":batchGenerateContent");
}
