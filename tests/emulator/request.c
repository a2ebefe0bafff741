// request.c - see request.h.
#include "emulator/request.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "emulator/base64.h"
#include "emulator/fields.h"

#define PROMPT_MAX    (4u << 20)
#define BYTES_A_TOKEN 4

static enum err refuse(struct refusal *why, const char *field, const char *message)
{
    buf_clear(&why->message);
    buf_add_str(&why->message, message);
    buf_add_str(&why->field, field);
    return ERR_FORMAT;
}

// Members may be spelt in camelCase or in snake_case.
static bool member(struct json_object *o, const char *camel, enum json_type type,
                   struct json_object **out)
{
    char snake[64];
    fields_snake(camel, snake, sizeof snake);
    return json_get(o, camel, type, out) || json_get(o, snake, type, out);
}

static bool member_str(struct json_object *o, const char *camel, struct span *out)
{
    struct json_object *s;
    if (!member(o, camel, json_type_string, &s))
        return false;
    *out = (struct span){json_object_get_string(s), (size_t)json_object_get_string_len(s)};
    return true;
}

static bool member_int(struct json_object *o, const char *camel, int64_t *out)
{
    struct json_object *n;
    if (!member(o, camel, json_type_int, &n))
        return false;
    *out = json_object_get_int64(n);
    return true;
}

static enum err read_media(struct request *r, struct json_object *part, struct refusal *why)
{
    struct json_object *media;
    struct span mime = {0}, data;
    if (!member(part, "inlineData", json_type_object, &media)) {
        r->images += member(part, "fileData", json_type_object, &media);
        return OK;
    }
    if (!member_str(media, "mimeType", &mime) || mime.len < 7 ||
        memcmp(mime.ptr, "image/", 6) != 0 || span_is(mime, "image/jpg")) {
        buf_addf(&why->message, "Unsupported MIME type: %.*s", (int)mime.len, mime.ptr);
        return ERR_FORMAT;
    }
    if (!member_str(media, "data", &data) || !base64_valid(data, NULL)) {
        why->violation = true;
        return refuse(why, "contents[0].parts[0].inline_data.data",
                      "Invalid value at 'contents[0].parts[0].inline_data.data' (TYPE_BYTES), "
                      "Base64 decoding failed");
    }
    r->images++;
    return OK;
}

static enum err read_parts(struct request *r, struct json_object *parts, struct refusal *why)
{
    enum err e = OK;
    for (size_t i = 0; i < json_object_array_length(parts) && !e; i++) {
        struct json_object *part = json_object_array_get_idx(parts, i);
        struct span text;
        if (member_str(part, "text", &text)) {
            if (r->prompt.len)
                buf_add_byte(&r->prompt, '\n');
            buf_add(&r->prompt, text);
        }
        e = read_media(r, part, why);
    }
    return e ? e : r->prompt.err;
}

static enum err read_contents(struct request *r, struct json_object *o, struct refusal *why)
{
    struct json_object *contents, *parts;
    enum err e = OK;
    if (!member(o, "contents", json_type_array, &contents) ||
        json_object_array_length(contents) == 0)
        return refuse(why, "",
                      "* GenerateContentRequest.contents: contents is not specified\n");
    for (size_t i = 0; i < json_object_array_length(contents) && !e; i++) {
        struct json_object *turn = json_object_array_get_idx(contents, i);
        struct span role = SPAN("user");
        if (member_str(turn, "role", &role) && !span_is(role, "user") &&
            !span_is(role, "model"))
            return refuse(why, "", "Please use a valid role: user, model.");
        if (!member(turn, "parts", json_type_array, &parts) ||
            json_object_array_length(parts) == 0) {
            buf_addf(&why->message,
                     "* GenerateContentRequest.contents[%zu].parts: contents.parts must not be "
                     "empty.\n",
                     i);
            return ERR_FORMAT;
        }
        e = read_parts(r, parts, why);
    }
    return e;
}

static enum err bad_value(struct refusal *why, const char *field, struct span value)
{
    buf_addf(&why->message, "Invalid value at 'generation_config.%s': \"%.*s\"", field,
             (int)(value.len < 80 ? value.len : 80), value.ptr);
    buf_addf(&why->field, "generation_config.%s", field);
    why->violation = true;
    return ERR_FORMAT;
}

