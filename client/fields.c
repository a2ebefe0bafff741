#include "client/fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mp.h"

static void put_text(struct json_object *o, const char *name, struct span s)
{
    if (s.len)
        json_put_str(o, name, s);
}

void fields_put_texts(struct json_object *o, const struct job *j)
{
    put_text(o, "id", j->id);
    put_text(o, "title", j->title);
    put_text(o, "scene", j->scene);
    put_text(o, "mood", j->mood);
    put_text(o, "prompt", j->prompt);
    put_text(o, "negative", j->negative);
}

// The shortest decimal that reads back as the same double: 0.1, not 0.10000000000000001.
static struct json_object *number(double v)
{
    char text[32] = "0";
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    return isfinite(v) ? json_object_new_double_s(v, text) : NULL;
}

static void put_number(struct json_object *o, const char *name, double v)
{
    if (v > 0)
        json_put(o, name, number(v));
}

static void put_settings(struct json_object *o, const struct job *j)
{
    put_text(o, "model", j->model);
    put_text(o, "aspect_ratio", j->aspect_ratio);
    put_text(o, "image_size", j->image_size);
    if (j->priority != JOB_NORMAL)
        json_put_cstr(o, "priority", job_priority_name(j->priority));
    if (j->lane != JOB_STANDARD)
        json_put_cstr(o, "lane", job_lane_name(j->lane));
    if (j->has_seed)
        json_put_int(o, "seed", j->seed);
    if (j->has_temperature)
        json_put(o, "temperature", number(j->temperature));
    if (j->max_attempts)
        json_put_int(o, "max_attempts", j->max_attempts);
    put_number(o, "timeout", j->timeout);
    put_number(o, "deadline", j->deadline);
    put_number(o, "batch_deadline", j->batch_deadline);
    put_number(o, "dedupe", j->dedupe);
    if (j->fail_unknown)
        json_put_cstr(o, "on_unknown", "fail");
}

void fields_put_extra(struct json_object *o, const struct job *j)
{
    struct json_object *extra;
    if (!j->extra.len || fields_unpack(j->extra, &extra) != OK)
        return;
    if (json_object_is_type(extra, json_type_object)) {
        json_object_object_foreach(extra, name, value)
        {
            if (!json_object_object_get_ex(o, name, NULL))
                json_object_object_add(o, name, json_object_get(value));
        }
    }
    json_object_put(extra);
}

struct json_object *fields_entry(const struct job *j)
{
    struct json_object *o = json_object_new_object();
    if (!o)
        return NULL;
    fields_put_texts(o, j);
    put_settings(o, j);
    fields_put_extra(o, j);
    return o;
}

// --- JSON to msgpack -------------------------------------------------------------------------

static void pack_value(msgpack_packer *pk, struct json_object *v);

static void pack_object(msgpack_packer *pk, struct json_object *v)
{
    msgpack_pack_map(pk, (size_t)json_object_object_length(v));
    json_object_object_foreach(v, name, value)
    {
        mp_pack_cstr(pk, name);
        pack_value(pk, value);
    }
}

static void pack_array(msgpack_packer *pk, struct json_object *v)
{
    size_t n = json_object_array_length(v);
    msgpack_pack_array(pk, n);
    for (size_t i = 0; i < n; i++)
        pack_value(pk, json_object_array_get_idx(v, i));
}

static void pack_integer(msgpack_packer *pk, struct json_object *v)
{
    int64_t n = json_object_get_int64(v);
    if (n == INT64_MAX) // what is larger still reads as this
        msgpack_pack_uint64(pk, json_object_get_uint64(v));
    else
        msgpack_pack_int64(pk, n);
}

// Not deep: json_read refuses what is nested deeper than JSON_MAX_DEPTH.
static void pack_value(msgpack_packer *pk, struct json_object *v)
{
    switch (json_object_get_type(v)) {
    case json_type_object: pack_object(pk, v); break;
    case json_type_array: pack_array(pk, v); break;
    case json_type_int: pack_integer(pk, v); break;
    case json_type_double: msgpack_pack_double(pk, json_object_get_double(v)); break;
    case json_type_boolean:
        (json_object_get_boolean(v) ? msgpack_pack_true : msgpack_pack_false)(pk);
        break;
    case json_type_string:
        mp_pack_span(pk, (struct span){json_object_get_string(v),
                                       (size_t)json_object_get_string_len(v)});
        break;
    default: msgpack_pack_nil(pk);
    }
}

