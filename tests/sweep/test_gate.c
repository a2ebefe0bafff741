// test_gate.c - memory that runs out while calls wait for slots at the gates of two projects:
// their limits hold all the same, each call is let through and told of once, and what was not
// used is given back.
#include "worker/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/catalogue.h"
#include "broker/projects.h"
#include "common/clock.h"
#include "sweep.h"
#include "test.h"
#include "worker/keyring.h"
#include "worker/route.h"

#define MODEL "gemini-3-pro-image"
#define KEY   "genfarm:{limit:%s/" MODEL "/standard}:l"
#define CALLS 8

struct call {
    struct gate_pass pass;
    unsigned opened;
    struct span project;
};

struct house {
    struct farm *farm;
    struct link *link;
    struct catalogue *catalogue;
    struct projects of[2];
    struct keyring *keys[2];
    struct gates *gates;
    struct route *route;
    struct call calls[CALLS];
    bool idle;
};

static const struct {
    const char *name, *limit, *spec; // as the project's file has it, and as the limiter does
} projects[] = {
    {"art", "rpd=100,req=100/1s,inflight=50", "rpd=100/day,req=100/1000000,inflight=50/0"},
    {"spare", "@tier1", "usd10m=10000000/600000000"}};

static void on_open(struct gate_pass *p, int64_t slot_us)
{
    struct call *c = (struct call *)(void *)p;
    (void)slot_us;
    c->opened++;
    c->project = span_of(gate_project(p->gate)->name);
}

static void on_shut(struct gate_pass *p, double seconds)
{
    (void)p, (void)seconds;
}

static void on_room(void *ctx)
{
    (void)ctx;
}

static void on_differs(void *ctx, struct span group, struct span spec)
{
    (void)ctx;
    fail_msg("%.*s: %.*s", (int)group.len, group.ptr, (int)spec.len, spec.ptr);
}

static struct span incarnation(void *ctx)
{
    (void)ctx;
    return SPAN("inc");
}

static void furnish(struct house *h)
{
    struct buf why = {.max = 1000};
    assert_int_equal(catalogue_open(NULL, &h->catalogue, &why), OK);
    for (int i = 0; i < 2; i++) {
        struct buf key = {.max = 100}, spec = {.max = 1000};
        buf_add_str(&key, "key");
        if (projects[i].limit[0] == '@')
            buf_add_str(&spec, projects[i].limit);
        else
            assert_int_equal(limit_spec(span_of(projects[i].limit), &spec, &why), OK);
        projects_one(&h->of[i], projects[i].name, &key, buf_span(&spec));
        h->keys[i] = keyring_new(&h->of[i].at[0]);
        buf_free(&spec);
    }
    buf_free(&why);
    h->link = sweep_link(h->farm);
}

static enum err open_gates(struct house *h)
{
    struct gates_options o = {.keyrings = h->keys,
                              .n_keyrings = 2,
                              .catalogue = h->catalogue,
                              .room = on_room,
                              .differs = on_differs,
                              .incarnation = incarnation,
                              .lease = 30,
                              .concurrency = 64,
                              .ctx = h};
    h->gates = gates_new(h->farm->loop, h->link->redis, &o);
    h->route = h->gates ? route_find(h->gates, SPAN("standard/" MODEL)) : NULL;
    return h->route ? OK : ERR_NOMEM;
}

static void clear_out(struct house *h)
{
    link_free(h->link); // first: who waits for an answer is told
    gates_free(h->gates);
    for (int i = 0; i < 2; i++) {
        keyring_free(h->keys[i]);
        projects_free(&h->of[i]);
    }
    catalogue_free(h->catalogue);
}

// Who was shut out comes again, as a task does.
static bool all_open(void *ctx)
{
    struct house *h = ctx;
    bool all = true;
    for (size_t i = 0; i < CALLS; i++) {
        struct call *c = &h->calls[i];
        if (!c->opened && !c->pass.waiting)
            gate_enter(c->pass.gate, &c->pass);
        all = all && c->opened;
    }
    return all;
}

static long long of(const struct house *h, int project, const char *field)
{
    redisReply *r =
        redis_server_ask(h->farm->server, "HGET " KEY " %s", projects[project].name, field);
    long long n = r->type == REDIS_REPLY_STRING ? atoll(r->str) : 0;
    freeReplyObject(r);
    return n;
}

static void on_idle(void *ctx)
{
    ((struct house *)ctx)->idle = true;
}

static long long sent_through(const struct house *h, const char *project)
{
    long long n = 0;
    for (size_t i = 0; i < CALLS; i++)
        n += i != 1 && span_is(h->calls[i].project, project);
    return n;
}

static bool is_told(void *ctx)
{
    const struct house *h = ctx;
    return of(h, 0, "day:calls") == sent_through(h, "art") &&
           of(h, 1, "day:calls") == sent_through(h, "spare") &&
           of(h, 0, "day:refused") + of(h, 1, "day:refused") == 1 && of(h, 0, "n:inc") == 0 &&
           of(h, 0, "used:rpd") == sent_through(h, "art");
}

// The first one was refused, the second one never sent; then the connection is lost.
static void use(struct house *h)
{
    static const struct limit_units takes = {1, 100, 10};
    for (size_t i = 0; i < CALLS; i++) {
        h->calls[i].pass = (struct gate_pass){.open = on_open, .shut = on_shut, .takes = takes};
        route_enter(h->route, &h->calls[i].pass);
    }
    wait_until(h->farm->loop, all_open, h, "all to be let through");
    struct gate *first = h->calls[0].pass.gate;
    for (size_t i = 0; i < CALLS; i++)
        gate_end(&h->calls[i].pass, i == 1 ? NULL
                                           : &(struct gate_outcome){.sent_us = clock_boot_us(),
                                                                    .went_well = i > 0,
                                                                    .refused = i == 0,
                                                                    .took = takes});
    gate_refused(first, 0.01, clock_boot_us(), LIMIT_BY_CAPACITY);
    redis_server_do(h->farm->server, "CLIENT KILL TYPE normal");
    while (!gates_settled(h->gates, on_idle, h)) {
        wait_for(h->farm->loop, &h->idle, "the gates to be settled");
        h->idle = false;
    }
    wait_until(h->farm->loop, is_told, h, "all to be told");
}

static void check(const struct house *h)
{
    for (size_t i = 0; i < CALLS; i++)
        assert_int_equal(h->calls[i].opened, 1);
    for (int i = 0; i < 2; i++) {
        redisReply *r =
            redis_server_ask(h->farm->server, "HGET " KEY " spec", projects[i].name);
        assert_int_equal(r->type, REDIS_REPLY_STRING);
        assert_string_equal(r->str, projects[i].spec);
        freeReplyObject(r);
    }
}

static enum err go_through(void *ctx)
{
    struct house h = {.farm = ctx};
    farm_fresh(&(void *){ctx});
    furnish(&h);
    sweep_begin();
    enum err e = open_gates(&h);
    if (e == OK)
        use(&h);
    fault_forget();
    if (e == OK)
        check(&h);
    clear_out(&h);
    return e;
}

static void limits_hold(void **state)
{
    sweep(fault_alloc, ERR_NOMEM, go_through, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(limits_hold)};
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
