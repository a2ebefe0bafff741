// redis_slots.c - see redis_slots.h.
#include "common/redis_slots.h"

#include <stdlib.h>

#include "common/redis_slot.h"

static bool is_array(const redisReply *r, size_t least)
{
    return r && r->type == REDIS_REPLY_ARRAY && r->elements >= least;
}

static bool read_number(const redisReply *r, long long min, long long max, unsigned *out)
{
    if (!r || r->type != REDIS_REPLY_INTEGER || r->integer < min || r->integer > max)
        return false;
    *out = (unsigned)r->integer;
    return true;
}

// [host or nil, port, id, ...]; *at: its place among the hosts
static enum err read_node(struct redis_slots *s, const redisReply *r,
                          const struct redis_host *asked, size_t *at)
{
    unsigned port;
    if (!is_array(r, 2) || !read_number(r->element[1], 1, 65535, &port))
        return ERR_FORMAT;
    const redisReply *name = r->element[0];
    struct span host = span_of(asked->name);
    if (name->type == REDIS_REPLY_STRING && name->len > 0)
        host = (struct span){name->str, (size_t)name->len};
    if (!redis_host_ok(host))
        return ERR_FORMAT;
    enum err e = redis_hosts_add(&s->hosts, host, (uint16_t)port);
    *at = 0;
    while (e == OK && !redis_host_same(&s->hosts.at[*at], host, (uint16_t)port))
        ++*at;
    return e == ERR_FULL ? ERR_FORMAT : e;
}

// [first, last, primary, replica...]
static enum err read_range(struct redis_slots *s, const redisReply *r,
                           const struct redis_host *asked)
{
    struct redis_range *range = &s->ranges[s->n];
    size_t replica;
    if (!is_array(r, 3) || !read_number(r->element[0], 0, REDIS_SLOTS - 1, &range->first) ||
        !read_number(r->element[1], range->first, REDIS_SLOTS - 1, &range->last))
        return ERR_FORMAT;
    enum err e = read_node(s, r->element[2], asked, &range->primary);
    for (size_t i = 3; e == OK && i < r->elements; i++) {
        e = read_node(s, r->element[i], asked, &replica);
        if (e == ERR_FORMAT) // one whose name is not known yet, as "?": we can do without
            e = OK;
    }
    s->n += e == OK;
    return e;
}

enum err redis_slots_read(struct redis_slots *s, const redisReply *reply,
                          const struct redis_host *asked)
{
    enum err e = OK;
    *s = (struct redis_slots){0};
    if (!is_array(reply, 0) || reply->elements > REDIS_SLOTS)
        return ERR_FORMAT;
    s->ranges = calloc(reply->elements + 1, sizeof *s->ranges);
    if (!s->ranges)
        return ERR_NOMEM;
    for (size_t i = 0; e == OK && i < reply->elements; i++)
        e = read_range(s, reply->element[i], asked);
    if (e != OK)
        redis_slots_free(s);
    return e;
}

void redis_slots_free(struct redis_slots *s)
{
    redis_hosts_free(&s->hosts);
    free(s->ranges);
    *s = (struct redis_slots){0};
}
