// judge.c - see judge.h.
#include "worker/judge.h"

#include "common/json.h"
#include "worker/spool.h"

// --- Finish and block reasons ----------------------------------------------------------------

static const struct reason {
    const char *name;
    enum code code;
    enum provider_retry retry;
    unsigned limit;
} reasons[] = {
    {"SAFETY", CODE_SAFETY, RETRY_NO, 0},
    {"IMAGE_SAFETY", CODE_SAFETY, RETRY_NO, 0},
    {"LANGUAGE", CODE_SAFETY, RETRY_NO, 0},
    {"SPII", CODE_SAFETY, RETRY_NO, 0},
    {"BLOCKLIST", CODE_SAFETY, RETRY_NO, 0},
    {"ESCALATION", CODE_SAFETY, RETRY_NO, 0},
    {"MODEL_ARMOR", CODE_PROHIBITED, RETRY_NO, 0},
    {"JAILBREAK", CODE_PROHIBITED, RETRY_NO, 0},
    {"PROHIBITED_CONTENT", CODE_PROHIBITED, RETRY_NO, 0},
    {"IMAGE_PROHIBITED_CONTENT", CODE_PROHIBITED, RETRY_NO, 0},
    {"RECITATION", CODE_RECITATION, RETRY_LIMITED, 1},
    {"IMAGE_RECITATION", CODE_RECITATION, RETRY_LIMITED, 1},
    {"MAX_TOKENS", CODE_TRUNCATED, RETRY_NO, 0},
    {"NO_IMAGE", CODE_NO_IMAGE, RETRY_LIMITED, 2},
    {"IMAGE_OTHER", CODE_NO_IMAGE, RETRY_LIMITED, 2},
    {"OTHER", CODE_NO_IMAGE, RETRY_LIMITED, 2},
    {"MALFORMED_RESPONSE", CODE_NO_IMAGE, RETRY_LIMITED, 1},
    {"FINISH_REASON_UNSPECIFIED", CODE_NO_IMAGE, RETRY_LIMITED, 1},
    {"BLOCK_REASON_UNSPECIFIED", CODE_SAFETY, RETRY_NO, 0},
};

static void set(struct provider_result *r, enum code code, enum provider_retry retry,
                unsigned limit)
{
    r->code = code;
    r->retry = retry;
    r->retry_limit = limit;
}

// False: not in the table (STOP, none at all, or one that is new).
static bool by_reason(struct provider_result *r, struct span name)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (span_is(name, reasons[i].name)) {
            set(r, reasons[i].code, reasons[i].retry, reasons[i].limit);
            return true;
        }
    return false;
}

// --- An answer with status 200 --------------------------------------------------------------

static bool is_array(struct json_object *o)
{
    return json_object_is_type(o, json_type_array);
}

static struct json_object *image_data(struct json_object *part)
{
    struct json_object *inline_data, *value;
    if (!json_get(part, "inlineData", json_type_object, &inline_data) &&
        !json_get(part, "inline_data", json_type_object, &inline_data))
        return NULL;
    return json_get(inline_data, "data", json_type_string, &value) ? value : NULL;
}

static bool is_thought(struct json_object *part)
{
    struct json_object *o;
    return json_get(part, "thought", json_type_boolean, &o) && json_object_get_boolean(o);
}

static void add_image(struct provider_result *r, struct spool *s)
{
    if (s && r->n_images < EVENT_MAX_IMAGES)
        r->images[r->n_images++].spool = s;
    else
        spool_free(s);
}

// The images that are no thoughts. Without any, the last image of the thoughts: now and then
// the only one stands there.
static void take_images(struct provider_result *r, struct answer *a, struct json_object *parts)
{
    struct json_object *thought = NULL;
    for (size_t i = 0; i < json_object_array_length(parts); i++) {
        struct json_object *part = json_object_array_get_idx(parts, i);
        struct json_object *value = image_data(part);
        if (value && is_thought(part))
            thought = value;
        else if (value)
            add_image(r, answer_take(a, value));
    }
    if (r->n_images == 0 && thought)
        add_image(r, answer_take(a, thought));
}

