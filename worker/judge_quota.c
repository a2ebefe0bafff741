// judge_quota.c - see judge.h: what a 429 is about. A violated quota is told by QuotaFailure,
// or, as older services do, by an ErrorInfo whose metadata name it; what names none is a lack
// of capacity.
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"
#include "worker/judge_private.h"

#define MAX_QUOTA 1000000000u
#define SPEND_S \
    120.0 // of a window of ten minutes: what was spent at its beginning leaves it bit by bit

struct violation {
    struct span metric, id, value; // empty: not told
};

static struct json_object *violations(struct json_object *error)
{
    struct json_object *all = NULL;
    json_get(judge_detail(error, "QuotaFailure"), "violations", json_type_array, &all);
    return all;
}

static bool read_metadata(struct json_object *error, struct violation *v)
{
    struct json_object *m = json_at(judge_detail(error, "ErrorInfo"), "metadata");
    json_get_str(m, "quota_metric", &v->metric);
    json_get_str(m, "quota_limit_value", &v->value);
    return json_get_str(m, "quota_limit", &v->id);
}

// The i-th quota that the error names. False: no more.
static bool read_violation(struct json_object *error, size_t i, struct violation *v)
{
    struct json_object *all = violations(error);
    size_t n = all ? json_object_array_length(all) : 0;
    *v = (struct violation){0};
    if (i >= n)
        return i == n && read_metadata(error, v);
    struct json_object *one = json_object_array_get_idx(all, i);
    json_get_str(one, "quotaMetric", &v->metric);
    json_get_str(one, "quotaId", &v->id);
    json_get_str(one, "quotaValue", &v->value);
    return true;
}

static bool is_daily(const struct violation *v)
{
    return judge_has(v->id, "PerDay") || judge_has(v->metric, "per_day");
}

static bool is_spend(const struct violation *v)
{
    return judge_has(v->id, "Spend") || judge_has(v->metric, "spend");
}

// Nothing is allowed at all. proto3 leaves zeros out: a quota that is described in full, and
// without its value, has none.
static bool is_zero(const struct violation *v)
{
    return span_is(v->value, "0") || (v->value.len == 0 && v->metric.len > 0 && v->id.len > 0);
}

static bool any(struct json_object *error, bool (*is)(const struct violation *v))
{
    struct violation v;
    for (size_t i = 0; read_violation(error, i, &v); i++)
        if (is(&v))
            return true;
    return false;
}

static bool is_named(const struct violation *v)
{
    (void)v;
    return true;
}

static enum provider_quota quota_of(struct json_object *error, struct span message)
{
    return judge_has(message, "depleted")                               ? QUOTA_CREDITS
           : judge_has(message, "limit: 0") || any(error, is_zero)      ? QUOTA_ZERO
           : any(error, is_spend)                                       ? QUOTA_SPEND
           : any(error, is_daily)                                       ? QUOTA_DAILY
           : any(error, is_named)                                       ? QUOTA_RATE
           : judge_has(message, "spend") || judge_has(message, "Spend") ? QUOTA_SPEND
                                                                        : QUOTA_CAPACITY;
}

// The limiter's name for a quota, as rpm or tpd, by the words in its id; empty: not known.
// Source: ids seen, as GenerateRequestsPerDayPerProjectPerModel,
// GenerateContentPaidTierInputTokensPerModelPerMinute,
// GenerateImagesPerMinutePerProjectPerModel.
static void name_quota(struct span id, char name[static 4])
{
    char unit = judge_has(id, "InputTokens") ? 't' : judge_has(id, "Images") ? 'i' : 'r';
    char period = judge_has(id, "PerDay") ? 'd' : 'm';
    bool known = (unit != 'r' || judge_has(id, "Requests")) &&
                 (period == 'd' || judge_has(id, "PerMinute"));
    snprintf(name, 4, "%cp%c", unit, period);
    if (!known)
        name[0] = '\0';
}

// What the violated quotas allow, as far as it is told.
static void take_allowed(struct provider_result *r, struct json_object *error)
{
    struct buf out = {.max = sizeof r->allows - 1};
    struct violation v;
    for (size_t i = 0; read_violation(error, i, &v); i++) {
        uint64_t n;
        char name[4];
        if (v.id.len == 0 || text_uint(v.value, 1, MAX_QUOTA, &n) != OK)
            continue;
        name_quota(v.id, name);
        if (*name && !(out.len && memmem(out.ptr, out.len, name, 3)))
            buf_addf(&out, "%s%s=%llu/%s", out.len ? "," : "", name, (unsigned long long)n,
                     name[2] == 'd' ? "day" : "60000000");
    }
    if (!out.err)
        snprintf(r->allows, sizeof r->allows, "%s", buf_str(&out));
    buf_free(&out);
}

void judge_quota(struct provider_result *r, struct json_object *error)
{
    take_allowed(r, error);
    r->quota = quota_of(error, r->message);
    if (r->quota == QUOTA_SPEND && r->delay_floor < SPEND_S)
        r->delay_floor = SPEND_S;
    if (r->quota != QUOTA_DAILY && r->quota != QUOTA_ZERO && r->quota != QUOTA_CREDITS)
        return;
    r->code = CODE_QUOTA_EXHAUSTED;
    r->retry = RETRY_BLOCK;
    r->delay_floor = JUDGE_DAY_PROBE;
}
