// test_sink.c - memory or disk that run out while an image is stored, in Redis or in a folder:
// it is stored whole or not at all, what was stored stays, and is never taken to be missing,
// for then it would be paid for again.
#include "worker/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "common/file.h"
#include "common/pool.h"
#include "sweep.h"
#include "test.h"
#include "worker/spool.h"

#define BATCH "cats"
#define NAME  "images/00000_job-0.png"
#define BYTES 600000 // three chunks in Redis
#define NONCE "0123456789abcdef"

struct store {
    struct farm *farm;
    struct link *link;
    struct queue *queue;
    struct pool *pool;
    struct sink *sink;
    bool in_redis;
    char folder[32];
    char bytes[BYTES];
    struct spool_place place;
    struct spool *spool;
    struct buf record;
    struct sink_item item;
    bool told;
    enum err err;
    size_t found; // bytes of the record that was told
};

static void make_item(struct store *s)
{
    struct buf event = {.max = 65536};
    for (size_t i = 0; i < BYTES; i++)
        s->bytes[i] = (char)(i * i >> 9);
    s->place = (struct spool_place){.dir = "/tmp"};
    s->spool = spool_new(&s->place, BYTES);
    assert_int_equal(spool_add(s->spool, (const uint8_t *)s->bytes, BYTES), OK);
    assert_int_equal(spool_end(s->spool), OK);
    struct event e = {.type = EVENT_COMPLETED,
                      .run = 1,
                      .id = SPAN("job-0"),
                      .model = SPAN("m"),
                      .n_images = 1};
    e.images[0] =
        (struct event_image){.path = SPAN(NAME),
                             .type = IMAGE_PNG,
                             .bytes = BYTES,
                             .sha256 = {(const char *)spool_digest(s->spool), DIGEST_SIZE}};
    event_encode(&event, &e);
    s->record.max = 65536;
    record_encode(&s->record,
                  &(struct record){.nonce = SPAN(NONCE), .event = buf_span(&event)});
    s->item = (struct sink_item){.batch = SPAN(BATCH),
                                 .run = 1,
                                 .record = buf_span(&s->record),
                                 .n_images = 1,
                                 .images = {{s->spool, SPAN("00000_job-0"), BYTES}}};
    buf_free(&event);
}

static struct store *open_store(struct farm *f, bool in_redis)
{
    struct store *s = calloc(1, sizeof *s);
    *s = (struct store){.farm = f, .in_redis = in_redis, .folder = "/tmp/test_sink.XXXXXX"};
    farm_fresh(&(void *){f});
    assert_int_equal(farm_create(f, BATCH, "ann").err, OK);
    assert_non_null(mkdtemp(s->folder));
    s->link = sweep_link(f);
    s->queue = queue_new(s->link->redis, SPAN("q"), 5);
    s->pool = pool_new(f->loop, 1, 0);
    make_item(s);
    s->sink = in_redis ? sink_redis_new(f->loop, s->queue,
                                        &(struct sink_bounds){1 << 30, 1 << 30, 1000})
                       : sink_dir_new(s->pool, s->folder);
    return s;
}

static void close_store(struct store *s)
{
    char command[64];
    link_free(s->link); // first: who waits for an answer is told
    pool_free(s->pool);
    s->sink->ops->free(s->sink);
    queue_free(s->queue);
    spool_free(s->spool);
    buf_free(&s->record);
    snprintf(command, sizeof command, "rm -rf '%s'", s->folder);
    assert_int_equal(system(command), 0);
    free(s);
}

static void on_done(void *ctx, enum err e, struct span record, struct span why)
{
    struct store *s = ctx;
    (void)why;
    assert_false(s->told);
    s->told = true;
    s->err = e;
    s->found = record.len;
}

static enum err wait_told(struct store *s, enum err started)
{
    if (started != OK)
        return started;
    wait_for(s->farm->loop, &s->told, "the sink");
    return s->err;
}

static enum err store(struct store *s)
{
    s->told = false;
    return wait_told(s, s->sink->ops->store(s->sink, &s->item, on_done, s));
}

static enum err look_up(struct store *s)
{
    s->told = false;
    return wait_told(s, s->sink->ops->lookup(s->sink, &s->item, on_done, s));
}

// --- What is there ---------------------------------------------------------------------------

static void check_redis(const struct store *s)
{
    redisReply *r =
        redis_server_ask(s->farm->server, "LRANGE " FARM_PREFIX "o:" BATCH "/0/0 0 -1");
    size_t at = 0;
    for (size_t i = 0; i < r->elements; at += r->element[i++]->len) {
        assert_true(at + r->element[i]->len <= BYTES);
        assert_memory_equal(r->element[i]->str, s->bytes + at, r->element[i]->len);
    }
    assert_int_equal(at, BYTES);
    freeReplyObject(r);
}

static void check_folder(const struct store *s)
{
    char path[128];
    struct buf whole = {.max = 1 << 20};
    snprintf(path, sizeof path, "%s/" BATCH "/" NAME, s->folder);
    assert_int_equal(file_read(path, &whole), OK);
    assert_true(span_equal(buf_span(&whole), (struct span){s->bytes, BYTES}));
    buf_free(&whole);
}

static void check_stored(struct store *s)
{
    assert_int_equal(look_up(s), OK);
    assert_int_equal(s->found, s->record.len);
    if (s->in_redis)
        check_redis(s);
    else
        check_folder(s);
}

// --- Scenarios -------------------------------------------------------------------------------

struct place {
    struct farm *farm;
    bool in_redis;
};

static enum err store_one(void *ctx)
{
    const struct place *p = ctx;
    struct store *s = open_store(p->farm, p->in_redis);
    sweep_begin();
    enum err e = store(s);
    fault_forget();
    if (e != OK)
        assert_int_equal(store(s), OK);
    check_stored(s);
    close_store(s);
    return e;
}

// Stored before: by a worker that was lost since, or before its job was delivered again.
static enum err store_another(void *ctx)
{
    const struct place *p = ctx;
    struct store *s = open_store(p->farm, p->in_redis);
    assert_int_equal(store(s), OK);
    sweep_begin();
    enum err e = store(s);
    fault_forget();
    if (e == OK)
        assert_int_equal(s->found, s->record.len); // adopted: the first writer wins
    check_stored(s);
    close_store(s);
    return e;
}

static enum err find_it(void *ctx)
{
    const struct place *p = ctx;
    struct store *s = open_store(p->farm, p->in_redis);
    assert_int_equal(store(s), OK);
    sweep_begin();
    enum err e = look_up(s);
    fault_forget();
    check_stored(s);
    close_store(s);
    return e;
}

static void sweep_all(fault *kind, enum err error, struct farm *f, bool in_redis)
{
    struct place p = {f, in_redis};
    sweep(kind, error, store_one, &p);
    sweep(kind, error, store_another, &p);
    sweep(kind, error, find_it, &p);
}

static void in_redis(void **state)
{
    sweep_all(fault_alloc, ERR_NOMEM, *state, true);
}

static void in_a_folder(void **state)
{
    sweep_all(fault_alloc, ERR_NOMEM, *state, false);
}

static void on_a_full_disk(void **state)
{
    sweep_all(fault_write, ERR_FULL, *state, false);
}

static void on_a_broken_disk(void **state)
{
    sweep_all(fault_sync, ERR_IO, *state, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_redis),
        cmocka_unit_test(in_a_folder),
        cmocka_unit_test(on_a_full_disk),
        cmocka_unit_test(on_a_broken_disk),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
