// test_gate.c - a worker's gate on a real limiter: each call is charged as what it takes, what
// was not used is given back, and what the limiter did not hear is told again.
#include "worker/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/projects.h"
#include "common/clock.h"
#include "farm.h"
#include "test.h"
#include "worker/keyring.h"
#include "worker/route.h"

#define KEY     "genfarm:{limit:default/m/standard}:l"
#define MAX_OUT 16

struct call {
    struct gate_pass pass;
    int64_t slot_us; // -1: it waits
    unsigned shuts;
};

struct gatehouse {
    struct farm *farm;
    struct link *link;
    struct projects projects;
    struct keyring *keys;
    struct gates *gates;
    struct route *route;
    struct gate *gate;
    struct call calls[MAX_OUT];
    bool idle;
};

static void on_open(struct gate_pass *p, int64_t slot_us)
{
    ((struct call *)(void *)p)->slot_us = slot_us;
}

static void on_shut(struct gate_pass *p, double seconds)
{
    (void)seconds;
    ((struct call *)(void *)p)->shuts++;
}

static void on_room(void *ctx)
{
    (void)ctx;
}

static void on_differs(void *ctx, struct span group, struct span spec)
{
    (void)ctx, (void)group, (void)spec;
}

static struct span incarnation(void *ctx)
{
    (void)ctx;
    return SPAN("inc");
}

// A gate that knows what is set; `lease` in seconds.
static void open_house(struct gatehouse *h, struct farm *f, const char *limit, double lease)
{
    struct buf spec = {.max = 1000}, secret = {.max = 100};
    *h = (struct gatehouse){.farm = f};
    h->link = link_new(f->loop, redis_server_url(f->server), NULL);
    link_up(h->link);
    buf_add_str(&secret, "key");
    projects_one(&h->projects, "default", &secret, SPAN(""));
    h->keys = keyring_new(&h->projects.at[0]);
    struct gates_options o = {.keyrings = &h->keys,
                              .n_keyrings = 1,
                              .room = on_room,
                              .differs = on_differs,
                              .incarnation = incarnation,
                              .lease = lease,
                              .concurrency = 64,
                              .ctx = h};
    h->gates = gates_new(f->loop, h->link->redis, &o);
    h->route = route_find(h->gates, SPAN("standard/m"));
    assert_non_null(h->route);
    h->gate = route_gate(h->route, SPAN(""));
    if (*limit) {
        assert_int_equal(limit_spec(span_of(limit), &spec, NULL), OK);
        redis_server_do(f->server, "HSET " KEY " spec %s", buf_str(&spec));
    }
    buf_free(&spec);
}

static void close_house(struct gatehouse *h)
{
    link_free(h->link); // first: who waits for an answer is told
    gates_free(h->gates);
    keyring_free(h->keys);
    projects_free(&h->projects);
}

static struct call *enter(struct gatehouse *h, size_t i, struct limit_units takes)
{
    struct call *c = &h->calls[i];
    *c = (struct call){.pass = {.open = on_open, .shut = on_shut, .takes = takes},
                       .slot_us = -1};
    route_enter(h->route, &c->pass);
    return c;
}

// Who was shut out comes again, as a task does.
static bool is_open(void *ctx)
{
    struct call *c = ctx;
    if (c->slot_us < 0 && !c->pass.waiting)
        gate_enter(c->pass.gate, &c->pass);
    return c->slot_us >= 0;
}

static void wait_open(struct gatehouse *h, struct call *c)
{
    wait_until(h->farm->loop, is_open, c, "a call to be let through");
}

struct field { // of the limiter's hash, to become so much, or more
    const struct farm *farm;
    const char *name;
    double value;
    bool more;
};

static double field_now(const struct farm *f, const char *name)
{
    redisReply *r = redis_server_ask(f->server, "HGET " KEY " %s", name);
    double v = r->type == REDIS_REPLY_STRING ? atof(r->str) : -1;
    freeReplyObject(r);
    return v;
}

static bool field_is(void *ctx)
{
    const struct field *f = ctx;
    double v = field_now(f->farm, f->name);
    return f->more ? v > f->value : v == f->value;
}

static void wait_field(struct gatehouse *h, const char *name, double value, bool more)
{
    wait_until(h->farm->loop, field_is, &(struct field){h->farm, name, value, more}, name);
}

static void end_well(struct call *c, struct limit_units took)
{
    gate_end(&c->pass, &(struct gate_outcome){
                           .sent_us = clock_boot_us(), .went_well = true, .took = took});
}

