// test_queue_inbox.c - what producers in other languages push: taken under a lease, placed
// once, and never lost between the two.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "common/digest.h"
#include "pushing.h"
#include "redis_server.h"
#include "test.h"

// --- Jobs ---

static void jobs_are_placed(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    inbox_push_job(f, "theirs", "one", "a cat");
    inbox_push_job(f, "theirs", NULL, "a dog");
    inbox_push_end(f, "theirs", 2);
    char values[INBOX_MOST];
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "111");
    struct status s = farm_status(f, "theirs");
    assert_int_equal(s.b.total, 2);
    assert_true(s.b.sealed);
    struct claims *c = farm_claim_at(f, &h, h.seq + 1, 5, "standard/gemini-3.1-flash-image");
    assert_int_equal(c->n, 2);
    assert_string_equal(c->jobs[0].id, "one");
    assert_string_equal(c->jobs[1].id, "00000001");
    assert_string_equal(c->jobs[0].user, "default");
    farm_settle(f, &h, QUEUE_COMPLETED, 2, c->jobs);
    assert_true(farm_status(f, "theirs").b.done_ms > 0);
    assert_int_equal(farm_events(f, "theirs", EVENT_BATCH_DONE, -1), 1);
    audit(f->server);
    free(c);
}

static void members_choose_the_way(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    PUSH(f, "\x86\xa5"
            "batch\xa1z\xa6prompt\xa1p\xa5model\xa2mm\xa8priority\xa4high\xa4lane\xa4"
            "flex\xa4user\xa3"
            "bob");
    inbox_place_all(f, &h, NULL);
    assert_int_equal(inbox_dead(f), 0);
    struct claims *c = farm_claim_at(f, &h, h.seq + 1, 5, "flex/mm");
    assert_int_equal(c->n, 1);
    assert_string_equal(c->jobs[0].list, "0/flex/mm/z");
    assert_string_equal(c->jobs[0].user, "bob");
    free(c);
}

// Whether that is in a batch of a day whose name ends so.
static bool is_kept(struct farm *f, const char *suffix)
{
    bool is = false;
    redisReply *r = redis_server_ask(f->server, "ZRANGE " FARM_PREFIX "batches 0 -1");
    for (size_t i = 0; i < r->elements; i++) {
        const char *name = r->element[i]->str;
        assert_int_equal(strncmp(name, "inbox-20", 8), 0);
        assert_true(job_name_ok(span_of(name)));
        is = is || strcmp(name + 14, suffix) == 0;
    }
    freeReplyObject(r);
    return is;
}

static void push_for(struct farm *f, struct hand *h, const char *user)
{
    inbox_push_with(f, NULL, NULL, "a cat", "user", user);
    inbox_place_all(f, h, NULL);
}

static void jobs_without_a_batch_are_kept_by_day_and_user(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char longest[86], longer[101], kept[101];
    memset(longest, 'u', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    memset(longer, 'u', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    inbox_push_job(f, NULL, NULL, "a cat");
    push_for(f, &h, "default");
    push_for(f, &h, "ann");
    push_for(f, &h, longest);
    push_for(f, &h, longer);
    assert_int_equal(inbox_dead(f), 0);
    assert_true(is_kept(f, "") && is_kept(f, "-ann"));
    snprintf(kept, sizeof kept, "-%s", longest);
    assert_true(is_kept(f, kept));
    snprintf(kept, sizeof kept, "-%.76s-%08x", longest, digest_32(span_of(longer)));
    assert_true(is_kept(f, kept));
    assert_int_equal(redis_server_number(f->server, "ZCARD " FARM_PREFIX "batches"), 4);
}

static void a_batch_is_one_users(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char values[INBOX_MOST];
    inbox_push_with(f, "z", "one", "a cat", "user", "ann");
    inbox_push_with(f, "z", "two", "a cat", "user", "bob");
    inbox_push_job(f, "z", "three", "a cat"); // whoever's it is
    inbox_push_with(f, "z", "four", "a cat", "user", "ann");
    inbox_push_job(f, "y", "one", "a cat");
    inbox_push_with(f, "y", "two", "a cat", "user", "bob");
    inbox_push_with(f, "y", "three", "a cat", "user", "default");
    inbox_push_end(f, "z", 4);
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "10111011");
    assert_int_equal(inbox_dead(f), 2);
    assert_int_equal(farm_status(f, "z").b.refused, 1);
    assert_true(farm_status(f, "z").b.sealed);
    assert_int_equal(farm_status(f, "y").b.refused, 1);
    struct claims *c = farm_claim_at(f, &h, h.seq + 1, 5, "standard/gemini-3.1-flash-image");
    assert_int_equal(c->n, 5);
    for (size_t i = 0; i < c->n; i++)
        assert_string_equal(c->jobs[i].user, c->jobs[i].batch[0] == 'z' ? "ann" : "default");
    free(c);
}

// Of the batch that had the name only what housekeeping had not come to is left.
static void an_expired_batch_takes_none_of_another_with_it(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    redis_server_do(f->server, "ZADD " FARM_PREFIX "expiring 1 z");
    inbox_push_job(f, "z", "one", "a cat");
    inbox_place_all(f, &h, NULL);
    farm_tick_all(f);
    assert_int_equal(farm_status(f, "z").b.in, 1);
    audit(f->server);
}

static void many_of_one_are_many_jobs(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char values[INBOX_MOST];
    inbox_push_with(f, "z", "one", "a cat", "count", NULL); // 3
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "0");
    assert_int_equal(farm_status(f, "z").b.in, 0);
    assert_int_equal(farm_status(f, "z").b.refused, 1);
}

