// test_redis_url.c - addresses of servers, of sentinels and of clusters: what is taken is shown
// again in full, but for the password; what is not is told why.
#include <string.h>

#include "test.h"

#include "common/redis.h"

static const struct {
    const char *url, *shown; // NULL: as it was written
    enum redis_kind kind;
    size_t hosts;
    unsigned last_port;
} taken[] = {
    {"redis://127.0.0.1:6379", NULL, REDIS_SERVER, 1, 6379},
    {"redis://", "redis://127.0.0.1:6379", REDIS_SERVER, 1, 6379},
    {"redis://u:p@h:1/2", "redis://u@h:1/2", REDIS_SERVER, 1, 1},
    {"rediss://:p@[::1]:2", "rediss://[::1]:2", REDIS_SERVER, 1, 2},
    {"unix:///tmp/r.sock?db=3", NULL, REDIS_SERVER, 1, 0},
    {"redis+sentinel://a:1,b:2,[::1]:3/farm", NULL, REDIS_SENTINEL, 3, 3},
    {"redis+sentinel://a/farm", "redis+sentinel://a:26379/farm", REDIS_SENTINEL, 1, 26379},
    {"redis+sentinel://u:p@a:1/farm/4", "redis+sentinel://u@a:1/farm/4", REDIS_SENTINEL, 1, 1},
    {"rediss+sentinel://:p@a:1/f%20m", "rediss+sentinel://a:1/f m", REDIS_SENTINEL, 1, 1},
    {"redis+cluster://a:1,b", "redis+cluster://a:1,b:6379", REDIS_CLUSTER, 2, 6379},
    {"redis+cluster://a:1/0", "redis+cluster://a:1", REDIS_CLUSTER, 1, 1},
    {"rediss+cluster://u:p@a:1,b:2", "rediss+cluster://u@a:1,b:2", REDIS_CLUSTER, 2, 2},
};

static void what_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        struct redis_url u;
        struct buf why = {.max = 1000}, shown = {.max = 1000};
        assert_int_equal(redis_url_parse(span_of(taken[i].url), &u, &why), OK);
        redis_url_show(&shown, &u);
        assert_string_equal(buf_str(&shown), taken[i].shown ? taken[i].shown : taken[i].url);
        assert_int_equal(u.kind, taken[i].kind);
        assert_int_equal(u.n_hosts, taken[i].hosts);
        assert_int_equal(u.hosts[u.n_hosts - 1].port, taken[i].last_port);
        redis_url_free(&u);
        buf_free(&why);
        buf_free(&shown);
    }
}

static void one_of_several(void **state)
{
    (void)state;
    struct redis_url u;
    struct buf why = {.max = 1000}, shown = {.max = 1000};
    assert_int_equal(redis_url_parse(SPAN("rediss+sentinel://me:pw@a:1,b:2/farm/5"), &u, &why),
                     OK);
    assert_string_equal(u.primary, "farm");
    assert_string_equal(u.user, "me");
    assert_string_equal(u.password, "pw");
    redis_url_show_at(&shown, &u, &u.hosts[1]);
    assert_string_equal(buf_str(&shown), "rediss://me@b:2/5");
    redis_url_free(&u);
    buf_free(&why);
    buf_free(&shown);
}

static void what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *url, *why;
    } table[] = {
        {"http://a", "unknown scheme"},
        {"redis+sentinel://a:1", "the primary's name is missing"},
        {"redis+sentinel://a:1//2", "the primary's name is missing"},
        {"redis+sentinel:///farm", "a host is missing"},
        {"redis+sentinel://a,,b/farm", "a host is missing"},
        {"redis+sentinel://a:0/farm", "the port"},
        {"redis+sentinel://a/farm/x", "the database"},
        {"redis+sentinel://me@a/farm", "a user without a password"},
        {"redis+cluster://", "a host is missing"},
        {"redis+cluster://a,", "a host is missing"},
        {"redis+cluster://a/1", "a cluster has database 0 only"},
        {"redis+cluster://a/%zz", "the database"},
        {"redis+sentinel://a/%zz", "a %XX that is malformed"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct redis_url u = {0};
        struct buf why = {.max = 1000};
        assert_int_equal(redis_url_parse(span_of(table[i].url), &u, &why), ERR_FORMAT);
        assert_non_null(strstr(buf_str(&why), table[i].why));
        assert_null(u.hosts);
        buf_free(&why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken),
        cmocka_unit_test(one_of_several),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
