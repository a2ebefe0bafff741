// judge_refusal.c - see judge.h: answers whose status is not 200.
#include "worker/judge_private.h"

#include <string.h>

#include "common/json.h"
#include "common/text.h"

static const struct status {
    long status; // the last of a range
    enum code code;
    enum provider_retry retry;
} statuses[] = {
    {399, CODE_BAD_RESPONSE, RETRY_NO},     // a redirect: not the API
    {400, CODE_BAD_REQUEST, RETRY_NO},      // some of them: see bad_request()
    {401, CODE_BAD_KEY, RETRY_BLOCK},       //
    {403, CODE_PERMISSION, RETRY_BLOCK},    // 402: prepaid credits are used up
    {404, CODE_NOT_FOUND, RETRY_NO},        //
    {407, CODE_BAD_REQUEST, RETRY_NO},      //
    {408, CODE_TIMEOUT, RETRY_YES},         //
    {428, CODE_BAD_REQUEST, RETRY_NO},      //
    {429, CODE_RATE_LIMITED, RETRY_COOL},   // some of them: see judge_quota()
    {498, CODE_BAD_REQUEST, RETRY_NO},      //
    {499, CODE_SERVER_ERROR, RETRY_YES},    // "The operation was cancelled."
    {502, CODE_SERVER_ERROR, RETRY_YES},    //
    {503, CODE_OVERLOADED, RETRY_YES},      //
    {599, CODE_SERVER_ERROR, RETRY_YES},    //
    {999999, CODE_BAD_RESPONSE, RETRY_YES}, //
};

static void set(struct provider_result *r, enum code code, enum provider_retry retry)
{
    r->code = code;
    r->retry = retry;
}

#define MOST_DELAY 86400.0 // whatever a server says: nobody waits longer for its word
#define STOP_PROBE 60.0    // the same for a key or a permission that somebody must mend

bool judge_has(struct span s, const char *part)
{
    return s.len > 0 && memmem(s.ptr, s.len, part, strlen(part)) != NULL;
}

static bool ends_with(struct span s, const char *end)
{
    size_t n = strlen(end);
    return s.len >= n && memcmp(s.ptr + s.len - n, end, n) == 0;
}

double judge_duration(struct span text)
{
    double sum = 0, part;
    while (text.len > 0) {
        size_t n = 0;
        while (n < text.len &&
               ((text.ptr[n] >= '0' && text.ptr[n] <= '9') || text.ptr[n] == '.'))
            n++;
        while (n < text.len && text.ptr[n] >= 'a' && text.ptr[n] <= 'z')
            n++;
        if (n == 0 || text_duration((struct span){text.ptr, n}, &part) != OK)
            return 0;
        sum += part;
        text.ptr += n;
        text.len -= n;
    }
    return sum;
}

struct json_object *judge_detail(struct json_object *error, const char *type)
{
    struct json_object *details;
    struct span name;
    if (!json_get(error, "details", json_type_array, &details))
        return NULL;
    for (size_t i = 0; i < json_object_array_length(details); i++) {
        struct json_object *d = json_object_array_get_idx(details, i);
        if (json_get_str(d, "@type", &name) && ends_with(name, type))
            return d;
    }
    return NULL;
}

// "Please retry in 48.939935699s." is exact where retryDelay is cut to whole seconds.
static double delay_in_message(struct span message)
{
    static const char mark[] = "retry in ";
    const char *at =
        message.len ? memmem(message.ptr, message.len, mark, sizeof mark - 1) : NULL;
    if (!at)
        return 0;
    at += sizeof mark - 1;
    struct span rest = {at, message.len - (size_t)(at - message.ptr)};
    size_t n = 0;
    while (n < rest.len && ((rest.ptr[n] >= '0' && rest.ptr[n] <= '9') ||
                            (rest.ptr[n] >= 'a' && rest.ptr[n] <= 'z') || rest.ptr[n] == '.'))
        n++;
    while (n > 0 && rest.ptr[n - 1] == '.')
        n--;
    return judge_duration((struct span){rest.ptr, n});
}

static double asked_delay(struct json_object *error, struct span message, double retry_after)
{
    struct span text;
    double exact = delay_in_message(message), delay = retry_after;
    if (json_get_str(judge_detail(error, "RetryInfo"), "retryDelay", &text)) {
        double told = judge_duration(text);
        if (told > 0 && exact == 0)
            told += 1; // it is cut to whole seconds
        if (told > delay)
            delay = told;
    }
    delay = exact > delay ? exact : delay;
    return delay < MOST_DELAY ? delay : MOST_DELAY;
}

static void bad_request(struct provider_result *r, struct json_object *error)
{
    struct span status = {0}, reason = {0};
    json_get_str(error, "status", &status);
    json_get_str(judge_detail(error, "ErrorInfo"), "reason", &reason);
    if (span_is(reason, "API_KEY_INVALID") || judge_has(r->message, "API key not valid") ||
        judge_has(r->message, "API key expired"))
        set(r, CODE_BAD_KEY, RETRY_BLOCK);
    else if (span_is(status, "FAILED_PRECONDITION"))
        set(r, CODE_PERMISSION, RETRY_BLOCK);
}

// API_KEY_SERVICE_BLOCKED, API_KEY_IP_ADDRESS_BLOCKED...: what this key, and not every one of
// its project, must not do.
static bool names_key(struct json_object *error)
{
    static const char prefix[] = "API_KEY_";
    struct span reason;
    return json_get_str(judge_detail(error, "ErrorInfo"), "reason", &reason) &&
           reason.len >= sizeof prefix - 1 &&
           memcmp(reason.ptr, prefix, sizeof prefix - 1) == 0;
}

static struct json_object *unwrap(struct json_object *doc)
{
    struct json_object *error = NULL;
    if (json_object_is_type(doc, json_type_array) && json_object_array_length(doc) > 0)
        doc = json_object_array_get_idx(doc, 0);
    json_get(doc, "error", json_type_object, &error);
    return error;
}

void judge_refusal(struct provider_result *r, long status, struct json_object *doc,
                   struct span raw, double retry_after)
{
    struct json_object *error = unwrap(doc);
    size_t i = 0;
    int64_t code;
    if (status == 500 && json_get_int(error, "code", &code) && code >= 400 && code <= 599)
        status = code; // an error in the midst of an answer that began well
    while (status > statuses[i].status)
        i++;
    set(r, statuses[i].code, statuses[i].retry);
    r->message = raw;
    json_get_str(error, "message", &r->message);
    json_get_str(error, "status", &r->reason);
    r->delay_floor = asked_delay(error, r->message, retry_after);
    if (status == 400)
        bad_request(r, error);
    if (status == 429)
        judge_quota(r, error);
    if (status == 402)
        r->quota = QUOTA_CREDITS;
    if (status == 403 && judge_has(r->message, "API key was reported as leaked"))
        r->code = CODE_BAD_KEY;
    r->bad_key = r->code == CODE_BAD_KEY || names_key(error);
    double probe = r->quota == QUOTA_CREDITS ? JUDGE_DAY_PROBE : STOP_PROBE;
    if (r->retry == RETRY_BLOCK && r->delay_floor < probe)
        r->delay_floor = probe;
}
