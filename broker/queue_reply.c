// queue_reply.c - the checks of queue_reply.h.
#include "broker/queue_reply.h"

#include <string.h>

#include "common/text.h"

size_t reply_count(const redisReply *r)
{
    return r && r->type == REDIS_REPLY_ARRAY && r->element ? r->elements : 0;
}

const redisReply *reply_at(const redisReply *r, size_t i)
{
    return i < reply_count(r) ? r->element[i] : NULL;
}

bool reply_str(const redisReply *r, struct span *out)
{
    if (!r || r->type != REDIS_REPLY_STRING || !r->str)
        return false;
    *out = (struct span){r->str, (size_t)r->len};
    return true;
}

bool reply_nil(const redisReply *r)
{
    return !r || r->type == REDIS_REPLY_NIL;
}

bool reply_int(const redisReply *r, int64_t *out)
{
    struct span s;
    if (r && r->type == REDIS_REPLY_INTEGER) {
        *out = r->integer;
        return true;
    }
    return reply_str(r, &s) && text_int(s, INT64_MIN, INT64_MAX, out) == OK;
}

int64_t reply_int_or_zero(const redisReply *r)
{
    int64_t v;
    return reply_int(r, &v) ? v : 0;
}

enum err reply_outcome(const redisReply *r, const struct reply_outcome *table, size_t n,
                       int64_t *value)
{
    int64_t code;
    *value = 0;
    if (!reply_int(reply_at(r, 0), &code))
        return ERR_FORMAT;
    const redisReply *next = reply_at(r, 1);
    if (next && next->type == REDIS_REPLY_INTEGER)
        *value = next->integer;
    for (size_t i = 0; i < n; i++)
        if (table[i].code == code)
            return table[i].err;
    return ERR_FORMAT;
}

size_t reply_page(const redisReply *r, size_t n, uint64_t *next, enum err *e)
{
    static const struct reply_outcome codes[] = {{1, OK}, {0, ERR_MISSING}};
    struct span text;
    int64_t none;
    const redisReply *items = reply_at(r, 2);
    if (*e == OK)
        *e = reply_outcome(r, codes, 2, &none);
    if (*e == OK &&
        (!items || items->type != REDIS_REPLY_ARRAY || reply_count(items) % n ||
         !reply_str(reply_at(r, 1), &text) || text_uint(text, 0, UINT64_MAX, next) != OK))
        *e = ERR_FORMAT;
    return *e == OK ? reply_count(items) / n : 0;
}

enum err reply_ready(const redisReply *r, struct queue_ready *out, size_t *n)
{
    *n = 0;
    if (!r || r->type != REDIS_REPLY_ARRAY || reply_count(r) % 2 != 0)
        return ERR_FORMAT;
    for (size_t i = 0; i < reply_count(r); i += 2) {
        if (!reply_str(reply_at(r, i), &out[*n].lane_model) ||
            !reply_int(reply_at(r, i + 1), &out[*n].jobs))
            return ERR_FORMAT;
        *n += 1;
    }
    return OK;
}

// Takes what stands before the next '/' off the front of `s`.
static bool part(struct span *s, struct span *out)
{
    const char *slash = s->len ? memchr(s->ptr, '/', s->len) : NULL;
    if (!slash)
        return false;
    *out = (struct span){s->ptr, (size_t)(slash - s->ptr)};
    s->ptr = slash + 1;
    s->len -= out->len + 1;
    return out->len > 0;
}

enum err reply_list(struct span list, struct queue_claimed *out)
{
    struct span priority, rest = list;
    enum job_lane lane;
    if (!part(&rest, &priority) || !part(&rest, &out->lane) || !part(&rest, &out->model) ||
        job_lane_parse(out->lane, &lane) != OK || !job_name_ok(out->model) ||
        !job_name_ok(rest))
        return ERR_FORMAT; // a batch's name leads to folders
    out->list = list;
    out->batch = rest;
    return OK;
}

enum err reply_event_id(struct span s, uint64_t *number)
{
    if (s.len < 3 || s.ptr[s.len - 2] != '-' || s.ptr[s.len - 1] != '0')
        return ERR_FORMAT;
    return text_uint((struct span){s.ptr, s.len - 2}, 1, INT64_MAX, number);
}

enum err reply_field(struct span s, struct queue_field *out)
{
    const char *colon = s.len ? memchr(s.ptr, ':', s.len) : NULL;
    uint64_t slot;
    if (!colon)
        return ERR_FORMAT;
    struct span seq = {s.ptr, (size_t)(colon - s.ptr)};
    struct span rest = {colon + 1, s.len - seq.len - 1};
    if (text_uint(seq, 0, INT64_MAX, &out->seq) != OK ||
        text_uint(rest, 0, UINT32_MAX, &slot) != OK)
        return ERR_FORMAT;
    out->slot = (unsigned)slot;
    return OK;
}
