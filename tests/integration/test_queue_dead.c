// test_queue_dead.c - the dead letters: what is no job is kept there with the reason, read in
// pieces, and taken out once.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/dead.h"
#include "pushing.h"
#include "redis_server.h"
#include "test.h"

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
    char values[INBOX_MOST];
    inbox_place_all(f, &h, values);
    assert_string_equal(values, "0000000000000");
    assert_int_equal(inbox_dead(f), 13);
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
    struct taken *t = inbox_take(f, &h, 1);
    t->items[0].bytes = (struct span){large, sizeof large};
    assert_int_equal(inbox_put(f, &h, &t->items[0]).value, 0);
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
    assert_int_equal(inbox_dead(f), 17);
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

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, farm_fresh)
    const struct CMUnitTest tests[] = {
        T(malformed_things_become_dead_letters),
        T(long_ones_are_cut),
        T(letters_go_once),
        T(letters_are_read_in_pieces),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