// Three that wait together are granted for together.
static void each_is_charged_as_what_it_takes(void **state)
{
    static const int64_t tokens[] = {400, 3000, 0, 10}; // ms each, so to say
    struct gatehouse h;
    struct call *c[4];
    open_house(&h, *state, "tpm=60000", 30);
    for (size_t i = 0; i < 4; i++)
        c[i] = enter(&h, i, (struct limit_units){1, tokens[i], 0});
    for (size_t i = 0; i < 4; i++)
        wait_open(&h, c[i]);
    for (size_t i = 1; i < 4; i++)
        assert_true(c[i]->slot_us - c[i - 1]->slot_us >= (tokens[i - 1] - 200) * 1000);
    int64_t whole = c[3]->slot_us - c[0]->slot_us;
    assert_true(whole < 2 * 3400 * 1000 || !"all were charged as the second");
    for (size_t i = 0; i < 4; i++)
        end_well(c[i], c[i]->pass.takes);
    wait_field(&h, "day:calls", 4, false);
    close_house(&h);
}

// A call took ten seconds' worth more than was reckoned; another one much less.
static void what_it_took_is_told(void **state)
{
    struct gatehouse h;
    open_house(&h, *state, "tpm=60000,ipm=60,usd10m=600", 30);
    struct call *c = enter(&h, 0, (struct limit_units){1, 100, 1000});
    wait_open(&h, c);
    double tat[] = {field_now(*state, "tat:tpm"), field_now(*state, "tat:ipm"),
                    field_now(*state, "tat:usd10m")};
    end_well(c, (struct limit_units){21, 10100, 20001000});
    wait_field(&h, "day:calls", 1, false);
    assert_true(field_now(*state, "tat:tpm") >= tat[0] + 9e6);
    assert_true(field_now(*state, "tat:ipm") >= tat[1] + 18e6);
    assert_true(field_now(*state, "tat:usd10m") >= tat[2] + 18e6);
    close_house(&h);
}

// The slot that is used in the end is that which somebody else left.
static void a_call_takes_another_ones_slot(void **state)
{
    struct gatehouse h;
    open_house(&h, *state, "tpm=60000", 30);
    struct call *first = enter(&h, 0, (struct limit_units){1, 1000, 0});
    wait_open(&h, first);
    enter(&h, 1, (struct limit_units){1, 10, 0});
    struct call *large = enter(&h, 2, (struct limit_units){1, 20000, 0});
    gate_leave(&h.calls[1].pass); // maybe for whom slots are asked just now
    wait_open(&h, large);
    double tat = field_now(*state, "tat:tpm");
    end_well(first, first->pass.takes);
    end_well(large, large->pass.takes);
    wait_field(&h, "day:calls", 2, false);
    if (field_now(*state, "tat:tpm") > tat)
        tat = field_now(*state, "tat:tpm");
    double now = (double)clock_wall_ms() * 1000;
    assert_true(tat > now + 15e6);
    close_house(&h);
}

static void a_day_gets_back_what_was_not_sent(void **state)
{
    struct gatehouse h;
    open_house(&h, *state, "rpd=2,req=1/1h", 30);
    for (int i = 0; i < 5; i++) { // one in an hour, were they not given back
        struct call *c = enter(&h, 0, (struct limit_units){0});
        wait_open(&h, c);
        gate_end(&c->pass, NULL);
    }
    wait_field(&h, "used:rpd", 0, false);
    close_house(&h);
}

static void what_nobody_waits_for_is_given_back(void **state)
{
    struct gatehouse h;
    open_house(&h, *state, "rpd=100,req=100/1s", 30);
    for (size_t i = 0; i < 5; i++)
        enter(&h, i, (struct limit_units){0});
    wait_open(&h, &h.calls[0]);
    for (size_t i = 1; i < 5; i++)
        gate_leave(&h.calls[i].pass);
    end_well(&h.calls[0], (struct limit_units){0});
    unsigned used = 1; // more than one may have been let through at once
    for (size_t i = 1; i < 5; i++)
        if (h.calls[i].slot_us >= 0) {
            end_well(&h.calls[i], (struct limit_units){0});
            used++;
        }
    wait_field(&h, "used:rpd", used, false);
    close_house(&h);
}

static void what_is_closed_gives_back(void **state)
{
    struct gatehouse h;
    open_house(&h, *state, "rpd=100,req=20/1s", 30);
    for (size_t i = 0; i < 8; i++)
        enter(&h, i, (struct limit_units){0});
    wait_open(&h, &h.calls[0]);
    gate_shut(h.gate, 600);
    unsigned used = 0;
    for (size_t i = 0; i < 8; i++) {
        assert_true(h.calls[i].slot_us >= 0 || h.calls[i].shuts == 1);
        used += h.calls[i].slot_us >= 0;
    }
    wait_field(&h, "used:rpd", used, false);
    close_house(&h);
}

static void on_idle(void *ctx)
{
    ((struct gatehouse *)ctx)->idle = true;
}

