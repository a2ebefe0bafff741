// pushing.c - see pushing.h.
#include "pushing.h"

#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "broker/catalogue.h"
#include "common/mp.h"
#include "redis_server.h"
#include "test.h"

void inbox_push(struct farm *f, const char *bytes, size_t n)
{
    redis_server_do(f->server, "RPUSH " FARM_PREFIX "inbox %b", bytes, n);
}

void inbox_push_job(struct farm *f, const char *batch, const char *id, const char *prompt)
{
    inbox_push_with(f, batch, id, prompt, NULL, NULL);
}

void inbox_push_with(struct farm *f, const char *batch, const char *id, const char *prompt,
                     const char *name, const char *value)
{
    struct buf b = {.max = 4096};
    msgpack_packer pk;
    const char *const pairs[] = {"id", id, "prompt", prompt, "batch", batch};
    mp_packer(&pk, &b);
    msgpack_pack_map(&pk, (size_t)(batch != NULL) + (id != NULL) + (prompt != NULL) +
                              (name != NULL));
    if (name) { // first, so that what is wrong with it is found before the others are read
        mp_pack_cstr(&pk, name);
        if (value)
            mp_pack_cstr(&pk, value);
        else
            msgpack_pack_int64(&pk, 3);
    }
    for (int i = 0; i < 6; i += 2) {
        if (!pairs[i + 1])
            continue;
        mp_pack_cstr(&pk, pairs[i]);
        mp_pack_cstr(&pk, pairs[i + 1]);
    }
    inbox_push(f, b.ptr, b.len);
    buf_free(&b);
}

void inbox_push_end(struct farm *f, const char *batch, int64_t total)
{
    struct buf b = {.max = 4096};
    msgpack_packer pk;
    mp_packer(&pk, &b);
    msgpack_pack_map(&pk, 3);
    mp_pack_cstr(&pk, "batch");
    mp_pack_cstr(&pk, batch);
    mp_pack_cstr(&pk, "seal");
    msgpack_pack_true(&pk);
    mp_pack_cstr(&pk, "total");
    msgpack_pack_int64(&pk, total);
    inbox_push(f, b.ptr, b.len);
    buf_free(&b);
}

static void took(void *ctx, enum err e, const struct queue_item *items, size_t n)
{
    struct taken *t = ctx;
    t->done = true;
    t->err = e;
    t->n = n;
    assert_true(n <= INBOX_MOST);
    for (size_t i = 0; i < n; i++) {
        assert_true(items[i].bytes.len <= sizeof t->bytes[i]);
        t->items[i] = items[i];
        memcpy(t->bytes[i], items[i].bytes.ptr, items[i].bytes.len);
        t->items[i].bytes.ptr = t->bytes[i];
    }
}

struct taken *inbox_take(struct farm *f, struct hand *h, uint64_t seq)
{
    struct taken *t = calloc(1, sizeof *t);
    h->seq = seq;
    assert_int_equal(queue_inbox_take(f->queue, span_of(h->inc), seq, INBOX_MOST, took, t), OK);
    wait_for(f->loop, &t->done, "what is in the inbox");
    return t;
}

struct told inbox_put(struct farm *f, const struct hand *h, const struct queue_item *item)
{
    struct told t = {0};
    struct catalogue *c;
    assert_int_equal(catalogue_open(NULL, &c, NULL), OK);
    t = farm_wait(f, queue_inbox_put(f->queue, span_of(h->inc), item, c, told_value, &t), &t);
    catalogue_free(c);
    return t;
}

void inbox_place_all(struct farm *f, struct hand *h, char *values)
{
    struct taken *t = inbox_take(f, h, h->seq + 1);
    assert_int_equal(t->err, OK);
    for (size_t i = 0; i < t->n; i++) {
        struct told p = inbox_put(f, h, &t->items[i]);
        assert_int_equal(p.err, OK);
        if (values)
            *values++ = (char)('0' + p.value);
    }
    if (values)
        *values = '\0';
    assert_int_equal(farm_renew(f, h).active, 0);
    free(t);
    audit(f->server);
}

long long inbox_dead(struct farm *f)
{
    return redis_server_number(f->server, "LLEN " FARM_PREFIX "dead");
}
