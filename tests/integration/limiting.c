// limiting.c - see limiting.h.
#include "limiting.h"

#include <stdio.h>
#include <stdlib.h>

#include "test.h"

static void granted(void *ctx, enum err e, const struct limit_grant *g)
{
    struct grant *to = ctx;
    to->done = true;
    to->err = e;
    if (e != OK)
        return;
    to->server_us = g->server_us;
    to->wait_us = g->wait_us;
    snprintf(to->reason, sizeof to->reason, "%.*s", (int)g->reason.len, g->reason.ptr);
    snprintf(to->spec, sizeof to->spec, "%.*s", (int)g->spec.len, g->spec.ptr);
    snprintf(to->learned, sizeof to->learned, "%.*s", (int)g->learned.len, g->learned.ptr);
    to->learned_us = g->learned_us;
    to->today = g->today;
    to->day_ends_us = g->day_ends_us;
    to->edited_us = g->edited_us;
    snprintf(to->asks, sizeof to->asks, "%.*s", (int)g->asks.len, g->asks.ptr);
    to->n = g->n;
    for (size_t i = 0; i < g->n; i++)
        to->at[i] = g->server_us + g->slots_us[i];
}

struct limit_units takes[LIMIT_MAX_SLOTS];

const struct limit_units *each_takes(struct limit_units u)
{
    for (size_t i = 0; i < LIMIT_MAX_SLOTS; i++)
        takes[i] = u;
    return takes;
}

enum err ask_slots(struct link *l, const struct limit_request *r, struct grant *g)
{
    *g = (struct grant){0};
    enum err e = limit_ask(l->redis, 5, r, granted, g);
    if (e == OK)
        wait_for(l->loop, &g->done, "a grant");
    return e == OK ? g->err : e;
}

void get_slots(struct farm *f, const struct limit_request *r, struct grant *g)
{
    assert_int_equal(ask_slots(f->link, r, g), OK);
}

struct grant put_spec(struct farm *f, struct span group, struct span spec)
{
    struct grant g = {0};
    assert_int_equal(limit_set(f->link->redis, 5, group, spec, granted, &g), OK);
    wait_for(f->loop, &g.done, "a limit to be set");
    assert_int_equal(g.err, OK);
    return g;
}

struct grant refuse_by(struct farm *f, int64_t cool_us, int64_t sent_us, enum limit_cause cause)
{
    struct grant g = {0};
    assert_int_equal(
        limit_refused(f->link->redis, 5, GROUP, cool_us, sent_us, cause, granted, &g), OK);
    wait_for(f->loop, &g.done, "a refusal to be told");
    assert_int_equal(g.err, OK);
    return g;
}

struct grant refuse(struct farm *f, int64_t cool_us, int64_t sent_us, bool rate)
{
    enum limit_cause cause = rate ? LIMIT_BY_RATE : LIMIT_BY_CAPACITY;
    return refuse_by(f, cool_us, sent_us, cause);
}

void set_limit(struct farm *f, const char *text)
{
    struct buf spec = {.max = 1000};
    struct grant g;
    assert_int_equal(limit_spec(span_of(text), &spec, NULL), OK);
    g = put_spec(f, GROUP, buf_span(&spec));
    assert_string_equal(g.spec, buf_str(&spec));
    buf_free(&spec);
}

static int rising(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void assert_at_most(int64_t *at, size_t n, size_t most, int64_t period_us)
{
    qsort(at, n, sizeof *at, rising);
    for (size_t i = 0; i + most < n; i++)
        assert_true(at[i + most] - (at[i] + LIMIT_SLACK_US) > period_us);
}

struct grant learn_limit(struct farm *f, const char *spec)
{
    struct grant g = {0};
    assert_int_equal(limit_learn(f->link->redis, 5, GROUP, span_of(spec), granted, &g), OK);
    wait_for(f->loop, &g.done, "what the provider allows");
    assert_int_equal(g.err, OK);
    return g;
}

struct grant two_slots(struct farm *f)
{
    struct grant g;
    get_slots(f, &(struct limit_request){.group = GROUP, .want = 2, .horizon_us = 600000000},
              &g);
    return g;
}
