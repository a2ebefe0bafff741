// redis_errand.c - see redis_errand.h.
#include "common/redis_errand.h"

#include <stdlib.h>
#include <string.h>

#include "common/redis_wire.h"

struct redis_errand *redis_errand_new(size_t argc, const struct span *argv)
{
    struct buf command = {.max = 512u << 20};
    redis_wire_command(&command, argc, argv);
    struct redis_errand *e = command.err ? NULL : malloc(sizeof *e + command.len);
    if (e) {
        *e = (struct redis_errand){.len = command.len};
        memcpy(e->command, command.ptr, command.len);
    }
    buf_free(&command);
    return e;
}

void redis_errand_free(struct redis_errand *e)
{
    redis_errand_ask(e, NULL);
    free(e);
}

void redis_errand_tell(struct redis_errand *e, enum err err, const redisReply *r)
{
    redis_done *done = e->done;
    void *ctx = e->ctx;
    redis_errand_free(e);
    if (done)
        done(ctx, err, r);
}

void redis_errand_ask(struct redis_errand *e, struct redis_node *n)
{
    if (n)
        redis_node_hold(n);
    if (e->asked)
        redis_node_release(e->asked);
    e->asked = n;
}

struct redis_line *redis_lines_find(struct redis_lines *all, unsigned slot, bool make)
{
    struct redis_line *l;
    TAILQ_FOREACH(l, all, link)
    if (l->slot == slot)
        return l;
    if (!make || !(l = calloc(1, sizeof *l)))
        return NULL;
    l->slot = slot;
    TAILQ_INIT(&l->errands);
    TAILQ_INSERT_TAIL(all, l, link);
    return l;
}

bool redis_line_busy(const struct redis_line *l)
{
    return l->scout || !TAILQ_EMPTY(&l->errands);
}

void redis_line_add(struct redis_line *l, struct redis_errand *e)
{
    struct redis_errand *before = TAILQ_LAST(&l->errands, redis_errands);
    while (before && before->number > e->number)
        before = TAILQ_PREV(before, redis_errands, link);
    if (before)
        TAILQ_INSERT_AFTER(&l->errands, before, e, link);
    else
        TAILQ_INSERT_HEAD(&l->errands, e, link);
}

struct redis_errand *redis_line_take(struct redis_line *l)
{
    struct redis_errand *e = TAILQ_FIRST(&l->errands);
    if (e)
        TAILQ_REMOVE(&l->errands, e, link);
    return e;
}

struct redis_errand *redis_lines_late(struct redis_lines *all, double when)
{
    struct redis_line *l;
    struct redis_errand *e;
    TAILQ_FOREACH(l, all, link)
    TAILQ_FOREACH(e, &l->errands, link)
    if (e->deadline <= when) {
        TAILQ_REMOVE(&l->errands, e, link);
        return e;
    }
    return NULL;
}

void redis_lines_sweep(struct redis_lines *all)
{
    struct redis_line *l = TAILQ_FIRST(all), *next;
    for (; l; l = next) {
        next = TAILQ_NEXT(l, link);
        if (redis_line_busy(l))
            continue;
        TAILQ_REMOVE(all, l, link);
        free(l);
    }
}
