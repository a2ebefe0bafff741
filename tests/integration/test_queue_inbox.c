// test_queue_inbox.c - what producers in other languages push: placed once, or kept as dead
// letters with the reason, and never lost between the two.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "broker/catalogue.h"
#include "broker/dead.h"
#include "common/mp.h"
#include "farm.h"
#include "test.h"
#include "worker/inbox.h"
#include "worker/lease.h"

static void push(struct farm *f, const char *bytes, size_t n)
{
    redis_server_do(f->server, "RPUSH " FARM_PREFIX "inbox %b", bytes, n);
}

#define PUSH(f, literal) push(f, literal, sizeof(literal) - 1)

// {batch, id, prompt}; NULL: left out
static void push_job(struct farm *f, const char *batch, const char *id, const char *prompt)
{
    struct buf b = {.max = 4096};
    msgpack_packer pk;
    const char *const pairs[] = {"batch", batch, "id", id, "prompt", prompt};
    mp_packer(&pk, &b);
    msgpack_pack_map(&pk, (size_t)(batch != NULL) + (id != NULL) + (prompt != NULL));
    for (int i = 0; i < 6; i += 2) {
        if (!pairs[i + 1])
            continue;
        mp_pack_cstr(&pk, pairs[i]);
        mp_pack_cstr(&pk, pairs[i + 1]);
    }
    push(f, b.ptr, b.len);
    buf_free(&b);
}

static void push_end(struct farm *f, const char *batch, int64_t total)
{
    struct buf b = {.max = 4096};
    msgpack_packer pk;
    mp_packer(&pk, &b);
    msgpack_pack_map(&pk, 3);
    mp_pack_cstr(&pk, "batch");
    mp_pack_cstr(&pk, batch);
    mp_pack_cstr(&pk, "seal");
    msgpack_pack_true(&pk);
    mp_pack_cstr(&pk, "total");
    msgpack_pack_int64(&pk, total);
    push(f, b.ptr, b.len);
    buf_free(&b);
}

#define MOST 100
struct taken {
    bool done;
    enum err err;
    size_t n;
    struct queue_item items[MOST];
    char bytes[MOST][512];
};

static void took(void *ctx, enum err e, const struct queue_item *items, size_t n)
{
    struct taken *t = ctx;
    t->done = true;
    t->err = e;
    t->n = n;
    assert_true(n <= MOST);
    for (size_t i = 0; i < n; i++) {
        assert_true(items[i].bytes.len <= sizeof t->bytes[i]);
        t->items[i] = items[i];
        memcpy(t->bytes[i], items[i].bytes.ptr, items[i].bytes.len);
        t->items[i].bytes.ptr = t->bytes[i];
    }
}

static struct taken *take_at(struct farm *f, struct hand *h, uint64_t seq)
{
    struct taken *t = calloc(1, sizeof *t);
    h->seq = seq;
    assert_int_equal(queue_inbox_take(f->queue, span_of(h->inc), seq, MOST, took, t), OK);
    wait_for(f->loop, &t->done, "what is in the inbox");
    return t;
}

static struct told put(struct farm *f, const struct hand *h, const struct queue_item *item)
{
    struct told t = {0};
    struct catalogue *c;
    assert_int_equal(catalogue_open(NULL, &c, NULL), OK);
    t = farm_wait(f, queue_inbox_put(f->queue, span_of(h->inc), item, c, told_value, &t), &t);
    catalogue_free(c);
    return t;
}

// Takes and places everything; `values` (may be NULL) gets a digit each.
static void place_all(struct farm *f, struct hand *h, char *values)
{
    struct taken *t = take_at(f, h, h->seq + 1);
    assert_int_equal(t->err, OK);
    for (size_t i = 0; i < t->n; i++) {
        struct told p = put(f, h, &t->items[i]);
        assert_int_equal(p.err, OK);
        if (values)
            *values++ = (char)('0' + p.value);
    }
    if (values)
        *values = '\0';
    assert_int_equal(farm_renew(f, h).active, 0);
    free(t);
    audit(f->server);
}

static long long dead(struct farm *f)
{
    return redis_server_number(f->server, "LLEN " FARM_PREFIX "dead");
}

struct seen { // a page of dead letters
    bool done;
    enum err err;
    size_t n;
    uint32_t next;
    int64_t total;
    struct dead_letter letters[200]; // their texts are gone, but for lengths
    char shas[200][DEAD_SHA + 1];
};

