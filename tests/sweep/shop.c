// shop.c - see shop.h.
#include "shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "broker/catalogue.h"
#include "common/pool.h"
#include "test.h"
#include "unit/picture.h"
#include "worker/keyring.h"
#include "worker/lease.h"
#include "worker/sink.h"
#include "worker/worker_private.h"

#define LEASE       1.5        // seconds: what is held unknowingly is found after a third of it
#define BATCH_BYTES (4u << 20) // of one job: there is no waiting for more while there are two
#define TEXT                                                                               \
    "a text beside the picture, which is longer than what has room at first: it has more " \
    "than "                                                                                \
    "one hundred and twenty-eight bytes in all, that is for sure"
#define RESPONSE "response-1"

// --- The provider ---------------------------------------------------------------------------

struct provider_call {
    struct shop *shop;
    provider_may_send *may_send;
    provider_done *done;
    void *ctx;
    ev_timer timer;
};

struct provider_result shop_picture(struct shop *s)
{
    struct provider_result r = {.code = CODE_STORAGE,
                                .sent = true,
                                .unknown = true,
                                .retry = RETRY_YES,
                                .message = SPAN("out of memory")};
    struct spool *spool = spool_new(&s->place, 1 << 20);
    if (!spool || spool_add(spool, (const uint8_t *)s->picture.ptr, s->picture.len) != OK ||
        spool_end(spool) != OK) {
        spool_free(spool);
        return r;
    }
    return (struct provider_result){.sent = true,
                                    .text = SPAN(TEXT),
                                    .response_id = SPAN(RESPONSE),
                                    .latency_ms = 5,
                                    .input_tokens = 12,
                                    .output_tokens = 1290,
                                    .image_tokens = 1290,
                                    .has_usage = true,
                                    .images = {{spool}},
                                    .n_images = 1};
}

static void on_time(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct provider_call *c = t->data;
    struct provider_result r = {.withheld = true};
    if (c->may_send(c->ctx)) {
        c->shop->calls++;
        r = shop_picture(c->shop);
    }
    c->done(c->ctx, &r);
    spool_free(r.images[0].spool);
    free(c);
}

static enum err start(struct provider *p, const struct job *job, struct keyring *keys,
                      double timeout, provider_may_send *may_send, provider_done *done,
                      void *ctx, struct provider_call **out)
{
    struct provider_call *c = malloc(sizeof *c);
    (void)job, (void)keys, (void)timeout;
    if (!c)
        return ERR_NOMEM;
    *c = (struct provider_call){(struct shop *)p, may_send, done, ctx, .timer = {0}};
    ev_timer_init(&c->timer, on_time, 0., 0.);
    c->timer.data = c;
    ev_timer_start(c->shop->farm->loop, &c->timer);
    *out = c;
    return OK;
}

static bool sent(const struct provider_call *c)
{
    (void)c;
    return false; // it is with its answer only
}

static bool cancel(struct provider *p, struct provider_call *c)
{
    ev_timer_stop(((struct shop *)p)->farm->loop, &c->timer);
    free(c);
    return false;
}

const struct provider_ops shop_calls = {.start = start, .sent = sent, .cancel = cancel};

// --- The worker -----------------------------------------------------------------------------

void shop_open(struct shop *s, struct farm *f, const char *route)
{
    struct buf why = {.max = 1000}, key = {.max = 10};
    *s = (struct shop){.base = {.name = "x", .endpoint = "https://x"},
                       .farm = f,
                       .place = {.dir = "/tmp", .max_memory = 1 << 20}};
    farm_fresh(&(void *){f});
    if (route)
        farm_submit(f, SHOP_BATCH, "ann", route, SHOP_TOTAL);
    buf_add_str(&key, "key");
    projects_one(&s->projects, "art", &key, SPAN(""));
    s->keys = keyring_new(&s->projects.at[0]);
    assert_int_equal(catalogue_open(NULL, &s->catalogue, &why), OK);
    assert_int_equal(redis_url_parse(span_of(redis_server_url(f->server)), &s->url, &why), OK);
    s->pool = pool_new(f->loop, 1, 0);
    s->picture = picture_png(8, 8);
    assert_true(s->keys && s->pool);
    buf_free(&why);
}

static struct sink *make_sink(void *ctx, struct ev_loop *loop, void *queue)
{
    (void)ctx;
    return sink_redis_new(loop, queue,
                          &(struct sink_bounds){1 << 30, 1 << 30, 24 * 3600 * 1000});
}