static void all_is_told_before_the_end(void **state)
{
    struct gatehouse h;
    open_house(&h, *state, "rpd=100,req=20/1s,inflight=50", 30);
    for (size_t i = 0; i < 8; i++)
        enter(&h, i, (struct limit_units){0});
    wait_open(&h, &h.calls[0]);
    for (size_t i = 0; i < 8; i++) {
        gate_leave(&h.calls[i].pass);
        gate_end(&h.calls[i].pass, NULL);
    }
    while (!gates_settled(h.gates, on_idle, &h)) {
        wait_for(h.farm->loop, &h.idle, "the gates to be settled");
        h.idle = false;
    }
    assert_true(field_now(*state, "used:rpd") == 0);
    assert_true(field_now(*state, "n:inc") == 0);
    redis_server_pause(h.farm->server); // what is away is not waited for
    h.idle = false;
    assert_true(gates_settled(h.gates, on_idle, &h));
    redis_server_resume(h.farm->server);
    close_house(&h);
}

static void calls_in_flight_are_told_of_while_they_last(void **state)
{
    struct gatehouse h;
    open_house(&h, *state, "inflight=5", 0.9);
    wait_open(&h, enter(&h, 0, (struct limit_units){0}));
    for (int i = 0; i < 4; i++)
        wait_field(&h, "e:inc", field_now(*state, "e:inc"), true);
    assert_true(field_now(*state, "n:inc") == 1);
    end_well(&h.calls[0], (struct limit_units){0});
    wait_field(&h, "n:inc", 0, false);
    close_house(&h);
}

// Redis is away when a call ends well, and when one is refused: told when it is there again.
static void what_redis_missed_is_told_again(void **state)
{
    (void)state;
    struct farm *f = farm_with(NULL);
    struct gatehouse h;
    open_house(&h, f, "", 30);
    wait_open(&h, enter(&h, 0, (struct limit_units){0}));
    wait_open(&h, enter(&h, 1, (struct limit_units){0}));
    redis_server_kill(f->server);
    link_down(h.link);
    end_well(&h.calls[0], (struct limit_units){.micro = 7});
    gate_end(&h.calls[1].pass, &(struct gate_outcome){.refused = true});
    gate_refused(h.gate, 300, clock_boot_us(), LIMIT_BY_RATE);
    gate_learned(h.gate, "rpm=6/60000000");
    redis_server_again(f->server);
    wait_field(&h, "cd", (double)(clock_wall_ms() + 200000) * 1000, true);
    wait_field(&h, "day:calls", 2, false);
    assert_true(field_now(f, "day:refused") == 1 && field_now(f, "day:micro") == 7);
    wait_field(&h, "qe:rpm", 1, true);
    close_house(&h);
    farm_free(f);
}

// The answer is lost, and what was told was heeded: it counts once.
static void what_redis_heard_counts_once(void **state)
{
    (void)state;
    struct farm *f = farm_with(NULL);
    struct gatehouse h;
    open_house(&h, f, "rpd=50", 30);
    wait_open(&h, enter(&h, 0, (struct limit_units){0}));
    end_well(&h.calls[0], (struct limit_units){0});
    wait_field(&h, "day:calls", 1, false);
    wait_open(&h, enter(&h, 0, (struct limit_units){0}));
    end_well(&h.calls[0], (struct limit_units){0});
    redis_server_pause(f->server);
    wait_seconds(f->loop, 0.3); // sent, and not answered: that takes the 5 s of a request
    link_down(h.link);
    redis_server_resume(f->server); // it heeds what it was sent, and what it is sent again
    wait_field(&h, "day:calls", 2, false);
    wait_open(&h, enter(&h, 0, (struct limit_units){0})); // the next answer came, too
    assert_true(field_now(f, "day:calls") == 2);
    close_house(&h);
    farm_free(f);
}

// What blocks it was mended: whoever sets or clears the limits says so.
static void a_blocked_group_is_tried_when_limits_change(void **state)
{
    struct gatehouse h;
    open_house(&h, *state, "", 30);
    wait_open(&h, enter(&h, 0, (struct limit_units){0}));
    end_well(&h.calls[0], (struct limit_units){0});
    for (int i = 0; i < 2; i++) {
        gate_block(h.gate, "bad_key", 3600);
        assert_int_equal(gate_room(h.gate, 5), 0);
        redis_server_do(h.farm->server, "HSET " KEY " edited %d", i + 1); // see limit.lua
        struct call *c = enter(&h, 0, (struct limit_units){0});
        wait_open(&h, c);
        assert_true(gate_blocked(h.gate)); // until that one went well
        end_well(c, (struct limit_units){0});
        assert_true(gate_unblock(h.gate, clock_boot_us()));
    }
    close_house(&h);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(each_is_charged_as_what_it_takes),
        T(what_it_took_is_told),
        T(a_call_takes_another_ones_slot),
        T(a_day_gets_back_what_was_not_sent),
        T(what_nobody_waits_for_is_given_back),
        T(what_is_closed_gives_back),
        T(all_is_told_before_the_end),
        T(calls_in_flight_are_told_of_while_they_last),
        T(what_redis_missed_is_told_again),
        T(what_redis_heard_counts_once),
        T(a_blocked_group_is_tried_when_limits_change),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
