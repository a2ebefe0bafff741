// redis_pending.c - see redis_pending.h.
#include "common/redis_pending.h"

#include <stdlib.h>

#define MAX_SPARE 256

void redis_pending_init(struct redis_pending *p)
{
    *p = (struct redis_pending){0};
    STAILQ_INIT(&p->list);
    STAILQ_INIT(&p->spare);
}

static void free_all(struct redis_request_list *list)
{
    struct redis_request *q;
    while ((q = STAILQ_FIRST(list))) {
        STAILQ_REMOVE_HEAD(list, link);
        free(q);
    }
}

void redis_pending_free(struct redis_pending *p)
{
    free_all(&p->list);
    free_all(&p->spare);
}

enum err redis_pending_add(struct redis_pending *p, double deadline, redis_done *done,
                           void *ctx)
{
    struct redis_request *q = STAILQ_FIRST(&p->spare);
    if (q) {
        STAILQ_REMOVE_HEAD(&p->spare, link);
        p->spares--;
    } else if (!(q = malloc(sizeof *q))) {
        return ERR_NOMEM;
    }
    *q = (struct redis_request){.done = done, .ctx = ctx, .deadline = deadline};
    STAILQ_INSERT_TAIL(&p->list, q, link);
    return OK;
}

const struct redis_request *redis_pending_first(const struct redis_pending *p)
{
    return STAILQ_FIRST(&p->list);
}

// Takes `q` back before it tells, for who is told may make new requests.
static void tell(struct redis_pending *p, struct redis_request *q, enum err e,
                 const redisReply *reply)
{
    redis_done *done = q->done;
    void *ctx = q->ctx;
    if (p->spares < MAX_SPARE) {
        STAILQ_INSERT_HEAD(&p->spare, q, link);
        p->spares++;
    } else {
        free(q);
    }
    if (done)
        done(ctx, e, reply);
}

void redis_pending_tell(struct redis_pending *p, enum err e, const redisReply *reply)
{
    struct redis_request *q = STAILQ_FIRST(&p->list);
    STAILQ_REMOVE_HEAD(&p->list, link);
    tell(p, q, e, reply);
}

void redis_pending_tell_all(struct redis_pending *p, enum err first, enum err rest)
{
    struct redis_request_list list = STAILQ_HEAD_INITIALIZER(list);
    struct redis_request *q;
    STAILQ_CONCAT(&list, &p->list);
    while ((q = STAILQ_FIRST(&list))) {
        STAILQ_REMOVE_HEAD(&list, link);
        tell(p, q, first, NULL);
        first = rest;
    }
}
