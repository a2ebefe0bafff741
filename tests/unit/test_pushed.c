// test_pushed.c - what comes of the things that producers in other languages push.
#include <string.h>

#include "broker/catalogue.h"
#include "broker/pushed.h"
#include "common/mp.h"
#include "fault.h"
#include "test.h"

#define TAKEN_MS INT64_C(1790000000123)

// One member; `text` NULL: the number, or true where that is -1.
struct pair {
    const char *name, *text;
    int64_t number;
};
#define PAIRS 6

static void pack(struct buf *out, const struct pair *pairs)
{
    msgpack_packer pk;
    size_t n = 0;
    while (n < PAIRS && pairs[n].name)
        n++;
    mp_packer(&pk, out);
    msgpack_pack_map(&pk, n);
    for (size_t i = 0; i < n; i++) {
        mp_pack_cstr(&pk, pairs[i].name);
        if (pairs[i].text)
            mp_pack_cstr(&pk, pairs[i].text);
        else if (pairs[i].number == -1)
            msgpack_pack_true(&pk);
        else
            msgpack_pack_int64(&pk, pairs[i].number);
    }
}

static const struct thing {
    struct pair pairs[PAIRS];
    enum pushed_kind kind;
    const char *batch, *id, *user;
    const char *words; // that its reason has
} things[] = {
    {{{"prompt", "p", 0}}, PUSHED_JOB, "inbox-20260921", "", "", ""},
    {{{"prompt", "p", 0}, {"user", "ann", 0}}, PUSHED_JOB, "inbox-20260921-ann", "", "ann", ""},
    {{{"prompt", "p", 0}, {"batch", "b", 0}, {"id", "i", 0}, {"seal", "wax", 0}},
     PUSHED_JOB,
     "b",
     "i",
     "",
     ""},
    {{{"prompt", "p", 0}, {"batch", "b", 0}, {"count", NULL, 1}}, PUSHED_JOB, "b", "", "", ""},
    {{{"seal", NULL, -1}, {"total", NULL, 4}, {"batch", "b", 0}}, PUSHED_END, "b", "", "", ""},
    {{{"seal", NULL, -1}, {"total", NULL, 4}}, PUSHED_DEAD_END, "", "", "", "\"batch\""},
    {{{"seal", NULL, -1}, {"batch", "b", 0}}, PUSHED_DEAD_END, "b", "", "", "\"total\""},
    {{{"seal", NULL, 1}, {"batch", "b", 0}}, PUSHED_DEAD_END, "b", "", "", "\"seal\""},
    // What is wrong is found first; what it belongs to comes after that.
    {{{"seed", "often", 0}, {"id", "i", 0}, {"batch", "b", 0}, {"user", "ann", 0}},
     PUSHED_DEAD,
     "b",
     "i",
     "ann",
     "\"seed\""},
    {{{"prompt", "p", 0}, {"count", NULL, 2}, {"batch", "b", 0}},
     PUSHED_DEAD,
     "b",
     "",
     "",
     "push as many jobs"},
    {{{"prompt", "p", 0}, {"batch", "../up", 0}, {"user", "a b", 0}, {"id", "\xff", 0}},
     PUSHED_DEAD,
     "",
     "",
     "",
     "\"batch\""},
    {{{"batch", "b", 0}}, PUSHED_DEAD, "b", "", "", "\"prompt\" is empty"},
};

struct reading {
    const struct thing *thing;
    struct buf bytes;
    struct catalogue *catalogue;
};

static enum err read_it(void *ctx)
{
    const struct reading *r = ctx;
    const struct thing *t = r->thing;
    struct pushed p;
    enum err e = pushed_read(&p, buf_span(&r->bytes), TAKEN_MS, r->catalogue);
    if (e == OK) {
        if (p.kind != t->kind || !span_is(p.batch, t->batch) || !span_is(p.id, t->id) ||
            !span_is(p.user, t->user) || !strstr(buf_str(&p.why), t->words))
            fail_msg("thing %d: kind %d, batch %.*s, why %s", (int)(t - things), (int)p.kind,
                     (int)p.batch.len, p.batch.ptr, buf_str(&p.why));
        assert_int_equal(p.why.len > 0, p.kind == PUSHED_DEAD || p.kind == PUSHED_DEAD_END);
    }
    pushed_free(&p);
    return e;
}

static void each_comes_to_something(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof things / sizeof *things; i++) {
        struct reading r = {.thing = &things[i], .bytes = {.max = 4096}};
        pack(&r.bytes, things[i].pairs);
        assert_int_equal(catalogue_open(NULL, &r.catalogue, NULL), OK);
        if (things[i].kind == PUSHED_END) // which takes no memory
            assert_int_equal(read_it(&r), OK);
        else
            fault_sweep(fault_alloc, ERR_NOMEM, read_it, &r);
        catalogue_free(r.catalogue);
        buf_free(&r.bytes);
    }
}

// Of who has deadlines, and by nobody else's word.
static void deadlines_count_from_when_it_was_taken(void **state)
{
    (void)state;
    static const struct {
        struct pair pairs[PAIRS];
        double from;
    } cases[] = {
        {{{"prompt", "p", 0}, {"batch", "b", 0}}, 0},
        {{{"prompt", "p", 0}, {"batch", "b", 0}, {"deadline", NULL, 5}}, 1790000000.123},
        {{{"prompt", "p", 0}, {"batch", "b", 0}, {"batch_deadline", NULL, 5}}, 1790000000.123},
        {{{"prompt", "p", 0}, {"deadline_from", NULL, 7}, {"deadline", NULL, 5}},
         1790000000.123},
        {{{"prompt", "p", 0}, {"deadline_from", NULL, 7}}, 0},
    };
    struct catalogue *c;
    assert_int_equal(catalogue_open(NULL, &c, NULL), OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf bytes = {.max = 4096};
        struct pushed p;
        struct job j;
        pack(&bytes, cases[i].pairs);
        assert_int_equal(pushed_read(&p, buf_span(&bytes), TAKEN_MS, c), OK);
        assert_int_equal(job_decode(&j, buf_span(&p.map), NULL), OK);
        assert_true(j.deadline_from == cases[i].from);
        pushed_free(&p);
        buf_free(&bytes);
    }
    catalogue_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_comes_to_something),
        cmocka_unit_test(deadlines_count_from_when_it_was_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