static void saw(void *ctx, enum err e, const struct dead_page *p)
{
    struct seen *s = ctx;
    s->done = true;
    s->err = e;
    if (e != OK)
        return;
    s->n = p->n;
    s->next = p->next;
    s->total = p->total;
    assert_true(p->n <= 200);
    for (size_t i = 0; i < p->n; i++) {
        s->letters[i] = p->letters[i];
        memcpy(s->shas[i], p->letters[i].sha.ptr, DEAD_SHA);
    }
}

static struct seen *look(struct farm *f, uint32_t from, size_t shown)
{
    struct seen *s = calloc(1, sizeof *s);
    assert_int_equal(dead_look(f->queue, from, 200, shown, saw, s), OK);
    wait_for(f->loop, &s->done, "the dead letters");
    assert_int_equal(s->err, OK);
    return s;
}

static void dropped(void *ctx, enum err e, struct span marks)
{
    struct marks *m = ctx;
    m->done = true;
    m->err = e;
    snprintf(m->text, sizeof m->text, "%.*s", (int)marks.len, marks.ptr);
}

// --- Jobs ---

static void jobs_are_placed(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    push_job(f, "theirs", "one", "a cat");
    push_job(f, "theirs", NULL, "a dog");
    push_end(f, "theirs", 2);
    char values[MOST];
    place_all(f, &h, values);
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
    place_all(f, &h, NULL);
    assert_int_equal(dead(f), 0);
    struct claims *c = farm_claim_at(f, &h, h.seq + 1, 5, "flex/mm");
    assert_int_equal(c->n, 1);
    assert_string_equal(c->jobs[0].list, "0/flex/mm/z");
    assert_string_equal(c->jobs[0].user, "bob");
    free(c);
}

static void jobs_without_a_batch_are_kept_by_day(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    push_job(f, NULL, "one", "a cat");
    place_all(f, &h, NULL);
    redisReply *r = redis_server_ask(f->server, "ZRANGE " FARM_PREFIX "batches 0 -1");
    assert_int_equal(r->elements, 1);
    assert_int_equal(strncmp(r->element[0]->str, "inbox-20", 8), 0);
    assert_int_equal(strlen(r->element[0]->str), 14);
    freeReplyObject(r);
}

static void a_repeated_id_is_dropped(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    push_job(f, "z", "one", "a cat");
    push_job(f, "z", "one", "a cat");
    push_job(f, "z", "two", "a dog");
    char values[MOST];
    place_all(f, &h, values);
    assert_string_equal(values, "121");
    assert_int_equal(farm_status(f, "z").b.in, 2);
    assert_int_equal(farm_events(f, "z", EVENT_STEP, -1), 1);
    assert_int_equal(dead(f), 0);
}

// --- The end of a batch ---

static void the_end_may_come_first(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char values[MOST];
    push_end(f, "z", 2);
    push_job(f, "z", "one", "a cat");
    place_all(f, &h, values);
    assert_string_equal(values, "11");
    assert_false(farm_status(f, "z").b.sealed);
    push_end(f, "z", 2); // again
    push_job(f, "z", "two", "a dog");
    push_job(f, "z", "three", "one too many");
    place_all(f, &h, values);
    assert_string_equal(values, "210");
    struct status s = farm_status(f, "z");
    assert_true(s.b.sealed);
    assert_int_equal(s.b.total, 2);
    assert_int_equal(dead(f), 1);
    push_end(f, "z", 3); // another total
    place_all(f, &h, values);
    assert_string_equal(values, "0");
    push_end(f, "empty", 0);
    place_all(f, &h, values);
    assert_true(farm_status(f, "empty").b.done_ms > 0);
}

static void fewer_than_are_in_already(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char values[MOST];
    push_job(f, "z", "one", "a cat");
    push_job(f, "z", "two", "a dog");
    push_end(f, "z", 1);
    place_all(f, &h, values);
    assert_string_equal(values, "110");
    assert_false(farm_status(f, "z").b.sealed);
}

static void a_submitted_batch_takes_nothing_from_here(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    char values[MOST];
    farm_submit(f, "b", "ann", NULL, 2);
    push_job(f, "b", "one", "a cat");
    push_end(f, "b", 3);
    place_all(f, &h, values);
    assert_string_equal(values, "00");
    assert_int_equal(farm_status(f, "b").b.in, 2);
    assert_int_equal(dead(f), 2);
    assert_int_equal(farm_create(f, "z", "ann").err, OK);
}

// --- What is no job ---