static void a_repeated_id_is_dropped(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    inbox_push_job(f, "z", "one", "a cat");
    inbox_push_job(f, "z", "one", "a cat");
    inbox_push_job(f, "z", "two", "a dog");
    char values[INBOX_MOST];
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "121");
    assert_int_equal(farm_status(f, "z").b.in, 2);
    assert_int_equal(farm_events(f, "z", EVENT_STEP, -1), 1);
    assert_int_equal(inbox_dead(f), 0);
}

// --- Between the two ---

static void taken_twice_is_taken_once(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    inbox_push_job(f, "z", "one", "a cat");
    inbox_push_job(f, "z", "two", "a dog");
    struct taken *a = inbox_take(f, &h, 1);
    inbox_push_job(f, "z", "three", "a cow");
    struct taken *b = inbox_take(f, &h, 1); // its answer was lost
    assert_int_equal(a->n, 2);
    assert_int_equal(b->n, 2);
    assert_memory_equal(a->bytes, b->bytes, sizeof a->bytes);
    for (int i = 0; i < 2; i++)
        assert_int_equal(inbox_put(f, &h, &b->items[0]).err, OK); // a put sent twice
    assert_int_equal(farm_status(f, "z").b.in, 1);
    struct taken *c = inbox_take(f, &h, 1);
    assert_int_equal(c->n, 1); // what is not placed yet
    struct taken *d = inbox_take(f, &h, 2);
    assert_int_equal(d->n, 1);
    free(a), free(b), free(c), free(d);
}

static void an_empty_take_counts_too(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    free(inbox_take(f, &h, 1));
    inbox_push_job(f, "z", "one", "a cat");
    struct taken *t = inbox_take(f, &h, 1); // the same one, late
    assert_int_equal(t->n, 0);
    assert_int_equal(farm_renew(f, &h).active, 0);
    free(t);
}

static void a_lost_worker_gives_it_back(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1"), k = farm_hand(f, "w2");
    inbox_push_job(f, "z", "one", "a cat");
    inbox_push_job(f, "z", "two", "a dog");
    struct taken *t = inbox_take(f, &h, 1);
    assert_int_equal(inbox_put(f, &h, &t->items[0]).value, 1);
    farm_expire(f, &h);
    farm_tick_all(f);
    assert_int_equal(inbox_put(f, &h, &t->items[1]).err, ERR_LOST);
    inbox_place_all(f, &k, NULL);
    assert_int_equal(farm_status(f, "z").b.in, 2);
    audit(f->server);
    free(t);
}

static void a_large_inbox_is_taken_in_parts(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char id[16];
    for (int i = 0; i < 250; i++) {
        snprintf(id, sizeof id, "n%d", i);
        inbox_push_job(f, "z", id, "a cat");
    }
    for (int i = 0; i < 3; i++)
        inbox_place_all(f, &h, NULL);
    assert_int_equal(farm_status(f, "z").b.in, 250);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(jobs_are_placed),
        T(members_choose_the_way),
        T(jobs_without_a_batch_are_kept_by_day_and_user),
        T(a_batch_is_one_users),
        T(an_expired_batch_takes_none_of_another_with_it),
        T(many_of_one_are_many_jobs),
        T(a_repeated_id_is_dropped),
        T(taken_twice_is_taken_once),
        T(an_empty_take_counts_too),
        T(a_lost_worker_gives_it_back),
        T(a_large_inbox_is_taken_in_parts),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
