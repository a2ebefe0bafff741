// json.c - documents: the gate in front, json-c behind it.
#include "common/json.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_gate.h"
#include "common/text.h"

#define PART 4096 // json-c is eleven times slower when it is fed byte by byte

struct json_split {
    struct json_gate gate;
    struct json_split_hooks hooks;
    struct json_tokener *tokener;
    struct json_object *root;
    bool parsed;
    size_t kept, max_kept;
    size_t n; // bytes in `part`
    char part[PART];
};

static enum err parse(struct json_split *s, const char *bytes, size_t n)
{
    if (s->parsed)
        return OK; // white space behind the document
    struct json_object *o = json_tokener_parse_ex(s->tokener, bytes, (int)n);
    enum json_tokener_error e = json_tokener_get_error(s->tokener);
    if (e == json_tokener_continue)
        return OK;
    if (e != json_tokener_success)
        return ERR_FORMAT;
    s->root = o;
    s->parsed = true;
    return OK;
}

static enum err flush(struct json_split *s)
{
    enum err e = s->n ? parse(s, s->part, s->n) : OK;
    s->n = 0;
    return e;
}

static enum err keep(void *ctx, const char *bytes, size_t n)
{
    struct json_split *s = ctx;
    s->kept += n;
    if (s->kept > s->max_kept)
        return ERR_TOOBIG;
    while (n > 0) {
        size_t k = PART - s->n < n ? PART - s->n : n;
        memcpy(s->part + s->n, bytes, k);
        s->n += k;
        bytes += k;
        n -= k;
        if (s->n == PART) {
            enum err e = flush(s);
            if (e != OK)
                return e;
        }
    }
    return OK;
}

struct json_split *json_split_new(const struct json_split_hooks *hooks, size_t max_string,
                                  size_t max_kept)
{
    struct json_split *s = calloc(1, sizeof *s);
    if (!s || !(s->tokener = json_tokener_new_ex(JSON_MAX_DEPTH + 1))) {
        free(s);
        return NULL;
    }
    json_tokener_set_flags(s->tokener, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
    if (hooks)
        s->hooks = *hooks;
    s->max_kept = max_kept;
    s->gate.hooks = hooks ? &s->hooks : NULL;
    s->gate.keep = keep;
    s->gate.ctx = s;
    s->gate.max_string = max_string;
    gate_reset(&s->gate);
    return s;
}

void json_split_free(struct json_split *s)
{
    if (!s)
        return;
    json_object_put(s->root);
    json_tokener_free(s->tokener);
    free(s);
}

enum err json_split_feed(struct json_split *s, const char *bytes, size_t n)
{
    return gate_feed(&s->gate, bytes, n);
}

bool json_split_complete(const struct json_split *s)
{
    return gate_complete(&s->gate);
}

enum err json_split_take(struct json_split *s, struct json_object **out)
{
    if (!json_split_complete(s))
        return ERR_FORMAT;
    enum err e = flush(s);
    if (e == OK && !s->parsed)
        e = parse(s, "", 1); // a number at the top ends only here
    if (e == OK && !s->parsed)
        e = ERR_FORMAT;
    if (e != OK)
        return e;
    *out = s->root;
    s->root = NULL;
    s->parsed = false;
    s->kept = 0;
    json_tokener_reset(s->tokener);
    gate_reset(&s->gate);
    return OK;
}

int json_split_placeholder(struct json_object *value)
{
    uint64_t n;
    if (!json_object_is_type(value, json_type_string))
        return -1;
    struct span s = {json_object_get_string(value), (size_t)json_object_get_string_len(value)};
    if (s.len < 2 || s.ptr[0] != '\x01' ||
        text_uint((struct span){s.ptr + 1, s.len - 1}, 0, INT_MAX, &n) != OK)
        return -1;
    return (int)n;
}

// Finds where a text stops being JSON, for people: feeds it a byte at a time.
static size_t place_of_error(struct span text)
{
    struct json_split *s = json_split_new(NULL, SIZE_MAX, SIZE_MAX);
    size_t i = 0;
    while (s && i < text.len && json_split_feed(s, text.ptr + i, 1) == OK)
        i++;
    json_split_free(s);
    return i;
}

enum err json_read(struct span text, struct json_object **out, struct buf *why)
{
    struct json_split *s = json_split_new(NULL, SIZE_MAX, SIZE_MAX);
    if (!s)
        return ERR_NOMEM;
    enum err e = json_split_feed(s, text.ptr, text.len);
    if (e == OK)
        e = json_split_take(s, out);
    json_split_free(s);
    if (e != OK && why) {
        size_t at = place_of_error(text);
        buf_addf(why,
                 at < text.len ? "not JSON at byte %zu"
                               : "JSON that ends too early at byte %zu",
                 at);
    }
    return e;
}

bool json_get(struct json_object *o, const char *name, enum json_type t,
              struct json_object **out)
{
    struct json_object *v;
    if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, name, &v) ||
        !v || !json_object_is_type(v, t))
        return false;
    *out = v;
    return true;
}