static void malformed_things_become_dead_letters(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    PUSH(f, "\xc1");                               // no msgpack
    PUSH(f, "");                                   // nothing
    PUSH(f, "\xdd\x01\x00\x00\x00");               // an array of 16 million
    PUSH(f, "\xdf\xff\xff\xff\xff");               // a map of 4 thousand million
    PUSH(f, "\x81\xa6prompt");                     // cut short
    PUSH(f, "\x81\xa6prompt\xa1x\xc0");            // and more behind it
    PUSH(f, "\x81\xa6prompt\xa2\xff\xfe");         // no UTF-8
    PUSH(f, "\x81\xa6prompt\x07");                 // a number
    PUSH(f, "\x80");                               // no prompt
    PUSH(f, "\x82\xa6prompt\xa1x\xa6prompt\xa1y"); // twice
    PUSH(f, "\x82\xa6prompt\xa1x\xa5"
            "batch\xa5../up");                // a path
    PUSH(f, "\x82\xa4seal\xc3\xa5total\xff"); // an end of nothing
    PUSH(f, "{\"prompt\": \"JSON\"}");        // another format
    char values[MOST];
    place_all(f, &h, values);
    assert_string_equal(values, "0000000000000");
    assert_int_equal(dead(f), 13);
    assert_int_equal(redis_server_number(f->server, "EXISTS " FARM_PREFIX "batches"), 0);
    struct seen *p = look(f, 0, 1u << 20);
    assert_int_equal(p->n, 13);
    assert_int_equal(p->total, 13);
    for (size_t i = 0; i < p->n; i++) { // each with the reason and the bytes
        assert_true(p->letters[i].readable);
        assert_true(p->letters[i].message.len > 0 && p->letters[i].ts_ms > 0);
        assert_int_equal(p->letters[i].index, -1);
        assert_int_equal(p->letters[i].size, p->letters[i].pushed.len);
    }
    assert_int_equal(p->letters[0].size, 1);
    assert_int_equal(p->letters[1].size, 0);
    assert_int_equal(p->letters[12].size, 18);
    free(p);
}

static void long_ones_are_cut(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    static char large[3u << 20];
    memset(large, 'x', sizeof large);
    PUSH(f, "x");
    struct taken *t = take_at(f, &h, 1);
    t->items[0].bytes = (struct span){large, sizeof large};
    assert_int_equal(put(f, &h, &t->items[0]).value, 0);
    struct seen *p = look(f, 0, 4u << 20);
    assert_int_equal(p->n, 1);
    assert_int_equal(p->letters[0].size, sizeof large);
    assert_int_equal(p->letters[0].pushed.len, 1u << 20);
    free(p);
    free(t);
}

// --- Dead letters taken out ---

static struct marks drop(struct farm *f, const struct seen *p, const size_t *which, size_t n)
{
    struct dead_place places[DEAD_MAX_DROP];
    struct marks m = {0};
    for (size_t i = 0; i < n; i++) {
        places[i].at = p->letters[which[i]].at;
        memcpy(places[i].sha, p->shas[which[i]], sizeof places[i].sha);
    }
    assert_int_equal(dead_drop(f->queue, n, places, dropped, &m), OK);
    wait_for(f->loop, &m.done, "the letters to go");
    assert_int_equal(m.err, OK);
    return m;
}

// n letters, told apart by their size
static void write_letters(struct farm *f, int n)
{
    for (int i = 0; i < n; i++)
        redis_server_do(f->server, "RPUSH " FARM_PREFIX "dead %b", "xxxxxxxxxxxxxxxxxxxxxxxxx",
                        (size_t)i);
}

static void letters_go_once(void **state)
{
    struct farm *f = *state;
    write_letters(f, 20);
    struct seen *p = look(f, 0, 100);
    assert_int_equal(p->n, 20);
    assert_false(p->letters[3].readable);
    assert_string_equal(drop(f, p, (size_t[]){2, 3, 17}, 3).text, "111");
    assert_string_equal(drop(f, p, (size_t[]){2, 3, 17}, 3).text, "000"); // its answer was lost
    assert_int_equal(dead(f), 17);
    // Positions from before; others have gone in front of them, and come behind.
    write_letters(f, 3);
    assert_string_equal(drop(f, p, (size_t[]){0, 3, 5, 19}, 4).text, "1011");
    free(p);
    p = look(f, 0, 100);
    static const int left[] = {1, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 0, 1, 2};
    assert_int_equal(p->n, sizeof left / sizeof *left);
    for (size_t i = 0; i < p->n; i++)
        assert_int_equal(p->letters[i].bytes, left[i]);
    free(p);
}

