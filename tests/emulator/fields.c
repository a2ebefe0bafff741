// fields.c - see fields.h.
#include "emulator/fields.h"

#include <ctype.h>
#include <string.h>

// One kind of object: the names it knows, and which of them hold objects that are known too.
struct kind {
    const char *const *names; // in camelCase, ended by NULL
    struct child {
        const char *name;
        const struct kind *kind;
        bool list;
    } children[8]; // ended by a NULL name
};

#define NAMES(...)        \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

static const struct kind blob = {.names = NAMES("mimeType", "data", "displayName")};
static const struct kind file = {.names = NAMES("mimeType", "fileUri", "displayName")};
static const struct kind part = {
    .names = NAMES("text", "inlineData", "fileData", "functionCall", "functionResponse",
                   "executableCode", "codeExecutionResult", "thought", "thoughtSignature",
                   "videoMetadata", "mediaResolution", "partMetadata"),
    .children = {{"inlineData", &blob, false}, {"fileData", &file, false}}};
static const struct kind content = {.names = NAMES("role", "parts"),
                                    .children = {{"parts", &part, true}}};
static const struct kind image = {.names = NAMES("aspectRatio", "imageSize")};
static const struct kind thinking = {
    .names = NAMES("thinkingLevel", "thinkingBudget", "includeThoughts")};
static const struct kind config = {
    .names = NAMES("responseModalities", "imageConfig", "seed", "temperature", "topP", "topK",
                   "candidateCount", "maxOutputTokens", "stopSequences", "thinkingConfig",
                   "responseMimeType", "responseSchema", "responseJsonSchema",
                   "presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs",
                   "enableEnhancedCivicAnswers", "speechConfig", "mediaResolution"),
    .children = {{"imageConfig", &image, false}, {"thinkingConfig", &thinking, false}}};
static const struct kind safety = {.names = NAMES("category", "threshold")};
static const struct kind request = {
    .names = NAMES("contents", "systemInstruction", "generationConfig", "safetySettings",
                   "tools", "toolConfig", "cachedContent", "serviceTier", "store", "model"),
    .children = {{"contents", &content, true},
                 {"systemInstruction", &content, false},
                 {"generationConfig", &config, false},
                 {"safetySettings", &safety, true}}};

void fields_snake(const char *camel, char *out, size_t n)
{
    size_t i = 0;
    for (; *camel && i + 2 < n; camel++) {
        if (isupper((unsigned char)*camel))
            out[i++] = '_';
        out[i++] = (char)tolower((unsigned char)*camel);
    }
    out[i] = '\0';
}

static bool same(const char *camel, const char *name)
{
    char snake[64];
    fields_snake(camel, snake, sizeof snake);
    return strcmp(name, camel) == 0 || strcmp(name, snake) == 0;
}

static enum err unknown(const char *path, const char *name, struct buf *field,
                        struct buf *message)
{
    size_t n = strnlen(name, 200);
    buf_addf(message,
             "Invalid JSON payload received. Unknown name \"%.*s\"%s%s%s: Cannot find "
             "field.",
             (int)n, name, *path ? " at '" : "", path, *path ? "'" : "");
    buf_add_str(field, path);
    return ERR_FORMAT;
}

static enum err wrong_kind(const char *path, struct buf *field, struct buf *message)
{
    buf_addf(message, "Invalid value at '%s' (type), not of the kind that is expected", path);
    buf_add_str(field, path);
    return ERR_FORMAT;
}

static enum err check(const struct kind *k, struct json_object *o, const char *path,
                      struct buf *field, struct buf *message);

static enum err check_list(const struct kind *k, struct json_object *list, const char *path,
                           struct buf *field, struct buf *message)
{
    enum err e = OK;
    if (!json_object_is_type(list, json_type_array))
        return wrong_kind(path, field, message);
    for (size_t i = 0; i < json_object_array_length(list) && !e; i++) {
        struct buf item = {.max = 1000};
        buf_addf(&item, "%s[%zu]", path, i);
        e = check(k, json_object_array_get_idx(list, i), buf_str(&item), field, message);
        buf_free(&item);
    }
    return e;
}

static enum err check_member(const struct kind *k, const char *name, struct json_object *value,
                             const char *path, struct buf *field, struct buf *message)
{
    size_t i = 0;
    while (k->names[i] && !same(k->names[i], name))
        i++;
    if (!k->names[i])
        return unknown(path, name, field, message);
    const struct child *c = k->children;
    while (c->name && strcmp(c->name, k->names[i]) != 0)
        c++;
    if (!c->name)
        return OK;
    char snake[64];
    struct buf below = {.max = 1000};
    fields_snake(c->name, snake, sizeof snake);
    buf_addf(&below, "%s%s%s", path, *path ? "." : "", snake);
    enum err e =
        (c->list ? check_list : check)(c->kind, value, buf_str(&below), field, message);
    buf_free(&below);
    return e;
}

static enum err check(const struct kind *k, struct json_object *o, const char *path,
                      struct buf *field, struct buf *message)
{
    if (!json_object_is_type(o, json_type_object))
        return wrong_kind(path, field, message);
    struct json_object_iterator it = json_object_iter_begin(o), end = json_object_iter_end(o);
    enum err e = OK;
    for (; !json_object_iter_equal(&it, &end) && !e; json_object_iter_next(&it))
        e = check_member(k, json_object_iter_peek_name(&it), json_object_iter_peek_value(&it),
                         path, field, message);
    return e;
}

enum err fields_check(struct json_object *o, struct buf *field, struct buf *message)
{
    return check(&request, o, "", field, message);
}
