// job_member.c - see job_member.h. One table says how each is named, kept, bounded and read.
#include "broker/job_member.h"

#include <string.h>

#include "common/text.h"

#define AT(member) offsetof(struct job, member)
#define MINUTE     60.0
#define DAY        (24 * 60 * MINUTE)

// In the order of the wire, which makes the encoding, and with it the digest, canonical.
static const struct job_member members[] = {
    {"id", MEMBER_TEXT, AT(id), true, 0, JOB_MAX_ID},
    {"title", MEMBER_TEXT, AT(title), true, 0, JOB_MAX_BYTES},
    {"scene", MEMBER_TEXT, AT(scene), true, 0, JOB_MAX_BYTES},
    {"mood", MEMBER_TEXT, AT(mood), true, 0, JOB_MAX_BYTES},
    {"prompt", MEMBER_TEXT, AT(prompt), true, 0, JOB_MAX_BYTES},
    {"negative", MEMBER_TEXT, AT(negative), true, 0, JOB_MAX_BYTES},
    {"model", MEMBER_NAME, AT(model), true, 0, JOB_MAX_NAME},
    {"aspect_ratio", MEMBER_RATIO, AT(aspect_ratio), true, 0, 16},
    {"image_size", MEMBER_SIZE, AT(image_size), true, 0, 8},
    {"priority", MEMBER_PRIORITY, AT(priority), true, 0, 0},
    {"lane", MEMBER_LANE, AT(lane), true, 0, 0},
    {"seed", MEMBER_SEED, AT(seed), true, INT32_MIN, INT32_MAX},
    {"temperature", MEMBER_TEMPERATURE, AT(temperature), true, 0, 2},
    {"max_attempts", MEMBER_U16, AT(max_attempts), true, 1, 100},
    {"timeout", MEMBER_SECONDS, AT(timeout), true, 0.001, DAY},
    {"deadline", MEMBER_SECONDS, AT(deadline), true, 0.001, 365 * DAY},
    {"batch_deadline", MEMBER_SECONDS, AT(batch_deadline), true, 0.001, 365 * DAY},
    {"on_unknown", MEMBER_UNKNOWN, AT(fail_unknown), true, 0, 0},
    {"dedupe", MEMBER_SECONDS, AT(dedupe), true, 0.001, 30 * DAY},
    {"reference", MEMBER_REFERENCE, 0, true, 0, 0},
    {"references", MEMBER_REFERENCE, 0, true, 0, 0},
    {"count", MEMBER_U16, AT(samples), true, 1, JOB_MAX_SAMPLES},
    {"sample", MEMBER_U16, AT(sample), false, 1, JOB_MAX_SAMPLES},
    {"input", MEMBER_U32, AT(input), false, 0, UINT32_MAX},
    {"batch", MEMBER_NAME, AT(batch), false, 0, JOB_MAX_NAME},
    {"user", MEMBER_NAME, AT(user), false, 0, JOB_MAX_NAME},
    {"deadline_from", MEMBER_SECONDS, AT(deadline_from), false, 0, 1e12},
    {"extra", MEMBER_EXTRA, AT(extra), false, 0, JOB_MAX_BYTES},
};

const struct job_member *job_members(size_t *n)
{
    *n = sizeof members / sizeof *members;
    return members;
}

static bool same_name(struct span given, const char *name)
{
    if (given.len != strlen(name))
        return false;
    for (size_t i = 0; i < given.len; i++) {
        char c = given.ptr[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if ((c == '-' ? '_' : c) != name[i])
            return false;
    }
    return true;
}

const struct job_member *job_member_find(struct span name)
{
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (same_name(name, members[i].name))
            return &members[i];
    return NULL;
}

// "16:9"
static bool ratio_ok(struct span s)
{
    size_t colon = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == ':' && colon == 0 && i > 0)
            colon = i;
        else if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    }
    return colon > 0 && colon + 1 < s.len;
}

// "512", "2K"
static bool size_ok(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((s.ptr[i] < '0' || s.ptr[i] > '9') && !(s.ptr[i] == 'K' && i > 0 && i + 1 == s.len))
            return false;
    return s.len > 0;
}

static enum err wrong(struct buf *why, const struct job_member *m, const char *text, enum err e)
{
    if (why)
        buf_addf(why, "\"%s\" %s", m->name, text);
    return e;
}

static enum err check_text(const struct job_member *m, struct span s, struct buf *why)
{
    size_t bad;
    if ((double)s.len > m->max) {
        if (why)
            buf_addf(why, "\"%s\" is longer than %.0f bytes", m->name, m->max);
        return ERR_TOOBIG;
    }
    if (!text_utf8(s, &bad)) {
        if (why)
            buf_addf(why, "\"%s\" is not UTF-8 (byte %zu)", m->name, bad);
        return ERR_FORMAT;
    }
    if (s.len == 0)
        return OK;
    if (m->kind == MEMBER_NAME && !job_name_ok(s))
        return wrong(why, m, "must be 1 to 100 of A-Z a-z 0-9 . _ - and not begin with a dot",
                     ERR_FORMAT);
    if (m->kind == MEMBER_RATIO && !ratio_ok(s))
        return wrong(why, m, "must be WIDTH:HEIGHT, as 16:9", ERR_FORMAT);
    if (m->kind == MEMBER_SIZE && !size_ok(s))
        return wrong(why, m, "must be a size such as 512, 1K or 4K, with a capital K",
                     ERR_FORMAT);
    return OK;
}