static void letters_are_read_in_pieces(void **state)
{
    struct farm *f = *state;
    redis_server_do(
        f->server, "EVAL %s 1 " FARM_PREFIX "dead",
        "for i = 1, 300 do redis.call('RPUSH', KEYS[1], string.rep('x', 20000 + i)) "
        "end");
    uint32_t from = 0;
    unsigned pages = 0;
    struct seen *p;
    for (; (p = look(f, from, 10))->n > 0; pages++) {
        for (size_t i = 0; i < p->n; i++)
            assert_int_equal(p->letters[i].bytes, 20001 + from + i);
        assert_true(p->n <= 70); // a MiB, and what was read together with it
        assert_int_equal(p->total, 300);
        from = p->next;
        free(p);
    }
    free(p);
    assert_int_equal(from, 300);
    assert_true(pages >= 5);
}

// --- Between the two ---

static void taken_twice_is_taken_once(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    push_job(f, "z", "one", "a cat");
    push_job(f, "z", "two", "a dog");
    struct taken *a = take_at(f, &h, 1);
    push_job(f, "z", "three", "a cow");
    struct taken *b = take_at(f, &h, 1); // its answer was lost
    assert_int_equal(a->n, 2);
    assert_int_equal(b->n, 2);
    assert_memory_equal(a->bytes, b->bytes, sizeof a->bytes);
    for (int i = 0; i < 2; i++)
        assert_int_equal(put(f, &h, &b->items[0]).err, OK); // a put sent twice
    assert_int_equal(farm_status(f, "z").b.in, 1);
    struct taken *c = take_at(f, &h, 1);
    assert_int_equal(c->n, 1); // what is not placed yet
    struct taken *d = take_at(f, &h, 2);
    assert_int_equal(d->n, 1);
    free(a), free(b), free(c), free(d);
}

static void an_empty_take_counts_too(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1");
    free(take_at(f, &h, 1));
    push_job(f, "z", "one", "a cat");
    struct taken *t = take_at(f, &h, 1); // the same one, late
    assert_int_equal(t->n, 0);
    assert_int_equal(farm_renew(f, &h).active, 0);
    free(t);
}

static void a_lost_worker_gives_it_back(void **state)
{
    struct farm *f = *state;
    struct hand h = farm_hand(f, "w1"), k = farm_hand(f, "w2");
    push_job(f, "z", "one", "a cat");
    push_job(f, "z", "two", "a dog");
    struct taken *t = take_at(f, &h, 1);
    assert_int_equal(put(f, &h, &t->items[0]).value, 1);
    farm_expire(f, &h);
    farm_tick_all(f);
    assert_int_equal(put(f, &h, &t->items[1]).err, ERR_LOST);
    place_all(f, &k, NULL);
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
        push_job(f, "z", id, "a cat");
    }
    for (int i = 0; i < 3; i++)
        place_all(f, &h, NULL);
    assert_int_equal(farm_status(f, "z").b.in, 250);
}

// --- The worker's part ---

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
    push_job(f, "z", "one", "a cat");
    PUSH(f, "\xc1");
    inbox_look(t.inbox);
    assert_true(inbox_busy(t.inbox));
    inbox_look(t.inbox); // no-op
    wait_until(f->loop, is_idle, t.inbox, "the inbox");
    assert_int_equal(t.idles, 1);
    assert_int_equal(farm_status(f, "z").b.in, 1);
    assert_int_equal(dead(f), 1);
    taker_close(&t);
}

// The server takes the request in, but its answer never arrives.
static void a_take_is_sent_again(void **state)
{
    struct farm *f = *state;
    struct taker t;
    taker_open(&t, f);
    push_job(f, "z", "one", "a cat");
    push_job(f, "z", "two", "a dog");
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
        push_job(f, "z", id, "a cat");
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
    push_job(f, "z", "one", "a cat");
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
        T(jobs_are_placed),
        T(members_choose_the_way),
        T(jobs_without_a_batch_are_kept_by_day),
        T(a_repeated_id_is_dropped),
        T(the_end_may_come_first),
        T(fewer_than_are_in_already),
        T(a_submitted_batch_takes_nothing_from_here),
        T(malformed_things_become_dead_letters),
        T(long_ones_are_cut),
        T(letters_go_once),
        T(letters_are_read_in_pieces),
        T(taken_twice_is_taken_once),
        T(an_empty_take_counts_too),
        T(a_lost_worker_gives_it_back),
        T(a_large_inbox_is_taken_in_parts),
        T(the_worker_places_what_is_there),
        T(a_take_is_sent_again),
        T(a_put_is_sent_again),
        T(a_lost_lease_ends_it),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
