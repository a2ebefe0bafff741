// test_purse.c - memory that runs out while calls are reserved for and told of: every call that
// was asked about is answered once, no limit is passed, and what was reserved and what calls
// took is in the end what Redis says.
#include "worker/purse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "sweep.h"
#include "test.h"

#define A       "genfarm:{budget}:a:"
#define CALLS   9
#define ALLOWED 5 // of ann's
#define WORST   40000
#define TOOK    39000

struct call {
    struct purse_call *in; // NULL: there was no memory
    bool open, left;
    unsigned told;
};

struct till {
    struct farm *farm;
    struct link *link;
    struct purse *purse, *first;
    struct call calls[CALLS];
    enum err err;
    bool idle;
};

static void on_told(void *ctx, enum purse_answer a, const struct purse_refusal *why)
{
    struct call *c = ctx;
    (void)why;
    c->told++;
    c->open = a == PURSE_OPEN;
    if (!c->open)
        c->in = NULL;
}

static void enter(struct till *t, struct call *c, const char *user)
{
    c->in = purse_enter(t->purse, span_of(user), SPAN("red"), WORST, &c->open, on_told, c);
    if (!c->in)
        t->err = ERR_NOMEM;
}

static bool all_answered(void *ctx)
{
    const struct till *t = ctx;
    for (size_t i = 0; i < CALLS; i++)
        if (t->calls[i].in && !t->calls[i].open && !t->calls[i].left)
            return false;
    return true;
}

static void on_idle(void *ctx)
{
    ((struct till *)ctx)->idle = true;
}

static long long of(const struct till *t, const char *account, const char *field)
{
    redisReply *r = redis_server_ask(t->farm->server, "HGET " A "%s %s", account, field);
    long long n = r->type == REDIS_REPLY_STRING ? atoll(r->str) : 0;
    freeReplyObject(r);
    return n;
}

// Nobody is told when a call is given back that was left before its answer.
static bool nothing_reserved(void *ctx)
{
    return of(ctx, "user:ann", "mrc") == 0;
}

// One went well, one was not heard of again, one was not made; the rest went well, too.
static void end_all(struct till *t)
{
    static const struct purse_took well = {true, false, 1, TOOK}, unknown = {true, true, 0, 0};
    for (size_t i = 0; i < CALLS; i++) {
        struct call *c = &t->calls[i];
        if (c->in && c->open)
            purse_end(t->purse, c->in, i == 2 ? NULL : i == 1 ? &unknown : &well);
    }
    while (!purse_settled(t->purse, on_idle, t)) {
        wait_for(t->farm->loop, &t->idle, "all to be told");
        t->idle = false;
    }
    wait_until(t->farm->loop, nothing_reserved, t, "nothing to be reserved");
}

static void check(const struct till *t, const char *account, size_t first, size_t n)
{
    long long calls = 0, micro = 0;
    for (size_t i = 0; i < CALLS; i++) {
        const struct call *c = &t->calls[i];
        assert_true(c->told <= 1 && !(c->left && c->told));
        if (i < first || i >= first + n || !c->in || !c->open || i == 2)
            continue;
        calls++;
        micro += i == 1 ? WORST : TOOK;
    }
    assert_int_equal(of(t, account, "mc"), calls);
    assert_int_equal(of(t, account, "mu"), micro);
    assert_int_equal(of(t, account, "mrc"), 0);
}

static void use(struct till *t)
{
    for (size_t i = 0; i < 7; i++)
        enter(t, &t->calls[i], "ann");
    enter(t, &t->calls[7], "bob");
    t->calls[3].left = t->calls[3].in != NULL;
    purse_end(t->purse, t->calls[3].in, NULL); // before the answer
    t->calls[3].in = NULL;
    wait_until(t->farm->loop, all_answered, t, "answers");
    enter(t, &t->calls[8], "bob"); // that he has no limit is known
    wait_until(t->farm->loop, all_answered, t, "answers");
    end_all(t);
}

static enum err use_purse(void *ctx)
{
    struct till t = {.farm = ctx};
    farm_fresh(&(void *){ctx});
    redis_server_do(t.farm->server, "HSET " A "user:ann spec calls=%d/month", ALLOWED);
    redis_server_do(t.farm->server, "SADD genfarm:{budget}:limited user:ann");
    t.link = sweep_link(t.farm);
    sweep_begin();
    t.purse = purse_new(t.farm->loop, t.link->redis, &(struct purse_options){"here", 30});
    if (t.purse)
        use(&t);
    else
        t.err = ERR_NOMEM;
    fault_forget();
    if (t.purse) {
        check(&t, "user:ann", 0, 7);
        check(&t, "user:bob", 7, 2);
        check(&t, "project:red", 0, CALLS);
        assert_true(of(&t, "user:ann", "mc") <= ALLOWED);
        assert_int_equal(sweep_account_problems(t.farm), 0);
    }
    link_free(t.link); // first: who waits for an answer is told
    purse_free(t.purse);
    return t.err;
}

static void begin_call(struct till *t)
{
    struct till first = {.farm = t->farm, .link = t->link};
    first.purse = purse_new(t->farm->loop, t->link->redis, &(struct purse_options){"here", 30});
    enter(&first, &first.calls[1], "ann");
    wait_until(t->farm->loop, all_answered, &first, "an answer");
    end_all(&first);
    assert_int_equal(of(t, "user:ann", "mu"), WORST);
    t->first = first.purse;
}

// Another worker told of the call when it began; where there is no memory for an account, that
// is what stays.
static enum err correct(void *ctx)
{
    struct till t = {.farm = ctx};
    farm_fresh(&(void *){ctx});
    t.link = sweep_link(t.farm);
    begin_call(&t);
    sweep_begin();
    t.purse = purse_new(t.farm->loop, t.link->redis, &(struct purse_options){"here", 30});
    if (t.purse) {
        purse_correct(t.purse, SPAN("ann"), SPAN("red"), WORST, clock_wall_ms() / 86400000,
                      &(struct purse_took){.sent = true, .images = 2, .micro = TOOK});
        end_all(&t);
    }
    fault_forget();
    for (int i = 0; t.purse && i < 2; i++) {
        long long micro = of(&t, i ? "project:red" : "user:ann", "mu");
        assert_true(micro == TOOK || (micro == WORST && fault_happened()));
    }
    link_free(t.link);
    purse_free(t.first);
    purse_free(t.purse);
    return t.purse ? OK : ERR_NOMEM;
}

static void every_call_is_told_of(void **state)
{
    sweep(fault_alloc, ERR_NOMEM, use_purse, *state);
}

static void what_was_told_is_corrected(void **state)
{
    sweep(fault_alloc, ERR_NOMEM, correct, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_is_told_of),
        cmocka_unit_test(what_was_told_is_corrected),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
