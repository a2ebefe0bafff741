// press_leave.c - an operation that nobody has, for a worker to take over; see press.h.
#include <stdio.h>
#include <stdlib.h>

#include "press.h"
#include "test.h"

#define LANE "batch/m"
#define OP   "0123456789abcdef"

struct begun {
    bool done;
    char inc[64];
};

static void on_begun(void *ctx, enum err e, struct span marks, struct span inc)
{
    struct begun *b = ctx;
    assert_int_equal(e, OK);
    assert_int_equal(marks.len, SHOP_TOTAL);
    snprintf(b->inc, sizeof b->inc, "%.*s", (int)inc.len, inc.ptr);
    b->done = true;
}

static void begin_operation(struct press *p, struct hand *h, const struct claims *c,
                            struct begun *b)
{
    struct queue_mark calls[SHOP_TOTAL] = {0};
    for (size_t i = 0; i < SHOP_TOTAL; i++)
        calls[i].field = c->jobs[i].field;
    struct operation_new o = {.inc = span_of(h->inc),
                              .op = span_of(p->op),
                              .batch = SPAN(SHOP_BATCH),
                              .model = SPAN("m"),
                              .project = SPAN("art"),
                              .lease_ms = FARM_LEASE,
                              .keep_ms = 3600000,
                              .most = 10,
                              .n = SHOP_TOTAL,
                              .calls = calls};
    assert_int_equal(operation_begin(p->shop.farm->queue, &o, on_begun, b), OK);
    wait_for(p->shop.farm->loop, &b->done, "an operation");
}

static void note_running(struct press *p, const struct begun *b)
{
    struct press_file *f = &p->files[p->n_files++];
    struct told t = {0};
    static const struct queue_fact facts[] = {{"state", SPAN("running")},
                                              {"file", SPAN("files/0")},
                                              {"name", SPAN("batches/0")},
                                              {"made", SPAN("")}};
    for (; f->rows < SHOP_TOTAL; f->rows++)
        snprintf(f->keys[f->rows], sizeof f->keys[0], "%s.%u", p->op, f->rows + 1);
    press_make(p, f);
    farm_wait(p->shop.farm,
              operation_note(p->shop.farm->queue, span_of(b->inc), span_of(p->op), 4, facts,
                             told_value, &t),
              &t);
    assert_int_equal(t.err, OK);
}

void press_leave(struct press *p, bool running)
{
    struct farm *f = p->shop.farm;
    struct hand h = farm_hand(f, "inc");
    struct claims *c = farm_claim_at(f, &h, 1, SHOP_TOTAL, LANE);
    struct begun b = {0};
    struct told t = {0};
    assert_int_equal(c->n, SHOP_TOTAL);
    snprintf(p->op, sizeof p->op, "%s", OP);
    begin_operation(p, &h, c, &b);
    free(c);
    if (running)
        note_running(p, &b);
    farm_wait(f, operation_end(f->queue, span_of(b.inc), span_of(p->op), true, told_value, &t),
              &t);
    assert_int_equal(t.value, SHOP_TOTAL);
}
