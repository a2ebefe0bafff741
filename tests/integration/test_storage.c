// test_storage.c - batches are told when a worker cannot store their images, and when it can.
#include <ev.h>

#include "audit.h"
#include "farm.h"
#include "redis_server.h"
#include "unit/test.h"
#include "worker/storage.h"

#define WHY "/disk: cannot save the image: No space left on device; free some room there"

struct shop {
    struct farm *farm;
    struct storage *storage;
    unsigned closed; // times
};

static void on_closed(void *ctx)
{
    ((struct shop *)ctx)->closed++;
}

static void open_shop(struct shop *s, struct farm *f)
{
    struct storage_options o = {f->queue, "host:1", on_closed, s};
    *s = (struct shop){.farm = f, .storage = storage_new(f->loop, &o)};
    assert_non_null(s->storage);
}

// As farm_create() made it; read from the server.
static void saw(struct shop *s, const char *batch)
{
    redisReply *r = redis_server_ask(s->farm->server, "HGET " FARM_PREFIX "b:%s nonce", batch);
    storage_saw(s->storage, span_of(batch), (struct span){r->str, r->len});
    freeReplyObject(r);
}

static unsigned told(struct shop *s, const char *batch)
{
    return farm_events(s->farm, batch, EVENT_BLOCKED, -1) +
           farm_events(s->farm, batch, EVENT_UNBLOCKED, -1);
}

// Each look is a turn of the loop, too.
static void assert_told(struct shop *s, const char *batch, unsigned blocked, unsigned unblocked)
{
    for (int i = 0; i < 1000 && told(s, batch) < blocked + unblocked; i++)
        ;
    assert_int_equal(farm_events(s->farm, batch, EVENT_BLOCKED, -1), blocked);
    assert_int_equal(farm_events(s->farm, batch, EVENT_UNBLOCKED, -1), unblocked);
}

static void batches_are_told_once_and_told_when_it_is_over(void **state)
{
    struct shop s;
    open_shop(&s, *state);
    farm_submit(s.farm, "a", "ann", NULL, 2);
    farm_submit(s.farm, "b", "ann", NULL, 2);
    farm_submit(s.farm, "c", "ann", NULL, 2);
    saw(&s, "a");
    saw(&s, "b");
    saw(&s, "a");
    storage_works(s.storage); // nobody thought otherwise
    assert_told(&s, "a", 0, 0);
    storage_fails(s.storage, SPAN(WHY));
    assert_true(storage_closed(s.storage));
    storage_fails(s.storage, SPAN(WHY));
    assert_int_equal(s.closed, 1);
    assert_told(&s, "a", 1, 0);
    assert_told(&s, "b", 1, 0);
    saw(&s, "c"); // while it is closed
    assert_told(&s, "c", 1, 0);
    storage_works(s.storage);
    assert_false(storage_closed(s.storage));
    assert_told(&s, "a", 1, 1);
    assert_told(&s, "c", 1, 1);
    storage_fails(s.storage, SPAN(WHY));
    storage_works(s.storage); // before the word is out: both are said
    assert_told(&s, "b", 2, 2);
    assert_int_equal(s.closed, 2);
    audit(s.farm->server);
    storage_free(s.storage);
}

// A batch that has ended has its last event; one that is not there any more, none.
static void what_has_ended_is_told_nothing(void **state)
{
    struct shop s;
    open_shop(&s, *state);
    struct hand h = farm_hand(s.farm, "w1");
    farm_submit(s.farm, "a", "ann", NULL, 2);
    saw(&s, "a");
    storage_saw(s.storage, SPAN("gone"), SPAN("0123456789abcdef"));
    assert_int_equal(farm_work_off(s.farm, &h), 2);
    storage_fails(s.storage, SPAN(WHY));
    storage_works(s.storage);
    assert_told(&s, "a", 0, 0);
    assert_int_equal(redis_server_number(s.farm->server, "EXISTS " FARM_PREFIX "ev:gone"), 0);
    audit(s.farm->server);
    storage_free(s.storage);
}

// All may be well again by the time that Redis is.
static void nothing_stale_is_told_when_redis_was_away(void **state)
{
    static const char *const kept[] = {"--appendonly", "yes", NULL};
    struct shop s;
    struct farm *f = farm_with(kept);
    (void)state;
    open_shop(&s, f);
    farm_submit(f, "a", "ann", NULL, 2);
    saw(&s, "a");
    redis_server_kill(f->server);
    link_down(f->link);
    storage_fails(s.storage, SPAN(WHY));
    redis_server_again(f->server);
    farm_again(f);
    assert_told(&s, "a", 0, 0);
    storage_fails(s.storage, SPAN(WHY)); // still
    assert_told(&s, "a", 1, 0);
    storage_works(s.storage);
    assert_told(&s, "a", 1, 1);
    storage_free(s.storage);
    farm_free(f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(batches_are_told_once_and_told_when_it_is_over),
        T(what_has_ended_is_told_nothing),
        T(nothing_stale_is_told_when_redis_was_away),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
