// sink_redis.c - images go to Redis, for hosts that share nothing else; see broker/blob.h.
//
// A chunk of each image is under way at a time. A budget of bytes stops new calls, not Redis:
// what is stored is asked for once a second, and the largest image seen so far is counted in
// for every call in flight. Each worker counts its own calls only: N workers may pass the
// budget by the worst case of N - 1 of them. Before calls wait, images that nobody fetched go
// of batches that have ended; but not while somebody fetches them.
#include <ev.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/blob.h"
#include "common/digest.h"
#include "common/log.h"
#include "worker/sink.h"
#include "worker/spool.h"

#define FIRST_WORST (4ll << 20) // bytes an image is thought to have before one was seen
#define ASK_SECONDS 1.0
#define CALM_MS     600000 // a batch that ended, or was fetched from, so lately may be fetched now
#define PART        8      // of all that is made free at once, at most

struct sink_redis {
    struct sink base;
    struct ev_loop *loop;
    struct queue *queue;
    struct sink_bounds bounds;
    int64_t stored, worst;
    int64_t needed; // bytes that calls wait for, since the last look; 0: none do
    ev_timer timer;
};

struct put { // one item on its way
    struct sink_redis *sink;
    struct sink_item item; // its spans are borrowed until done
    sink_done *done;
    void *ctx;
    struct buf name, temp[EVENT_MAX_IMAGES];
    unsigned image; // that is being sent
    uint64_t at;    // bytes of it that were
    int64_t bytes;  // of all
    char *chunk;
};

static void put_free(struct put *p)
{
    if (!p)
        return;
    buf_free(&p->name);
    for (unsigned i = 0; i < EVENT_MAX_IMAGES; i++)
        buf_free(&p->temp[i]);
    free(p->chunk);
    free(p);
}

static void put_end(struct put *p, enum err e, struct span record)
{
    p->done(p->ctx, e, record, span_of(e == OK ? "" : err_text(e)));
    put_free(p);
}

static void on_kept(void *ctx, enum err e, struct span record)
{
    struct put *p = ctx;
    if (e == OK && record.len == 0)
        p->sink->stored += p->bytes;
    put_end(p, e, record);
}

static enum err keep(struct put *p)
{
    struct span temps[EVENT_MAX_IMAGES];
    for (unsigned i = 0; i < p->item.n_images; i++)
        temps[i] = buf_span(&p->temp[i]);
    return blob_keep(p->sink->queue, buf_span(&p->name), p->item.record, p->bytes,
                     p->item.spare_s, p->item.n_images, temps, on_kept, p);
}

static void on_pushed(void *ctx, enum err e, int64_t chunks);

static enum err copy_on(struct put *p);

static uint64_t chunks_of(uint64_t bytes)
{
    return (bytes + BLOB_CHUNK - 1) / BLOB_CHUNK;
}

static void on_copied(void *ctx, enum err e, int64_t chunks)
{
    struct put *p = ctx;
    if (e == OK && (uint64_t)chunks != chunks_of(p->item.images[p->image].bytes))
        e = ERR_MISSING; // it is being taken away
    p->image++;
    if (e == OK)
        e = copy_on(p);
    if (e != OK)
        put_end(p, e, (struct span){0});
}

// Copies the next image of another job, or keeps the record after the last one.
static enum err copy_on(struct put *p)
{
    if (p->image == p->item.n_images)
        return keep(p);
    struct buf name = {.max = 512};
    blob_name(&name, p->item.source->batch, p->item.source->index);
    enum err e = name.err ? name.err
                          : blob_copy(p->sink->queue, buf_span(&name), p->image,
                                      buf_span(&p->temp[p->image]), on_copied, p);
    buf_free(&name);
    return e;
}

// Sends the next chunk, or the record after the last one.
static enum err go_on(struct put *p)
{
    while (p->image < p->item.n_images && p->at >= p->item.images[p->image].bytes) {
        p->image++;
        p->at = 0;
    }
    if (p->image == p->item.n_images)
        return keep(p);
    ssize_t n =
        pread(spool_fd(p->item.images[p->image].spool), p->chunk, BLOB_CHUNK, (off_t)p->at);
    if (n <= 0)
        return ERR_IO;
    p->at += (uint64_t)n;
    return blob_push(p->sink->queue, buf_span(&p->temp[p->image]),
                     (struct span){p->chunk, (size_t)n}, on_pushed, p);
}

static void on_pushed(void *ctx, enum err e, int64_t chunks)
{
    struct put *p = ctx;
    (void)chunks;
    if (e == OK)
        e = go_on(p);
    if (e != OK)
        put_end(p, e, (struct span){0});
}

// Under a part of its name a list would be that of another image, too.
static bool named(const struct put *p)
{
    enum err e = p->name.err;
    for (unsigned i = 0; e == OK && i < p->item.n_images; i++)
        e = p->temp[i].err;
    return e == OK;
}

