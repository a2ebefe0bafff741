// test_lease.c - memory that runs out while a worker holds its lease: it registers, renews, is
// told that the lease was lost, registers anew and leaves all the same, and never thinks longer
// than the server that a lease is its own.
#include "worker/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "sweep.h"
#include "test.h"

#define LEASES "genfarm:{q}:leases"

struct holder {
    struct farm *farm;
    struct link *link;
    struct queue *queue;
    struct lease *lease;
    unsigned gained, lost, renewed;
    bool left, told_limits;
};

static void on_gained(void *ctx)
{
    ((struct holder *)ctx)->gained++;
}

static void on_lost(void *ctx)
{
    ((struct holder *)ctx)->lost++;
}

static void on_renewed(void *ctx, const struct queue_renewed *r)
{
    (void)r;
    ((struct holder *)ctx)->renewed++;
}

static unsigned flight(void *ctx)
{
    (void)ctx;
    return 3;
}

static void limits(void *ctx, struct buf *out)
{
    ((struct holder *)ctx)->told_limits = true;
    buf_add_str(out, "art/m/standard\trpm\t\t0\n");
}

static void on_left(void *ctx)
{
    ((struct holder *)ctx)->left = true;
}

// Us that the server still gives it; below 0: none.
static long long server_left_us(const struct holder *h)
{
    struct span inc = lease_incarnation(h->lease);
    redisReply *r = redis_server_ask(h->farm->server, "ZSCORE " LEASES " %b", inc.ptr, inc.len);
    long long ends_ms = r->type == REDIS_REPLY_STRING ? atoll(r->str) : -1;
    freeReplyObject(r);
    return ends_ms < 0 ? -1 : (ends_ms - clock_wall_ms()) * 1000;
}

// The same host's clock on both sides: what the lease holds, the server gives.
static void check_holds(const struct holder *h)
{
    if (h->lost < h->gained && lease_holds(h->lease) && server_left_us(h) < 0)
        assert_false(lease_holds(h->lease)); // it may have ended meanwhile
    assert_true(h->lost == h->gained || h->lost + 1 == h->gained);
}

static bool is_renewed(void *ctx)
{
    const struct holder *h = ctx;
    check_holds(h);
    return h->renewed > 0 && h->gained > h->lost;
}

static bool is_gained_anew(void *ctx)
{
    const struct holder *h = ctx;
    return h->lost > 0 && h->gained > h->lost;
}

static void hold(struct holder *h)
{
    lease_connected(h->lease);
    wait_until(h->farm->loop, is_renewed, h, "a renewal");
    unsigned before = h->lost;
    redis_server_do(h->farm->server, "DEL " LEASES);
    wait_until(h->farm->loop, is_gained_anew, h, "a fresh lease");
    assert_true(h->lost > before && h->told_limits);
    check_holds(h);
    lease_leave(h->lease, on_left, h);
    wait_for(h->farm->loop, &h->left, "the lease to be left");
    assert_false(lease_holds(h->lease));
}

static enum err hold_lease(void *ctx)
{
    struct holder h = {.farm = ctx};
    static const struct queue_fact fact = {"host", SPAN("here")};
    const struct lease_options o = {
        .seconds = 0.9, .facts = &fact, .n_facts = 1, .host = "here"};
    const struct lease_hooks hooks = {.gained = on_gained,
                                      .lost = on_lost,
                                      .renewed = on_renewed,
                                      .flight = flight,
                                      .limits = limits,
                                      .ctx = &h};
    farm_fresh(&(void *){ctx});
    h.link = sweep_link(h.farm);
    h.queue = queue_new(h.link->redis, SPAN("q"), 5);
    sweep_begin();
    h.lease = lease_new(h.farm->loop, h.queue, &o, &hooks);
    if (h.lease)
        hold(&h);
    fault_forget();
    if (h.lease && !fault_happened()) // else it ends by itself
        assert_int_equal(redis_server_number(h.farm->server, "ZCARD " LEASES), 0);
    link_free(h.link); // first: who waits for an answer is told
    lease_free(h.lease);
    queue_free(h.queue);
    return h.lease ? OK : ERR_NOMEM;
}

static void a_lease_is_held_all_the_same(void **state)
{
    sweep(fault_alloc, ERR_NOMEM, hold_lease, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_lease_is_held_all_the_same)};
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
