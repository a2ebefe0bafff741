// sweep.c - see sweep.h.
#include "sweep.h"

#include "broker/account.h"
#include "test.h"

static fault *kind = fault_alloc;
static unsigned nth;

static void later(unsigned n)
{
    kind(0);
    nth = n;
}

void sweep(fault *k, enum err error, fault_act *act, void *ctx)
{
    kind = k;
    fault_sweep(later, error, act, ctx);
}

void sweep_begin(void)
{
    kind(nth);
}

struct link *sweep_link(struct farm *f)
{
    struct link *l = link_new(f->loop, redis_server_url(f->server), NULL);
    link_up(l);
    return l;
}

struct found {
    bool done;
    size_t n;
};

static void on_found(void *ctx, enum err e, const struct span *names, size_t n)
{
    struct found *found = ctx;
    (void)names;
    assert_int_equal(e, OK);
    *found = (struct found){true, n / 2};
}

size_t sweep_account_problems(struct farm *f)
{
    struct found found = {0};
    assert_int_equal(account_check(f->link->redis, 5, false, on_found, &found), OK);
    wait_for(f->loop, &found.done, "what is reserved to be looked at");
    return found.n;
}