static enum err out_of_range(const struct job_member *m, struct buf *why)
{
    if (why)
        buf_addf(why, "\"%s\" must lie between %.10g and %.10g", m->name, m->min, m->max);
    return ERR_RANGE;
}

enum err job_member_number(struct job *j, const struct job_member *m, double v, struct buf *why)
{
    char *at = (char *)j + m->offset;
    if (!(v >= m->min && v <= m->max)) // false for NaN, too
        return out_of_range(m, why);
    switch (m->kind) {
    case MEMBER_U16: *(uint16_t *)(void *)at = (uint16_t)v; break;
    case MEMBER_U32: *(uint32_t *)(void *)at = (uint32_t)v; break;
    case MEMBER_SEED:
        j->seed = (int32_t)v;
        j->has_seed = true;
        break;
    case MEMBER_TEMPERATURE:
        j->temperature = v;
        j->has_temperature = true;
        break;
    case MEMBER_SECONDS: *(double *)(void *)at = v; break;
    default: return ERR_FORMAT;
    }
    return OK;
}

static enum err set_unknown(struct job *j, struct span s)
{
    if (!span_is_case(s, "retry") && !span_is_case(s, "fail"))
        return ERR_FORMAT;
    j->fail_unknown = span_is_case(s, "fail");
    return OK;
}

enum err job_member_text(struct job *j, const struct job_member *m, struct span s,
                         struct buf *why)
{
    switch (m->kind) {
    case MEMBER_TEXT:
    case MEMBER_NAME:
    case MEMBER_RATIO:
    case MEMBER_SIZE: *job_member_span(j, m) = s; return check_text(m, s, why);
    case MEMBER_PRIORITY:
        if (job_priority_parse(s, &j->priority) == OK)
            return OK;
        return wrong(why, m, "must be high, normal or low", ERR_FORMAT);
    case MEMBER_LANE:
        if (job_lane_parse(s, &j->lane) == OK)
            return OK;
        return wrong(why, m, "must be standard, flex, priority or batch", ERR_FORMAT);
    case MEMBER_UNKNOWN:
        if (set_unknown(j, s) == OK)
            return OK;
        return wrong(why, m, "must be retry or fail", ERR_FORMAT);
    case MEMBER_REFERENCE:
        if (s.len == 0)
            return OK;
        return wrong(why, m, "is not possible: references are not supported yet", ERR_RANGE);
    default: return wrong(why, m, "must be a number", ERR_FORMAT);
    }
}

struct span *job_member_span(struct job *j, const struct job_member *m)
{
    return (struct span *)(void *)((char *)j + m->offset);
}

static enum err set_number(struct job *j, const struct job_member *m, struct span s,
                           struct buf *why)
{
    int64_t i = 0;
    double v = 0;
    enum err e;
    if (m->kind == MEMBER_SECONDS)
        e = text_duration(s, &v);
    else if (m->kind == MEMBER_TEMPERATURE)
        e = text_decimal(s, 0, 1e9, &v);
    else if ((e = text_int(s, INT64_MIN, INT64_MAX, &i)) == OK)
        v = (double)i;
    if (e == ERR_FORMAT)
        return wrong(why, m,
                     m->kind == MEMBER_SECONDS ? "must be seconds, or a time such as 10m"
                                               : "must be a number",
                     e);
    return e == OK ? job_member_number(j, m, v, why) : out_of_range(m, why);
}

enum err job_member_set(struct job *j, const struct job_member *m, struct span value,
                        struct buf *why)
{
    switch (m->kind) {
    case MEMBER_U16:
    case MEMBER_U32:
    case MEMBER_SEED:
    case MEMBER_TEMPERATURE:
    case MEMBER_SECONDS: return set_number(j, m, text_trim(value), why);
    case MEMBER_TEXT: return job_member_text(j, m, value, why);
    default: return job_member_text(j, m, text_trim(value), why);
    }
}

enum err job_member_check(const struct job *j, const struct job_member *m, struct buf *why)
{
    const char *at = (const char *)j + m->offset;
    double v = 0;
    switch (m->kind) {
    case MEMBER_TEXT:
    case MEMBER_NAME:
    case MEMBER_RATIO:
    case MEMBER_SIZE: return check_text(m, *(const struct span *)(const void *)at, why);
    case MEMBER_U16: v = *(const uint16_t *)(const void *)at; break;
    case MEMBER_SECONDS: v = *(const double *)(const void *)at; break;
    case MEMBER_TEMPERATURE:
        return j->has_temperature && !(j->temperature >= m->min && j->temperature <= m->max)
                   ? out_of_range(m, why)
                   : OK;
    default: return OK;
    }
    return v != 0 && !(v >= m->min && v <= m->max) ? out_of_range(m, why) : OK;
}
