// test_redis_sentinel.c - a primary, its replica and a sentinel that watches over them: who is
// found, who is refused, and a primary that hangs.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentinel.h"
#include "test.h"
#include "wait.h"

struct site {
    struct ev_loop *loop;
    struct sentinel_site *of;
};

static int open_site(void **state)
{
    static struct site s;
    s = (struct site){ev_loop_new(EVFLAG_AUTO), sentinel_site_start()};
    *state = &s;
    return 0;
}

static int close_site(void **state)
{
    struct site *s = *state;
    sentinel_site_stop(s->of);
    ev_loop_destroy(s->loop);
    return 0;
}

static struct link *site_link(struct site *s, const char *url)
{
    return link_new(s->loop, url ? url : s->of->url, NULL);
}

static void the_primary_is_found(void **state)
{
    struct site *s = *state;
    char url[300];
    snprintf(url, sizeof url, "%s/3", s->of->url);
    struct link *l = site_link(s, url);
    assert_false(redis_ready(l->redis));
    link_up(l);
    assert_int_equal(l->downs, 0); // that the first sentinel is away is not told
    assert_true(redis_version(l->redis) >= 60200);
    assert_int_equal(link_say(l, 2, "SET here 1").err, OK);
    redisReply *space = redis_server_ask(s->of->primary, "INFO keyspace");
    assert_non_null(strstr(space->str, "db3:keys=1"));
    freeReplyObject(space);
    link_free(l);
}

static void nobody_knows_the_name(void **state)
{
    struct site *s = *state;
    char url[256];
    snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%s,127.0.0.1:%s/other",
             s->of->ports[2], s->of->dead);
    struct link *l = site_link(s, url);
    link_down(l);
    assert_int_equal(l->why, ERR_MISSING); // which tells more than that one is away
    assert_non_null(strstr(redis_why(l->redis), "knows no primary named \"other\""));
    wait_seconds(s->loop, 0.3);
    assert_int_equal(l->downs, 1);
    link_free(l);
}

static void no_sentinel_is_there(void **state)
{
    struct site *s = *state;
    char url[256];
    snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%s/farm", s->of->dead);
    struct link *l = site_link(s, url);
    link_down(l);
    assert_int_equal(l->why, ERR_NET);
    assert_non_null(strstr(redis_why(l->redis), "refused"));
    link_free(l);
    snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%s/farm", s->of->ports[0]);
    l = site_link(s, url);
    link_down(l);
    assert_int_equal(l->why, ERR_SERVER); // a server, but no sentinel
    assert_non_null(strstr(redis_why(l->redis), "SENTINEL"));
    link_free(l);
}

static void a_password_is_for_the_primary(void **state)
{
    struct site *s = *state;
    char url[256];
    redis_server_do(s->of->primary, "ACL SETUSER farm on >pw ~* +@all");
    snprintf(url, sizeof url, "redis+sentinel://farm:pw@127.0.0.1:%s/farm", s->of->ports[2]);
    struct link *l = site_link(s, url);
    link_up(l);
    assert_string_equal(link_say(l, 2, "ACL WHOAMI").text, "farm");
    link_free(l);
}

static void a_sentinel_may_go_and_come_back(void **state)
{
    struct site *s = *state;
    struct link *l = site_link(s, NULL);
    link_up(l);
    wait_until(s->loop, sentinel_is_listened_to, s->of, "a subscription");
    redis_server_kill(s->of->sentinel);
    assert_string_equal(link_say(l, 2, "PING").text, "PONG");
    wait_seconds(s->loop, 0.3);
    redis_server_again(s->of->sentinel);
    wait_until(s->loop, sentinel_is_listened_to, s->of, "another subscription");
    assert_int_equal(l->downs, 0);
    link_free(l);
}

// It answers nothing, and nobody asks it anything: only the sentinel can tell.
static void a_primary_that_hangs_is_left(void **state)
{
    struct site *s = *state;
    struct link *l = site_link(s, NULL);
    struct said waits;
    link_up(l);
    wait_until(s->loop, sentinel_is_listened_to, s->of, "a subscription");
    assert_int_equal(link_begin(l, 60, &waits, "BLPOP nothing 50"), OK);
    redis_server_pause(s->of->primary);
    link_down(l);
    assert_int_equal(waits.err, ERR_NET);
    assert_int_equal(waits.times, 1);
    link_up(l);
    assert_int_equal(link_say(l, 2, "SET after 1").err, OK);
    assert_int_equal(redis_server_number(s->of->replica, "EXISTS after"), 1);
    redis_server_resume(s->of->primary);
    link_free(l);

    // Who comes now is not sent to the old one, whatever it still takes itself for.
    l = site_link(s, NULL);
    link_up(l);
    assert_int_equal(link_say(l, 2, "EXISTS after").integer, 1);
    link_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_primary_is_found),
        cmocka_unit_test(nobody_knows_the_name),
        cmocka_unit_test(no_sentinel_is_there),
        cmocka_unit_test(a_password_is_for_the_primary),
        cmocka_unit_test(a_sentinel_may_go_and_come_back),
        cmocka_unit_test(a_primary_that_hangs_is_left), // the roles are changed from here on
    };
    return cmocka_run_group_tests(tests, open_site, close_site);
}