bool json_get_str(struct json_object *o, const char *name, struct span *out)
{
    struct json_object *v;
    if (!json_get(o, name, json_type_string, &v))
        return false;
    *out = (struct span){json_object_get_string(v), (size_t)json_object_get_string_len(v)};
    return true;
}

bool json_get_int(struct json_object *o, const char *name, int64_t *out)
{
    struct json_object *v;
    if (!json_get(o, name, json_type_int, &v))
        return false;
    *out = json_object_get_int64(v);
    return true;
}

struct json_object *json_at(struct json_object *o, const char *path)
{
    while (*path && o) {
        char name[64];
        size_t n = strcspn(path, ".");
        uint64_t i;
        if (n >= sizeof name)
            return NULL;
        snprintf(name, sizeof name, "%.*s", (int)n, path);
        struct json_object *next = NULL;
        if (json_object_is_type(o, json_type_array)) {
            if (text_uint((struct span){path, n}, 0, SIZE_MAX, &i) == OK)
                next = json_object_array_get_idx(o, i);
        } else if (json_object_is_type(o, json_type_object)) {
            json_object_object_get_ex(o, name, &next);
        }
        o = next;
        path += n + (path[n] == '.');
    }
    return o;
}

void json_put(struct json_object *o, const char *name, struct json_object *value)
{
    if (!o || json_object_object_add(o, name, value) != 0)
        json_object_put(value);
}

void json_put_str(struct json_object *o, const char *name, struct span value)
{
    if (value.len <= INT_MAX)
        json_put(o, name,
                 json_object_new_string_len(value.ptr ? value.ptr : "", (int)value.len));
}

void json_put_cstr(struct json_object *o, const char *name, const char *value)
{
    json_put_str(o, name, span_of(value));
}

void json_put_int(struct json_object *o, const char *name, int64_t value)
{
    json_put(o, name, json_object_new_int64(value));
}

void json_put_bool(struct json_object *o, const char *name, bool value)
{
    json_put(o, name, json_object_new_boolean(value));
}

// A number with at least one and at most `decimals` decimals.
static void put_decimal(struct json_object *o, const char *name, char *text)
{
    char *point = strchr(text, '.');
    size_t n = strlen(text);
    while (point && n > (size_t)(point - text) + 2 && text[n - 1] == '0')
        text[--n] = '\0';
    json_put(o, name, json_object_new_double_s(strtod(text, NULL), text));
}

void json_put_usd(struct json_object *o, const char *name, int64_t micro)
{
    char text[40];
    uint64_t u = micro < 0 ? (uint64_t)0 - (uint64_t)micro : (uint64_t)micro;
    snprintf(text, sizeof text, "%s%llu.%06llu", micro < 0 ? "-" : "",
             (unsigned long long)(u / 1000000), (unsigned long long)(u % 1000000));
    put_decimal(o, name, text);
}

void json_put_fixed(struct json_object *o, const char *name, double v, int decimals)
{
    char text[400];
    snprintf(text, sizeof text, "%.*f", decimals, isfinite(v) ? v : 0.);
    put_decimal(o, name, text);
}

void json_write(struct buf *out, struct json_object *o)
{
    size_t n;
    const char *text = json_object_to_json_string_length(
        o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
    if (text)
        buf_add(out, (struct span){text, n});
    else
        out->err = ERR_NOMEM;
}