static struct put *put_new(struct sink_redis *s, const struct sink_item *item, sink_done *done,
                           void *ctx)
{
    struct put *p = calloc(1, sizeof *p);
    uint64_t random;
    if (!p)
        return NULL;
    *p = (struct put){.sink = s, .item = *item, .done = done, .ctx = ctx};
    p->name.max = 512;
    blob_name(&p->name, item->batch, item->index);
    random_bytes(&random, sizeof random);
    for (unsigned i = 0; i < item->n_images; i++) {
        p->temp[i].max = 64;
        buf_addf(&p->temp[i], "t/%016" PRIx64 "/%u", random, i);
        p->bytes += (int64_t)item->images[i].bytes;
    }
    if (!named(p)) {
        put_free(p);
        return NULL;
    }
    return p;
}

static enum err redis_store(struct sink *s, const struct sink_item *item, sink_done *done,
                            void *ctx)
{
    struct sink_redis *r = (struct sink_redis *)s;
    struct put *p = put_new(r, item, done, ctx);
    if (!p || !(p->chunk = malloc(BLOB_CHUNK))) {
        put_free(p);
        return ERR_NOMEM;
    }
    if (p->bytes > r->worst)
        r->worst = p->bytes;
    enum err e = item->source ? copy_on(p) : go_on(p);
    if (e != OK)
        put_free(p);
    return e;
}

static void on_found(void *ctx, enum err e, struct span record)
{
    put_end(ctx, e, record);
}

static enum err redis_lookup(struct sink *s, const struct sink_item *item, sink_done *done,
                             void *ctx)
{
    struct sink_redis *r = (struct sink_redis *)s;
    struct put *p = put_new(r, item, done, ctx);
    if (!p)
        return ERR_NOMEM;
    enum err e = blob_find(r->queue, buf_span(&p->name), on_found, p);
    if (e != OK)
        put_free(p);
    return e;
}

// What calls that wait want to have free.
static void need(struct sink_redis *r, unsigned busy, unsigned want)
{
    int64_t more = want * r->worst;
    if (more > r->bounds.max_stored / PART)
        more = r->bounds.max_stored / PART;
    r->needed = busy * r->worst + (more > r->worst ? more : r->worst);
}

static unsigned redis_room(struct sink *s, unsigned busy, unsigned want, bool needed,
                           struct buf *why)
{
    (void)why;
    struct sink_redis *r = (struct sink_redis *)s;
    int64_t left = r->bounds.max_stored - r->stored - (int64_t)busy * r->worst;
    if (left < r->worst) {
        if (needed)
            need(r, busy, want);
        return busy == 0 && r->stored == 0 ? 1 : 0; // a budget below one image lets one through
    }
    return left / r->worst < want ? (unsigned)(left / r->worst) : want;
}

static void redis_place(struct sink *s, struct buf *out, const struct sink_item *item)
{
    (void)s;
    buf_add_str(out, "redis:");
    blob_name(out, item->batch, item->index);
}

static void on_stock(void *ctx, enum err e, const struct blob_stock *s)
{
    struct sink_redis *r = ctx;
    if (e != OK)
        return;
    r->stored = s->stored;
    if (s->jobs > 0)
        log_warn("images that nobody fetched were removed to keep within bounds",
                 "batch=%.*s jobs=%lld mb=%.1f", (int)s->batch.len, s->batch.ptr,
                 (long long)s->jobs, (double)s->bytes / 1e6);
}

static void on_timer(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct sink_redis *r = t->data;
    int64_t left = r->bounds.max_stored - r->needed;
    const struct blob_bounds b = {.keep_ms = r->bounds.keep_ms,
                                  .most_ended = r->bounds.keep_bytes,
                                  .most_stored = !r->needed ? -1
                                                 : left > 0 ? left
                                                            : 0,
                                  .calm_ms = CALM_MS};
    r->needed = 0;
    (void)!blob_trim(r->queue, &b, on_stock, r); // when it fails the last answer stands
}

static void redis_free_sink(struct sink *s)
{
    struct sink_redis *r = (struct sink_redis *)s;
    ev_timer_stop(r->loop, &r->timer);
    free(r);
}

static const struct sink_ops redis_ops = {redis_lookup, redis_store, redis_room, redis_place,
                                          redis_free_sink};

struct sink *sink_redis_new(struct ev_loop *loop, struct queue *q, const struct sink_bounds *b)
{
    struct sink_redis *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    *r = (struct sink_redis){
        .base.ops = &redis_ops, .loop = loop, .queue = q, .bounds = *b, .worst = FIRST_WORST};
    ev_timer_init(&r->timer, on_timer, 0.1, ASK_SECONDS);
    r->timer.data = r;
    ev_timer_start(loop, &r->timer);
    return &r->base;
}