// The first text that is no thought: further ones are rare, and short.
static void take_text(struct provider_result *r, struct json_object *parts)
{
    struct span text;
    for (size_t i = 0; i < json_object_array_length(parts); i++) {
        struct json_object *part = json_object_array_get_idx(parts, i);
        if (!is_thought(part) && json_get_str(part, "text", &text) && text.len > r->text.len)
            r->text = text;
    }
}

// What a server says is counted and priced: nonsense must neither overflow a sum nor lower it.
#define MAX_TOKENS 1000000000

static int64_t tokens(struct json_object *o, const char *name)
{
    int64_t n = 0;
    json_get_int(o, name, &n);
    return n < 0 ? 0 : n > MAX_TOKENS ? MAX_TOKENS : n;
}

static void take_usage(struct provider_result *r, struct json_object *doc)
{
    struct json_object *u, *details;
    struct span modality;
    if (!json_get(doc, "usageMetadata", json_type_object, &u))
        return;
    r->has_usage = true;
    r->input_tokens = tokens(u, "promptTokenCount");
    r->output_tokens = tokens(u, "candidatesTokenCount") + tokens(u, "thoughtsTokenCount");
    if (!json_get(u, "candidatesTokensDetails", json_type_array, &details))
        return;
    for (size_t i = 0; i < json_object_array_length(details); i++) {
        struct json_object *d = json_object_array_get_idx(details, i);
        if (json_get_str(d, "modality", &modality) && span_is(modality, "IMAGE") &&
            r->image_tokens < MAX_TOKENS)
            r->image_tokens += tokens(d, "tokenCount");
    }
}

static void no_image(struct provider_result *r, struct span finish)
{
    r->reason = finish;
    if (by_reason(r, finish))
        return;
    if (span_is(finish, "STOP") || finish.len == 0)
        set(r, r->text.len ? CODE_TEXT_ONLY : CODE_NO_IMAGE, RETRY_LIMITED,
            r->text.len ? 1 : 2);
    else
        set(r, CODE_NO_IMAGE, RETRY_LIMITED, 1); // a reason nobody has told us of yet
}

static void prompt_blocked(struct provider_result *r, struct json_object *doc)
{
    struct json_object *feedback;
    struct span reason;
    no_image(r, SPAN(""));
    if (!json_get(doc, "promptFeedback", json_type_object, &feedback) ||
        !json_get_str(feedback, "blockReason", &reason))
        return;
    r->reason = reason;
    json_get_str(feedback, "blockReasonMessage", &r->message);
    if (!by_reason(r, reason) || span_is(reason, "OTHER"))
        set(r, CODE_SAFETY, RETRY_NO, 0);
}

void judge_answer(struct provider_result *r, struct answer *a, struct json_object *doc)
{
    struct json_object *candidate = json_at(doc, "candidates.0");
    struct json_object *parts = json_at(doc, "candidates.0.content.parts");
    struct json_object *error;
    struct span finish = {0};
    take_usage(r, doc);
    json_get_str(doc, "modelVersion", &r->model_version);
    json_get_str(doc, "responseId", &r->response_id);
    if (json_get(doc, "error", json_type_object, &error)) {
        judge_refusal(r, 500, doc, SPAN(""), 0);
        return;
    }
    if (!candidate) {
        prompt_blocked(r, doc);
        return;
    }
    json_get_str(candidate, "finishReason", &finish);
    json_get_str(candidate, "finishMessage", &r->message);
    if (is_array(parts)) {
        take_text(r, parts);
        take_images(r, a, parts);
    }
    if (r->n_images > 0)
        r->code = CODE_OK;
    else
        no_image(r, finish);
}