static enum err read_image_config(struct request *r, struct json_object *config,
                                  struct refusal *why)
{
    struct json_object *image;
    struct span ratio, size;
    uint32_t w, h;
    if (!member(config, "imageConfig", json_type_object, &image))
        return OK;
    if (member_str(image, "imageSize", &size) && size.len &&
        !(r->size = model_size(r->model, size)))
        return bad_value(why, "image_config.image_size", size);
    if (member_str(image, "aspectRatio", &ratio)) {
        if (!model_pixels(r->model, ratio, &r->model->sizes[0], &w, &h))
            return bad_value(why, "image_config.aspect_ratio", ratio);
        snprintf(r->ratio, sizeof r->ratio, "%.*s", (int)ratio.len, ratio.ptr);
    }
    return OK;
}

static enum err read_modalities(struct request *r, struct json_object *config,
                                struct refusal *why)
{
    struct json_object *list;
    if (!member(config, "responseModalities", json_type_array, &list) ||
        json_object_array_length(list) == 0)
        return OK;
    r->wants_text = r->wants_image = false;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct span name = span_of(json_object_get_string(json_object_array_get_idx(list, i)));
        if (span_is_case(name, "TEXT"))
            r->wants_text = true;
        else if (span_is_case(name, "IMAGE"))
            r->wants_image = true;
        else
            return bad_value(why, "response_modalities", name);
    }
    return OK;
}

static enum err read_config(struct request *r, struct json_object *o, struct refusal *why)
{
    struct json_object *config, *thinking, *flag;
    int64_t candidates = 1;
    if (!member(o, "generationConfig", json_type_object, &config))
        return OK;
    if (member_int(config, "candidateCount", &candidates) && candidates != 1)
        return refuse(why, "", "Multiple candidates is not enabled for this model");
    r->seeded = member_int(config, "seed", &r->seed);
    member_int(config, "maxOutputTokens", &r->max_tokens);
    if (member(config, "thinkingConfig", json_type_object, &thinking) &&
        member(thinking, "includeThoughts", json_type_boolean, &flag))
        r->thoughts = json_object_get_boolean(flag);
    enum err e = read_modalities(r, config, why);
    return e ? e : read_image_config(r, config, why);
}

static enum err read_tier(struct request *r, struct json_object *o, struct refusal *why)
{
    struct span tier;
    snprintf(r->tier, sizeof r->tier, "standard");
    if (!member_str(o, "serviceTier", &tier))
        return OK;
    if (!span_is_case(tier, "standard") && !span_is_case(tier, "flex") &&
        !span_is_case(tier, "priority")) {
        buf_addf(&why->message, "Invalid value at 'service_tier': \"%.*s\"",
                 (int)(tier.len < 80 ? tier.len : 80), tier.ptr);
        buf_add_str(&why->field, "service_tier");
        why->violation = true;
        return ERR_FORMAT;
    }
    for (size_t i = 0; i < tier.len; i++)
        r->tier[i] = (char)tolower((unsigned char)tier.ptr[i]);
    r->tier[tier.len] = '\0';
    return OK;
}

static enum err read_object(struct request *r, struct json_object *o, struct refusal *why)
{
    enum err e = fields_check(o, &why->field, &why->message);
    if (e) {
        why->violation = true;
        return e;
    }
    if ((e = read_tier(r, o, why)) || (e = read_config(r, o, why)) ||
        (e = read_contents(r, o, why)))
        return e;
    digest_of(buf_span(&r->prompt), r->digest);
    return OK;
}

enum err request_read(struct request *r, struct span body, bool counting, struct refusal *why)
{
    struct json_object *o = NULL, *inner;
    struct buf detail = {.max = 400};
    why->message = (struct buf){.max = 4000};
    why->field = (struct buf){.max = 400};
    r->prompt = (struct buf){.max = PROMPT_MAX};
    r->size = &r->model->sizes[0];
    r->wants_text = r->wants_image = true;
    enum err e = json_read(body, &o, &detail);
    if (e) {
        buf_addf(&why->message, "Invalid JSON payload received. %s", buf_str(&detail));
        why->violation = true;
        e = ERR_FORMAT;
    } else if (counting && member(o, "generateContentRequest", json_type_object, &inner)) {
        e = read_object(r, inner, why);
    } else {
        e = read_object(r, o, why);
    }
    json_object_put(o);
    buf_free(&detail);
    return e;
}

int64_t request_tokens(const struct request *r)
{
    return (int64_t)(r->prompt.len / BYTES_A_TOKEN) + 1;
}

void request_free(struct request *r)
{
    buf_free(&r->prompt);
}

void refusal_free(struct refusal *r)
{
    buf_free(&r->message);
    buf_free(&r->field);
}
