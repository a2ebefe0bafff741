// test_submit.c - memory that runs out while a batch is submitted: whoever is told that it did
// submits it again and adds what is missing, and every input is in the queue as it was given.
#include "client/submit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/session.h"
#include "sweep.h"
#include "test.h"

#define TOTAL 1100 // of three chunks
#define BATCH "cats"

struct source {
    char id[16], map[200];
};

static enum err give(void *ctx, uint32_t i, struct submit_item *out)
{
    struct source *s = ctx;
    snprintf(s->id, sizeof s->id, "job-%u", i);
    memset(s->map, 'a' + (int)(i % 26), sizeof s->map);
    snprintf(s->map, sizeof s->map, "\x81\xa1%u", i);
    *out = (struct submit_item){span_of(s->id), {s->map, sizeof s->map}, FARM_ROUTE};
    return OK;
}

static enum err submit(struct session *s, struct submit_result *r, struct buf *why)
{
    struct source source;
    struct submit_options o = {.batch = SPAN(BATCH),
                               .user = SPAN("ann"),
                               .total = TOTAL,
                               .options = SPAN("{}"),
                               .source = give,
                               .ctx = &source,
                               .max_queue = 5000,
                               .max_queue_bytes = 1 << 20};
    return submit_batch(s, &o, r, why);
}

static enum err open_session(struct farm *f, struct session **s)
{
    struct buf why = {.max = 1000};
    struct session_options o = {.redis = span_of(redis_server_url(f->server)),
                                .queue = SPAN("q")};
    enum err e = session_open(&o, s, &why);
    buf_free(&why);
    return e;
}

static void check_inputs(struct farm *f)
{
    struct source source;
    struct submit_item item;
    struct buf input = {.max = 4096};
    redisReply *r = redis_server_ask(f->server, "HGETALL " FARM_PREFIX "in:" BATCH);
    assert_int_equal(r->elements, 2 * TOTAL);
    for (size_t i = 0; i < r->elements; i += 2) {
        assert_int_equal(give(&source, (uint32_t)atoi(r->element[i]->str), &item), OK);
        buf_clear(&input);
        job_input(&input, item.id, item.map);
        assert_true(span_equal(buf_span(&input),
                               (struct span){r->element[i + 1]->str, r->element[i + 1]->len}));
    }
    buf_free(&input);
    freeReplyObject(r);
}

// Half of it or all: the same again adds the rest.
static void submit_again(struct session *s, struct farm *f)
{
    struct submit_result r;
    struct buf why = {.max = 1000};
    if (submit(s, &r, &why) != OK)
        fail_msg("%s", buf_str(&why));
    buf_free(&why);
    struct status now = farm_status(f, BATCH);
    assert_true(now.b.sealed && now.b.total == TOTAL);
    assert_int_equal(now.b.open, TOTAL);
    check_inputs(f);
}

static enum err submit_cats(void *ctx)
{
    struct farm *f = ctx;
    struct submit_result r;
    struct session *s;
    struct buf why = {.max = 1000};
    farm_fresh(&(void *){ctx});
    assert_int_equal(open_session(f, &s), OK);
    sweep_begin();
    enum err e = submit(s, &r, &why);
    fault_forget();
    if (e == OK)
        check_inputs(f);
    submit_again(s, f);
    buf_free(&why);
    session_close(s);
    return e;
}

static enum err begin_session(void *ctx)
{
    struct session *s = NULL;
    sweep_begin();
    enum err e = open_session(ctx, &s);
    fault_forget();
    session_close(s);
    return e;
}

static void a_batch_is_submitted_whole(void **state)
{
    sweep(fault_alloc, ERR_NOMEM, submit_cats, *state);
}

static void a_session_begins_or_says_why(void **state)
{
    sweep(fault_alloc, ERR_NOMEM, begin_session, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_submitted_whole),
        cmocka_unit_test(a_session_begins_or_says_why),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
