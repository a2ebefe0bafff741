// storage.c - see storage.h.
#include "worker/storage.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "broker/event.h"
#include "broker/queue.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "common/timer.h"

#define MAX_BATCHES 64
#define NONCE       16
#define AGAIN_S     1.0 // after a word that did not arrive
#define MAX_WHY     500 // bytes

struct listener { // a batch
    struct storage *of;
    char batch[JOB_MAX_NAME + 1];
    char nonce[NONCE];
    bool told;   // that it is closed
    bool saying; // a word is under way: `told` will be `said`
    bool said;
};

struct storage {
    struct ev_loop *loop;
    struct storage_options options;
    struct listener list[MAX_BATCHES];
    unsigned n, oldest; // oldest: to be replaced next, once all are in use
    bool closed;
    struct buf why, group;
    ev_timer again;
};

static void tell_all(struct storage *s);

static void on_told(void *ctx, enum err e, int64_t value)
{
    struct listener *l = ctx;
    struct storage *s = l->of;
    (void)value;
    l->saying = false;
    if (e == OK || e == ERR_MISSING) {
        l->told = l->said;
        tell_all(s);
        return;
    }
    if (s->closed) // told with the next failure, if there is one: all may be well by then
        return;
    timer_restart(s->loop, &s->again, AGAIN_S);
}

static void encode(const struct storage *s, bool closed, struct buf *out)
{
    struct event e = {.type = closed ? EVENT_BLOCKED : EVENT_UNBLOCKED,
                      .run = 1,
                      .ts_ms = clock_wall_ms(),
                      .group = buf_span(&s->group)};
    if (closed) {
        e.worker = span_of(s->options.worker);
        e.code = CODE_STORAGE;
        e.message = buf_span(&s->why);
        e.retryable = true;
    }
    event_encode(out, &e);
}

static void tell(struct storage *s, struct listener *l)
{
    struct buf event = {.max = 8192};
    encode(s, s->closed, &event);
    l->said = s->closed;
    l->saying = !event.err &&
                queue_tell(s->options.queue, span_of(l->batch), (struct span){l->nonce, NONCE},
                           buf_span(&event), on_told, l) == OK;
    buf_free(&event);
    if (!l->saying)
        on_told(l, ERR_NET, 0);
}

static void tell_all(struct storage *s)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->list[i].told != s->closed && !s->list[i].saying)
            tell(s, &s->list[i]);
}

static void on_again(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    tell_all(t->data);
}

struct storage *storage_new(struct ev_loop *loop, const struct storage_options *o)
{
    struct storage *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->loop = loop;
    s->options = *o;
    s->why.max = 2 * MAX_WHY;
    s->group.max = 200;
    buf_addf(&s->group, "storage/%.150s", o->worker);
    ev_init(&s->again, on_again);
    s->again.data = s;
    return s;
}

void storage_free(struct storage *s)
{
    if (!s)
        return;
    ev_timer_stop(s->loop, &s->again);
    buf_free(&s->why);
    buf_free(&s->group);
    free(s);
}

static struct listener *place_for(struct storage *s)
{
    if (s->n < MAX_BATCHES)
        return &s->list[s->n++];
    struct listener *l = &s->list[s->oldest];
    s->oldest = (s->oldest + 1) % MAX_BATCHES;
    return l->saying || l->told ? NULL : l;
}

void storage_saw(struct storage *s, struct span batch, struct span nonce)
{
    for (unsigned i = s->n; i-- > 0;)
        if (span_is(batch, s->list[i].batch) &&
            span_equal(nonce, (struct span){s->list[i].nonce, NONCE}))
            return;
    struct listener *l = batch.len <= JOB_MAX_NAME && nonce.len == NONCE ? place_for(s) : NULL;
    if (!l)
        return;
    *l = (struct listener){.of = s};
    memcpy(l->batch, batch.ptr, batch.len);
    memcpy(l->nonce, nonce.ptr, NONCE);
    tell_all(s);
}

void storage_fails(struct storage *s, struct span why)
{
    bool news = !s->closed;
    s->closed = true;
    if (news) {
        buf_clear(&s->why);
        text_show(&s->why, why, MAX_WHY);
        log_error("images cannot be stored; nothing more is asked for until they can",
                  "why=" LOGQ, buf_str(&s->why));
    }
    tell_all(s);
    if (news)
        s->options.closed(s->options.ctx);
}

void storage_works(struct storage *s)
{
    if (!s->closed)
        return;
    s->closed = false;
    log_info("images can be stored again", "worker=%s", s->options.worker);
    tell_all(s);
}

bool storage_closed(const struct storage *s)
{
    return s->closed;
}
