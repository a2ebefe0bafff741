// test_inbox.c - the worker's part of the inbox: what it finds is placed, whatever answers are
// lost.
#include <stdio.h>
#include <stdlib.h>

#include "audit.h"
#include "broker/catalogue.h"
#include "pushing.h"
#include "redis_server.h"
#include "test.h"
#include "worker/inbox.h"
#include "worker/lease.h"

struct taker {
    struct farm *farm;
    struct link *link; // with little patience
    struct queue *queue;
    struct lease *lease;
    struct catalogue *catalogue;
    struct inbox *inbox;
    bool gained;
    unsigned idles;
};

static void on_gained(void *ctx)
{
    ((struct taker *)ctx)->gained = true;
}

static void on_lost(void *ctx)
{
    ((struct taker *)ctx)->gained = false;
}

static void on_renewed(void *ctx, const struct queue_renewed *r)
{
    (void)ctx, (void)r;
}

static unsigned no_flight(void *ctx)
{
    (void)ctx;
    return 0;
}

static void on_idle(void *ctx)
{
    ((struct taker *)ctx)->idles++;
}

static void taker_open(struct taker *t, struct farm *f)
{
    const struct lease_options lo = {.seconds = 60, .host = "here"};
    const struct lease_hooks lh = {on_gained, on_lost, on_renewed, no_flight, t, NULL, NULL};
    *t =
        (struct taker){.farm = f, .link = link_new(f->loop, redis_server_url(f->server), NULL)};
    t->queue = queue_new(t->link->redis, SPAN("q"), 0.2);
    t->lease = lease_new(f->loop, t->queue, &lo, &lh);
    assert_int_equal(catalogue_open(NULL, &t->catalogue, NULL), OK);
    t->inbox = inbox_new(f->loop, t->queue, t->lease, t->catalogue, on_idle, t);
    link_up(t->link);
    lease_connected(t->lease);
    wait_for(f->loop, &t->gained, "a lease");
}

static void taker_close(struct taker *t)
{
    link_free(t->link);
    inbox_free(t->inbox);
    catalogue_free(t->catalogue);
    lease_free(t->lease);
    queue_free(t->queue);
}

static bool is_idle(void *ctx)
{
    return !inbox_busy(ctx);
}

static void the_worker_places_what_is_there(void **state)
{
    struct farm *f = *state;
    struct taker t;
    taker_open(&t, f);
    inbox_push_job(f, "z", "one", "a cat");
    PUSH(f, "\xc1");
    inbox_look(t.inbox);
    assert_true(inbox_busy(t.inbox));
    inbox_look(t.inbox); // no-op
    wait_until(f->loop, is_idle, t.inbox, "the inbox");
    assert_int_equal(t.idles, 1);
    assert_int_equal(farm_status(f, "z").b.in, 1);
    assert_int_equal(inbox_dead(f), 1);
    taker_close(&t);
}

// The server takes the request in, but its answer never arrives.
static void a_take_is_sent_again(void **state)
{
    struct farm *f = *state;
    struct taker t;
    taker_open(&t, f);
    inbox_push_job(f, "z", "one", "a cat");
    inbox_push_job(f, "z", "two", "a dog");
    redis_server_pause(f->server);
    inbox_look(t.inbox);
    link_down(t.link);
    assert_true(inbox_busy(t.inbox)); // no claim may take the next number
    redis_server_resume(f->server);
    farm_again(f);
    wait_until(f->loop, is_idle, t.inbox, "the inbox");
    assert_int_equal(farm_status(f, "z").b.in, 2);
    assert_int_equal(redis_server_number(f->server, "LLEN " FARM_PREFIX "inbox"), 0);
    audit(f->server);
    taker_close(&t);
}

static bool was_taken(void *ctx)
{
    struct farm *f = ctx;
    return redis_server_number(f->server, "LLEN " FARM_PREFIX "inbox") == 0;
}

static void a_put_is_sent_again(void **state)
{
    struct farm *f = *state;
    struct taker t;
    char id[16];
    taker_open(&t, f);
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "n%d", i);
        inbox_push_job(f, "z", id, "a cat");
    }
    inbox_look(t.inbox);
    wait_until(f->loop, was_taken, f, "a take");
    redis_server_do(f->server, "CLIENT KILL TYPE normal SKIPME yes");
    wait_until(f->loop, is_idle, t.inbox, "the inbox");
    farm_again(f);
    assert_int_equal(farm_status(f, "z").b.in, 100);
    audit(f->server);
    taker_close(&t);
}

static void a_lost_lease_ends_it(void **state)
{
    struct farm *f = *state;
    struct taker t;
    taker_open(&t, f);
    inbox_push_job(f, "z", "one", "a cat");
    farm_tick_all(f);
    redis_server_do(f->server, "DEL " FARM_PREFIX "leases"); // the reaper was here
    inbox_look(t.inbox);
    wait_until(f->loop, is_idle, t.inbox, "the inbox");
    assert_int_equal(redis_server_number(f->server, "LLEN " FARM_PREFIX "inbox"), 1);
    wait_for(f->loop, &t.gained, "another lease");
    inbox_look(t.inbox);
    wait_until(f->loop, is_idle, t.inbox, "the inbox");
    assert_int_equal(farm_status(f, "z").b.in, 1);
    taker_close(&t);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(the_worker_places_what_is_there),
        T(a_take_is_sent_again),
        T(a_put_is_sent_again),
        T(a_lost_lease_ends_it),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