bool shop_begin(struct shop *s, const struct provider_ops *ops)
{
    s->base.ops = ops;
    struct worker_parts parts = {&s->base, s->pool, make_sink, s};
    struct worker_options o = {.redis = &s->url,
                               .queue = "q",
                               .keyrings = &s->keys,
                               .n_keyrings = 1,
                               .project = "art",
                               .concurrency = 8,
                               .peers = &s->peers,
                               .lease = LEASE,
                               .grace = 60,
                               .verify = IMAGE_CHECK_FULL,
                               .catalogue = s->catalogue,
                               .sink_name = "redis",
                               .ledger = 1 << 20,
                               .max_batches = 10,
                               .batch_bytes = BATCH_BYTES};
    s->worker = worker_new(s->farm->loop, &o, &parts);
    return s->worker;
}

static bool is_ready(void *ctx)
{
    const struct worker *w = ((struct shop *)ctx)->worker;
    return lease_holds(w->lease) && redis_ready(w->wait_redis);
}

void shop_ready(struct shop *s)
{
    wait_until(s->farm->loop, is_ready, s, "a lease");
}

static bool all_ended(void *ctx)
{
    const struct shop *s = ctx;
    return redis_server_number(s->farm->server, "HGET " FARM_PREFIX "b:" SHOP_BATCH " open") ==
           0;
}

static bool has_drained(void *ctx)
{
    return worker_drained(((struct shop *)ctx)->worker);
}

void shop_done(struct shop *s)
{
    wait_until(s->farm->loop, all_ended, s, "all jobs to end");
    shop_drain(s);
}

void shop_drain(struct shop *s)
{
    worker_drain(s->worker);
    wait_until(s->farm->loop, has_drained, s, "the worker to drain");
}

void shop_close(struct shop *s)
{
    worker_free(s->worker);
    pool_free(s->pool);
    buf_free(&s->picture);
    catalogue_free(s->catalogue);
    keyring_free(s->keys);
    projects_free(&s->projects);
    redis_url_free(&s->url);
}

// --- What came of it ------------------------------------------------------------------------

struct reading {
    struct shop *shop;
    bool done;
    unsigned completed;
};

static void check_image(const struct shop *s, const struct event *e)
{
    char key[64];
    assert_int_equal(e->n_images, 1);
    assert_int_equal(e->images[0].bytes, s->picture.len);
    snprintf(key, sizeof key, FARM_PREFIX "o:" SHOP_BATCH "/%u/0", (unsigned)e->index);
    redisReply *r = redis_server_ask(s->farm->server, "LRANGE %s 0 -1", key);
    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    assert_int_equal(r->elements, 1);
    assert_true(span_equal(buf_span(&s->picture),
                           (struct span){r->element[0]->str, (size_t)r->element[0]->len}));
    freeReplyObject(r);
}

static void on_events(void *ctx, enum err e, const struct queue_event *all, size_t n)
{
    struct reading *of = ctx;
    of->done = true;
    assert_int_equal(e, OK);
    for (size_t i = 0; i < n; i++) {
        struct event ev;
        char id[16];
        assert_int_equal(event_decode(&ev, all[i].bytes), OK);
        if (ev.type != EVENT_COMPLETED)
            continue;
        of->completed++;
        snprintf(id, sizeof id, "job-%u", (unsigned)ev.index);
        assert_true(span_is(ev.id, id));
        assert_true(span_is(ev.text, TEXT));
        assert_true(span_is(ev.response_id, RESPONSE));
        check_image(of->shop, &ev);
    }
}

void shop_audit(struct shop *s)
{
    audit(s->farm->server);
    assert_int_equal(sweep_account_problems(s->farm), 0);
}

void shop_check(struct shop *s)
{
    struct reading of = {.shop = s};
    struct status st = farm_status(s->farm, SHOP_BATCH);
    assert_int_equal(st.b.completed, SHOP_TOTAL);
    assert_int_equal(st.b.calls, s->calls);
    assert_int_equal(queue_events(s->farm->queue, SPAN(SHOP_BATCH), 0, 1000, 0, on_events, &of),
                     OK);
    wait_for(s->farm->loop, &of.done, "events");
    assert_int_equal(of.completed, SHOP_TOTAL);
    assert_int_equal(redis_server_number(s->farm->server, "LLEN " FARM_PREFIX "live"), 0);
    shop_audit(s);
}
