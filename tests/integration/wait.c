// wait.c - see wait.h.
#include "wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

#define DEADLINE 10.0 // seconds

static void on_deadline(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)revents;
    *(bool *)t->data = true;
    ev_break(loop, EVBREAK_ONE);
}

void wait_until(struct ev_loop *loop, bool (*ready)(void *ctx), void *ctx, const char *what)
{
    bool late = false;
    ev_timer timer;
    ev_now_update(loop);
    ev_timer_init(&timer, on_deadline, DEADLINE, 0.);
    timer.data = &late;
    ev_timer_start(loop, &timer);
    while (!late && !ready(ctx))
        ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &timer);
    if (late && !ready(ctx))
        fail_msg("%s: not within %g s", what, DEADLINE);
}

static bool is_set(void *ctx)
{
    return *(bool *)ctx;
}

void wait_for(struct ev_loop *loop, const bool *flag, const char *what)
{
    union { // is_set() only reads
        const bool *from;
        void *to;
    } it = {flag};
    wait_until(loop, is_set, it.to, what);
}

void wait_seconds(struct ev_loop *loop, double seconds)
{
    bool over = false;
    ev_timer timer;
    ev_now_update(loop);
    ev_timer_init(&timer, on_deadline, seconds, 0.);
    timer.data = &over;
    ev_timer_start(loop, &timer);
    while (!over)
        ev_run(loop, EVRUN_ONCE);
}

// --- Connections ---

static void on_state(void *ctx, bool up, enum err why)
{
    struct link *l = ctx;
    l->up = up;
    l->down = !up;
    if (up) {
        l->ups++;
    } else {
        l->downs++;
        l->why = why;
    }
}

struct link *link_new(struct ev_loop *loop, const char *url, const struct redis_options *more)
{
    struct link *l = calloc(1, sizeof *l);
    struct buf why = {.max = 1000};
    assert_non_null(l);
    l->loop = loop;
    assert_int_equal(redis_url_parse(span_of(url), &l->url, &why), OK);
    struct redis_options o = more ? *more : (struct redis_options){.name = "test"};
    o.url = &l->url;
    o.on_state = on_state;
    o.ctx = l;
    l->redis = redis_new(loop, &o);
    assert_non_null(l->redis);
    buf_free(&why);
    return l;
}

void link_free(struct link *l)
{
    if (!l)
        return;
    redis_free(l->redis);
    redis_url_free(&l->url);
    free(l);
}

void link_up(struct link *l)
{
    wait_for(l->loop, &l->up, "a connection");
}

void link_down(struct link *l)
{
    wait_for(l->loop, &l->down, "the loss of a connection");
}

void said_done(void *ctx, enum err e, const redisReply *r)
{
    struct said *s = ctx;
    s->done = true;
    s->times++;
    s->err = e;
    s->type = r ? r->type : 0;
    s->integer = r ? r->integer : 0;
    s->text[0] = '\0';
    if (r && r->str)
        snprintf(s->text, sizeof s->text, "%s", r->str);
}

void link_ends(void *ctx, enum err e, const redisReply *reply)
{
    (void)e, (void)reply;
    struct link_end *end = ctx;
    end->times++;
    end->done = true;
    redis_free(end->link->redis);
    end->link->redis = NULL;
}

enum err link_begin(struct link *l, double timeout, struct said *s, const char *command)
{
    struct span argv[32];
    size_t n = 0;
    *s = (struct said){0};
    for (const char *at = command; *at && n < 32; at += at[0] == ' ') {
        argv[n] = (struct span){at, strcspn(at, " ")};
        at += argv[n++].len;
    }
    return redis_call(l->redis, timeout, said_done, s, n, argv);
}

struct said link_say(struct link *l, double timeout, const char *command)
{
    struct said s;
    assert_int_equal(link_begin(l, timeout, &s, command), OK);
    wait_for(l->loop, &s.done, command);
    return s;
}