void fields_pack(struct buf *out, struct json_object *value)
{
    msgpack_packer pk;
    mp_packer(&pk, out);
    pack_value(&pk, value);
}

// --- msgpack to JSON -------------------------------------------------------------------------

static enum err unpack_value(struct mp *m, struct json_object **out);

static enum err unpack_integer(struct mp *m, struct json_object **out)
{
    int64_t n;
    struct span raw;
    enum err e = mp_int(m, &n);
    if (e == OK) {
        *out = json_object_new_int64(n);
        return OK;
    }
    if (e != ERR_RANGE || mp_raw(m, &raw) != OK || raw.len != 9)
        return ERR_FORMAT;
    uint64_t big = 0; // a uint64: its type byte, and eight bytes, the highest first
    for (size_t i = 1; i < 9; i++)
        big = big << 8 | (unsigned char)raw.ptr[i];
    *out = json_object_new_uint64(big);
    return OK;
}

static enum err unpack_scalar(struct mp *m, struct json_object **out)
{
    bool yes;
    double v;
    struct span s;
    switch (mp_peek(m)) {
    case MP_NIL: return mp_nil(m);
    case MP_INT: return unpack_integer(m, out);
    case MP_BOOL:
        if (mp_bool(m, &yes) != OK)
            return ERR_FORMAT;
        *out = json_object_new_boolean(yes);
        return *out ? OK : ERR_NOMEM;
    case MP_FLOAT:
        if (mp_double(m, &v) != OK)
            return ERR_FORMAT;
        *out = number(v);
        return OK;
    case MP_STR:
        if (mp_str(m, &s) != OK || s.len > INT32_MAX)
            return ERR_FORMAT;
        *out = json_object_new_string_len(s.ptr, (int)s.len);
        return *out ? OK : ERR_NOMEM;
    default: return ERR_FORMAT;
    }
}

static enum err unpack_array(struct mp *m, struct json_object *array)
{
    uint32_t n;
    enum err e = mp_array(m, &n);
    for (uint32_t i = 0; e == OK && i < n; i++) {
        struct json_object *v = NULL;
        e = unpack_value(m, &v);
        if (e == OK)
            json_object_array_add(array, v);
    }
    return e;
}

static enum err unpack_pair(struct mp *m, struct json_object *object)
{
    struct span name;
    struct json_object *v = NULL;
    struct buf key = {.max = JOB_MAX_BYTES + 1};
    enum err e = mp_str(m, &name);
    if (e == OK)
        e = unpack_value(m, &v);
    if (e == OK) {
        buf_add(&key, name); // json-c wants it to end with NUL
        e = key.err;
    }
    if (e == OK)
        json_object_object_add(object, buf_str(&key), v);
    else
        json_object_put(v);
    buf_free(&key);
    return e;
}

static enum err unpack_map(struct mp *m, struct json_object *object)
{
    uint32_t n;
    enum err e = mp_map(m, &n);
    for (uint32_t i = 0; e == OK && i < n; i++)
        e = unpack_pair(m, object);
    return e;
}

static enum err unpack_value(struct mp *m, struct json_object **out)
{
    enum mp_type t = mp_peek(m);
    if (t != MP_ARRAY && t != MP_MAP)
        return unpack_scalar(m, out);
    struct json_object *o = t == MP_MAP ? json_object_new_object() : json_object_new_array();
    if (!o)
        return ERR_NOMEM;
    enum err e = t == MP_MAP ? unpack_map(m, o) : unpack_array(m, o);
    if (e == OK)
        *out = o;
    else
        json_object_put(o);
    return e;
}

enum err fields_unpack(struct span bytes, struct json_object **out)
{
    struct mp m = {bytes};
    *out = NULL;
    if (!mp_valid(bytes)) // bounds the depth, too
        return ERR_FORMAT;
    return unpack_value(&m, out);
}
