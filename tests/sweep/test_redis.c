// test_redis.c - memory that runs out while a program talks to one server, to the nodes of a
// cluster, or to the primary that a sentinel names, and then another one: whoever asked is told
// once, and with the right answer; the connection is made again, and goes where the primary is.
#include "common/redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "sentinel.h"
#include "sweep.h"
#include "test.h"

#define N   12
#define CUT 5 // answers until the connections are lost

struct question {
    struct talk *talk;
    unsigned begun, told;
    enum err err;
    bool answered;
};

struct talk {
    struct ev_loop *loop;
    struct redis_server *const *servers;
    size_t n_servers;
    const char *url;
    struct sentinel_site *site; // NULL: it is none
    struct redis *redis;
    struct question questions[N];
    unsigned ups, answers;
};

static struct redis_script echo = {.name = "echo", .source = SPAN("return ARGV[1]")};

static size_t place_of(const struct question *q)
{
    return (size_t)(q - q->talk->questions);
}

static void cut(const struct talk *t)
{
    for (size_t i = 0; i < t->n_servers; i++)
        redis_server_do(t->servers[i], "CLIENT KILL TYPE normal");
    if (t->site)
        redis_server_do(t->site->sentinel, "CLIENT KILL TYPE pubsub");
}

static void on_answer(void *ctx, enum err e, const redisReply *reply)
{
    struct question *q = ctx;
    q->told++;
    q->err = e;
    q->answered = e == OK;
    if (e != OK)
        return;
    if (place_of(q) % 2)
        assert_int_equal(atoi(reply->str), (int)place_of(q));
    else
        assert_string_equal(reply->str, "OK");
    if (++q->talk->answers == CUT)
        cut(q->talk);
}

// Every other one is a script, which the server does not know yet.
static void begin(struct question *q)
{
    char key[16], value[16];
    snprintf(key, sizeof key, "k%zu", place_of(q));
    snprintf(value, sizeof value, "%zu", place_of(q));
    struct span set[] = {SPAN("SET"), span_of(key), span_of(value)};
    struct redis *r = q->talk->redis;
    enum err e = place_of(q) % 2 ? redis_eval(r, 5, on_answer, q, &echo, 1, 2, set + 1)
                                 : redis_call(r, 5, on_answer, q, 3, set);
    q->begun += e == OK;
    assert_true(e == OK || e == ERR_NOMEM || e == ERR_NET);
}

static bool all_answered(void *ctx)
{
    struct talk *t = ctx;
    bool all = redis_ready(t->redis);
    for (size_t i = 0; i < N; i++) {
        struct question *q = &t->questions[i];
        assert_true(q->told <= q->begun);
        if (!q->answered && q->told == q->begun && redis_ready(t->redis))
            begin(q);
        all = all && q->answered;
    }
    return all;
}

// Again, after the first one's primary has become a replica, which holds nothing of what is
// said from now on.
static void ask_the_other(struct talk *t)
{
    sentinel_site_switch(t->site);
    redis_server_do(t->site->primary, "FLUSHALL");
    for (size_t i = 0; i < N; i++)
        t->questions[i].answered = false;
    t->answers = 0;
    wait_until(t->loop, all_answered, t, "all to be answered by the other one");
    for (size_t i = 0; i < N; i += 2)
        assert_int_equal(redis_server_number(t->site->primary, "EXISTS k%u", (unsigned)i), 1);
}

static void on_state(void *ctx, bool up, enum err why)
{
    struct talk *t = ctx;
    t->ups += up;
    assert_true(up || why != OK);
}

// The last questions are under way when it ends.
static void end(struct talk *t)
{
    for (size_t i = 0; i < 4; i++)
        begin(&t->questions[i]);
    redis_free(t->redis);
    fault_forget();
    for (size_t i = 0; i < N; i++) {
        const struct question *q = &t->questions[i];
        assert_int_equal(q->told, q->begun);
        assert_true(i >= 4 || q->answered || q->err == ERR_CANCELLED);
    }
}

static enum err talk(void *ctx)
{
    struct talk t = *(const struct talk *)ctx;
    struct redis_url url = {0};
    struct buf why = {.max = 1000};
    for (size_t i = 0; i < N; i++)
        t.questions[i].talk = &t;
    for (size_t i = 0; i < t.n_servers; i++)
        redis_server_do(t.servers[i], "SCRIPT FLUSH");
    assert_int_equal(redis_url_parse(span_of(t.url), &url, &why), OK);
    sweep_begin();
    t.redis = redis_new(
        t.loop,
        &(struct redis_options){.url = &url, .name = "test", .on_state = on_state, .ctx = &t});
    if (t.redis) {
        redis_home(t.redis, SPAN("k1"));
        wait_until(t.loop, all_answered, &t, "all to be answered");
        assert_true(t.ups > 0);
        if (t.site)
            ask_the_other(&t);
        end(&t);
    }
    fault_forget();
    redis_url_free(&url);
    buf_free(&why);
    return t.redis ? OK : ERR_NOMEM;
}

static void one_server(void **state)
{
    struct farm *f = *state;
    char url[200];
    snprintf(url, sizeof url, "%s?db=3", redis_server_url(f->server));
    struct talk t = {.loop = f->loop, .servers = &f->server, .n_servers = 1, .url = url};
    sweep(fault_alloc, ERR_NOMEM, talk, &t);
}

static void a_cluster(void **state)
{
    struct farm *f = *state;
    struct cluster *c = cluster_start();
    struct talk t = {
        .loop = f->loop, .servers = c->node, .n_servers = CLUSTER_NODES, .url = c->url};
    sweep(fault_alloc, ERR_NOMEM, talk, &t);
    cluster_stop(c);
}

// It takes nobody for down, however slow this machine is: the roles are changed by hand.
static void a_sentinel(void **state)
{
    struct farm *f = *state;
    struct sentinel_site *s = sentinel_site_start();
    redis_server_do(s->sentinel, "SENTINEL SET farm down-after-milliseconds 3600000");
    struct redis_server *const both[] = {s->primary, s->replica};
    struct talk t = {
        .loop = f->loop, .servers = both, .n_servers = 2, .url = s->url, .site = s};
    sweep(fault_alloc, ERR_NOMEM, talk, &t);
    sentinel_site_stop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_server),
        cmocka_unit_test(a_cluster),
        cmocka_unit_test(a_sentinel),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
