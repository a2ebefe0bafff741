// test_redis.c - the connection to Redis: ways in, words for what fails, deadlines, and every
// request told exactly once, whatever becomes of the server.
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"
#include "wait.h"

struct room {
    struct redis_server *server;
    struct ev_loop *loop;
};

static int open_room(void **state)
{
    struct room *r = calloc(1, sizeof *r);
    r->loop = ev_loop_new(EVFLAG_AUTO);
    r->server = redis_server_start(NULL);
    *state = r;
    return 0;
}

static int close_room(void **state)
{
    struct room *r = *state;
    redis_server_stop(r->server);
    ev_loop_destroy(r->loop);
    free(r);
    return 0;
}

static void a_unix_socket(void **state)
{
    struct room *r = *state;
    struct link *l = link_new(r->loop, redis_server_url(r->server), NULL);
    assert_false(redis_ready(l->redis)); // nothing has happened from inside redis_new()
    link_up(l);
    assert_true(redis_version(l->redis) >= 60200);
    assert_int_equal(redis_last_error(l->redis), OK);
    assert_string_equal(redis_why(l->redis), "");
    assert_string_equal(link_say(l, 2, "PING").text, "PONG");
    assert_string_equal(link_say(l, 2, "CLIENT GETNAME").text, "test");
    link_free(l);
}

static void a_database_of_its_own(void **state)
{
    struct room *r = *state;
    char url[256];
    snprintf(url, sizeof url, "%s?db=3", redis_server_url(r->server));
    struct link *l = link_new(r->loop, url, NULL);
    link_up(l);
    assert_int_equal(link_say(l, 2, "SET here 1").err, OK);
    assert_int_equal(redis_server_number(r->server, "EXISTS here"), 0);
    link_free(l);
}

static void answers_come_in_order(void **state)
{
    struct room *r = *state;
    struct link *l = link_new(r->loop, redis_server_url(r->server), NULL);
    struct said s[500];
    char command[64];
    link_up(l);
    for (int i = 0; i < 500; i++) {
        snprintf(command, sizeof command, "ECHO %d", i);
        assert_int_equal(link_begin(l, 5, &s[i], command), OK);
        assert_false(s[i].done);
    }
    wait_for(r->loop, &s[499].done, "the last answer");
    for (int i = 0; i < 500; i++) {
        assert_int_equal(s[i].times, 1);
        assert_int_equal(atoi(s[i].text), i);
    }
    link_free(l);
}

static void errors_have_their_kind(void **state)
{
    struct room *r = *state;
    struct link *l = link_new(r->loop, redis_server_url(r->server), NULL);
    link_up(l);
    struct said s = link_say(l, 2, "NOSUCH thing");
    assert_int_equal(s.err, ERR_SERVER);
    assert_non_null(strstr(s.text, "unknown command"));
    assert_true(redis_ready(l->redis)); // an error is an answer
    link_free(l);
}

static void passwords_and_users(void **state)
{
    struct room *r = *state;
    char url[256];
    const char *path = redis_server_socket(r->server);
    redis_server_do(r->server, "ACL SETUSER farm on >s3cret/with%%20signs ~* +@all");
    redis_server_do(r->server, "ACL SETUSER poor on >pw ~* +@all -info -role -client");
    snprintf(url, sizeof url, "unix://farm:s3cret%%2Fwith%%2520signs@%s", path);
    struct link *l = link_new(r->loop, url, NULL);
    link_up(l);
    assert_string_equal(link_say(l, 2, "ACL WHOAMI").text, "farm");
    link_free(l);
    snprintf(url, sizeof url, "unix://poor:pw@%s", path); // may not say INFO nor ROLE
    l = link_new(r->loop, url, NULL);
    link_up(l);
    assert_int_equal(redis_version(l->redis), 0);
    assert_int_equal(link_say(l, 2, "INFO server").err, ERR_DENIED);
    link_free(l);
    redis_server_do(r->server, "ACL SETUSER poor resetkeys ~mine");
    l = link_new(r->loop, url, NULL);
    link_up(l);
    assert_int_equal(link_say(l, 2, "GET theirs").err, ERR_DENIED);
    assert_int_equal(link_say(l, 2, "EVAL return(redis.call('INFO')) 1 mine").err, ERR_DENIED);
    assert_int_equal(link_say(l, 2, "EVAL return(redis.call('GET','theirs')) 1 mine").err,
                     ERR_DENIED);
    link_free(l);
}

static void a_wrong_password(void **state)
{
    struct room *r = *state;
    char url[256];
    snprintf(url, sizeof url, "unix://farm:wrong@%s", redis_server_socket(r->server));
    struct link *l = link_new(r->loop, url, NULL);
    link_down(l);
    assert_int_equal(l->why, ERR_AUTH);
    assert_int_equal(redis_last_error(l->redis), ERR_AUTH);
    assert_non_null(strstr(redis_why(l->redis), "WRONGPASS"));
    assert_null(strstr(redis_why(l->redis), "farm:wrong"));
    wait_seconds(r->loop, 0.3); // further tries tell nothing new
    assert_int_equal(l->downs, 1);
    link_free(l);
}

static void a_missing_password(void **state)
{
    struct room *r = *state;
    redis_server_do(r->server, "CONFIG SET requirepass hush");
    struct link *l = link_new(r->loop, redis_server_url(r->server), NULL);
    link_down(l);
    assert_int_equal(l->why, ERR_AUTH);
    link_free(l);
    char url[256];
    snprintf(url, sizeof url, "unix://:hush@%s", redis_server_socket(r->server));
    l = link_new(r->loop, url, NULL);
    link_up(l);
    assert_int_equal(link_say(l, 2, "CONFIG SET requirepass").err, ERR_SERVER);
    struct said s;
    struct span argv[] = {SPAN("CONFIG"), SPAN("SET"), SPAN("requirepass"), SPAN("")};
    s = (struct said){0};
    assert_int_equal(redis_call(l->redis, 2, said_done, &s, 4, argv), OK);
    wait_for(r->loop, &s.done, "CONFIG SET");
    assert_int_equal(s.err, OK);
    link_free(l);
}

static void nobody_there(void **state)
{
    struct room *r = *state;
    char url[256];
    snprintf(url, sizeof url, "redis://127.0.0.1:%u", redis_server_free_port());
    struct link *l = link_new(r->loop, url, NULL);
    struct said s;
    assert_int_equal(link_begin(l, 1, &s, "PING"), ERR_NET); // at once, and told to nobody
    link_down(l);
    assert_int_equal(l->why, ERR_NET);
    assert_non_null(strstr(redis_why(l->redis), "127.0.0.1"));
    assert_non_null(strstr(redis_why(l->redis), "refused"));
    link_free(l);
    l = link_new(r->loop, "unix:///nonexistent/redis.sock", NULL);
    link_down(l);
    assert_non_null(strstr(redis_why(l->redis), "No such file"));
    link_free(l);
    assert_false(s.done);
}

static void a_late_answer_ends_the_connection(void **state)
{
    struct room *r = *state;
    struct link *l = link_new(r->loop, redis_server_url(r->server), NULL);
    struct said s[3];
    link_up(l);
    redis_server_pause(r->server);
    assert_int_equal(link_begin(l, 0.15, &s[0], "SET late 1"), OK);
    assert_int_equal(link_begin(l, 5, &s[1], "SET later 1"), OK);
    assert_int_equal(link_begin(l, 5, &s[2], "PING"), OK);
    wait_for(r->loop, &s[2].done, "the deadline");
    assert_int_equal(s[0].err, ERR_TIMEOUT);
    assert_int_equal(s[1].err, ERR_NET); // unknown, too
    assert_int_equal(s[2].err, ERR_NET);
    assert_true(l->down);
    assert_int_equal(l->why, ERR_TIMEOUT);
    redis_server_resume(r->server);
    link_up(l);
    for (int i = 0; i < 3; i++)
        assert_int_equal(s[i].times, 1);
    assert_string_equal(link_say(l, 2, "ECHO mine").text, "mine"); // nothing was shifted
    assert_int_equal(l->ups, 2);
    link_free(l);
}

static void a_blocking_call_has_a_deadline_too(void **state)
{
    struct room *r = *state;
    struct link *l = link_new(r->loop, redis_server_url(r->server), NULL);
    struct said s;
    link_up(l);
    assert_int_equal(link_begin(l, 2, &s, "BLPOP nothing 0.05"), OK);
    wait_for(r->loop, &s.done, "BLPOP");
    assert_int_equal(s.err, OK);
    assert_int_equal(s.type, REDIS_REPLY_NIL);
    assert_int_equal(link_begin(l, 0.1, &s, "BLPOP nothing 0"), OK);
    wait_for(r->loop, &s.done, "the deadline");
    assert_int_equal(s.err, ERR_TIMEOUT);
    link_free(l);
}

static void killed_and_back(void **state)
{
    struct room *r = *state;
    struct link *l = link_new(r->loop, redis_server_url(r->server), NULL);
    struct said s[20];
    link_up(l);
    redis_server_pause(r->server);
    for (int i = 0; i < 20; i++)
        assert_int_equal(link_begin(l, 5, &s[i], "INCR n"), OK);
    redis_server_kill(r->server);
    link_down(l);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(s[i].times, 1);
        assert_int_equal(s[i].err, ERR_NET);
    }
    redis_server_again(r->server);
    link_up(l);
    assert_int_equal(l->downs, 1);
    assert_string_equal(link_say(l, 2, "PING").text, "PONG");
    link_free(l);
}

static void freed_with_requests_under_way(void **state)
{
    struct room *r = *state;
    struct link *l = link_new(r->loop, redis_server_url(r->server), NULL);
    struct said s[5];
    link_up(l);
    for (int i = 0; i < 5; i++)
        assert_int_equal(link_begin(l, 5, &s[i], "PING"), OK);
    link_free(l);
    wait_seconds(r->loop, 0.02);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(s[i].times, 1);
        assert_int_equal(s[i].err, ERR_CANCELLED);
    }
}

static void freed_from_a_callback(void **state)
{
    struct room *r = *state;
    struct link *l = link_new(r->loop, redis_server_url(r->server), NULL);
    struct link_end k = {.link = l};
    struct span ping = SPAN("PING");
    struct said after;
    link_up(l);
    assert_int_equal(redis_call(l->redis, 2, link_ends, &k, 1, &ping), OK);
    assert_int_equal(link_begin(l, 2, &after, "PING"), OK);
    wait_for(r->loop, &k.done, "PING");
    wait_seconds(r->loop, 0.02);
    assert_int_equal(k.times, 1);
    assert_int_equal(after.times, 1);
    assert_int_equal(after.err, ERR_CANCELLED);
    link_free(l);
}

static void large_answers_and_binary(void **state)
{
    struct room *r = *state;
    struct link *l = link_new(r->loop, redis_server_url(r->server), NULL);
    size_t n = 8u << 20;
    char *bytes = malloc(n);
    struct said s = {0};
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 7 + i / 4096);
    link_up(l);
    struct span argv[] = {SPAN("SET"), SPAN("big\0key"), {bytes, n}};
    assert_int_equal(redis_call(l->redis, 5, said_done, &s, 3, argv), OK);
    memset(bytes, 0, n); // arguments are copied
    wait_for(r->loop, &s.done, "SET");
    assert_int_equal(s.err, OK);
    struct span get[] = {SPAN("BITCOUNT"), SPAN("big\0key")};
    s = (struct said){0};
    assert_int_equal(redis_call(l->redis, 5, said_done, &s, 2, get), OK);
    wait_for(r->loop, &s.done, "BITCOUNT");
    assert_true(s.integer > 1 << 20);
    get[0] = SPAN("GET");
    s = (struct said){0};
    assert_int_equal(redis_call(l->redis, 5, said_done, &s, 2, get), OK);
    wait_for(r->loop, &s.done, "GET");
    assert_int_equal(s.type, REDIS_REPLY_STRING);
    free(bytes);
    link_free(l);
}

// --- Scripts ---

static struct said run_script(struct link *l, struct redis_script *script)
{
    struct said s = {0};
    struct span argv[] = {SPAN("k"), SPAN("v")};
    assert_int_equal(redis_eval(l->redis, 2, said_done, &s, script, 1, 2, argv), OK);
    wait_for(l->loop, &s.done, "a script");
    assert_int_equal(s.times, 1);
    return s;
}

static void scripts_survive_a_flush(void **state)
{
    struct room *r = *state;
    struct link *l = link_new(r->loop, redis_server_url(r->server), NULL);
    struct redis_script script = {.name = "t",
                                  .source = SPAN("return KEYS[1] .. '=' .. ARGV[1]")};
    link_up(l);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(run_script(l, &script).text, "k=v");
        if (i == 1)
            redis_server_do(r->server, "SCRIPT FLUSH SYNC");
    }
    link_free(l);
}

static void a_full_server_is_told_apart(void **state)
{
    struct room *r = *state;
    struct link *l = link_new(r->loop, redis_server_url(r->server), NULL);
    struct redis_script write = {.source = SPAN("return redis.call('SET', KEYS[1], ARGV[1])")};
    struct redis_script wrong = {.source = SPAN("return redis.call('LPUSH', KEYS[1], 1)")};
    link_up(l);
    assert_int_equal(run_script(l, &write).err, OK);
    assert_int_equal(run_script(l, &wrong).err, ERR_SERVER);
    redis_server_do(r->server, "CONFIG SET maxmemory 1");
    assert_int_equal(link_say(l, 2, "SET a b").err, ERR_FULL);
    assert_int_equal(run_script(l, &write).err, ERR_FULL);
    redis_server_do(r->server, "CONFIG SET maxmemory 0");
    assert_int_equal(run_script(l, &write).err, OK);
    link_free(l);
}

// --- Servers that cannot serve ---

static void a_replica_is_refused(void **state)
{
    struct room *r = *state;
    char url[256];
    snprintf(url, sizeof url, "%s", redis_server_url(r->server));
    redis_server_do(r->server, "REPLICAOF 127.0.0.1 %u", redis_server_free_port());
    struct link *l = link_new(r->loop, url, NULL);
    link_down(l);
    assert_int_equal(l->why, ERR_ORDER);
    redis_server_do(r->server, "REPLICAOF NO ONE");
    link_up(l);
    link_free(l);
}

static bool somebody_waits(const struct redis_server *s)
{
    redisReply *r = redis_server_ask(s, "INFO clients");
    bool yes = strstr(r->str, "blocked_clients:1");
    freeReplyObject(r);
    return yes;
}

// As after a failover: what was said to it is answered, and nothing more is said to it.
static void a_primary_that_is_one_no_more_is_left(void **state)
{
    struct room *r = *state;
    struct link *l = link_new(r->loop, redis_server_url(r->server), NULL);
    struct link *idle = link_new(r->loop, redis_server_url(r->server), NULL);
    struct said waits;
    link_up(l);
    link_up(idle);
    assert_int_equal(link_begin(idle, 5, &waits, "BLPOP nothing 4"), OK);
    while (!somebody_waits(r->server))
        wait_seconds(r->loop, 0.01);
    redis_server_do(r->server, "REPLICAOF 127.0.0.1 %u", redis_server_free_port());
    assert_int_equal(link_say(l, 2, "SET a b").err, ERR_BUSY);
    link_down(l);
    assert_int_equal(l->why, ERR_BUSY);
    wait_for(r->loop, &waits.done, "BLPOP");
    assert_int_equal(waits.err, ERR_BUSY);
    link_down(idle);
    redis_server_do(r->server, "REPLICAOF NO ONE");
    link_up(l);
    link_up(idle);
    assert_int_equal(l->downs, 1);
    link_free(l);
    link_free(idle);
}

// A server with much to load answers -LOADING until it has.
static void a_loading_server_is_waited_for(void **state)
{
    struct room *r = *state;
    static const char *const extra[] = {"--appendonly",
                                        "yes",
                                        "--key-load-delay",
                                        "500",
                                        "--loading-process-events-interval-bytes",
                                        "1024",
                                        NULL};
    struct redis_server *s = redis_server_start(extra);
    redis_server_do(
        s, "EVAL %s 0",
        "for i = 1, 2000 do redis.call('SET', 'key' .. i, string.rep('x', 100)) end");
    redis_server_kill(s);
    redis_server_spawn(s);
    struct link *l = link_new(r->loop, redis_server_url(s), NULL);
    for (bool loading = false; !loading && !l->up;) {
        wait_seconds(r->loop, 0.02);
        loading = strstr(redis_why(l->redis), "LOADING");
        if (loading)
            assert_int_equal(redis_last_error(l->redis), ERR_BUSY);
    }
    assert_false(l->up); // not before it has loaded everything
    link_up(l);
    assert_int_equal(link_say(l, 2, "DBSIZE").integer, 2000);
    link_free(l);
    redis_server_stop(s);
}

// --- TLS ---

struct tls {
    char dir[64], key[96], cert[96], other[96];
    char port[8], bus[8];
    struct redis_server *server;
    const char *args[24];
};

static bool make_cert(const char *key, const char *cert)
{
    char command[512];
    snprintf(
        command, sizeof command,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-keyout %s -out %s -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 >/dev/null 2>&1",
        key, cert);
    return system(command) == 0;
}

static void tls_start(struct tls *t, bool cluster)
{
    snprintf(t->dir, sizeof t->dir, "/tmp/genfarm-tls-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    snprintf(t->key, sizeof t->key, "%s/key.pem", t->dir);
    snprintf(t->cert, sizeof t->cert, "%s/cert.pem", t->dir);
    snprintf(t->other, sizeof t->other, "%s/other.pem", t->dir);
    assert_true(make_cert(t->key, t->other)); // the key goes with the second one
    assert_true(make_cert(t->key, t->cert));
    snprintf(t->port, sizeof t->port, "%u", redis_server_free_port());
    snprintf(t->bus, sizeof t->bus, "%u", redis_server_free_port());
    const char *args[] = {"--tls-port",
                          t->port,
                          "--tls-cert-file",
                          t->cert,
                          "--tls-key-file",
                          t->key,
                          "--tls-ca-cert-file",
                          t->cert,
                          "--tls-auth-clients",
                          "no",
                          "--bind",
                          "127.0.0.1",
                          cluster ? "--cluster-enabled" : NULL,
                          "yes",
                          "--cluster-port",
                          t->bus,
                          "--tls-cluster",
                          "yes",
                          "--databases",
                          "1",
                          NULL};
    memcpy(t->args, args, sizeof args);
    t->server = redis_server_start(t->args);
}

static void tls_stop(struct tls *t)
{
    redis_server_stop(t->server);
    unlink(t->key);
    unlink(t->cert);
    unlink(t->other);
    rmdir(t->dir);
}

// A system made by hand may have no /etc/hosts: then by address only.
static const char *own_name(void)
{
    struct addrinfo *found = NULL;
    bool known = getaddrinfo("localhost", NULL, NULL, &found) == 0;
    if (known)
        freeaddrinfo(found);
    return known ? "localhost" : "127.0.0.1";
}

static void tls_is_verified(void **state)
{
    struct room *r = *state;
    struct tls t;
    char url[128];
    tls_start(&t, false);
    snprintf(url, sizeof url, "rediss://%s:%s", own_name(), t.port);
    struct link *l = link_new(r->loop, url, &(struct redis_options){.ca_file = t.cert});
    link_up(l);
    assert_string_equal(link_say(l, 2, "ECHO privately").text, "privately");
    // More than one record, there and back.
    redis_server_do(t.server, "EVAL %s 0",
                    "redis.call('SET', 'big', string.rep('x', 5000000))");
    assert_int_equal(link_say(l, 5, "GET big").type, REDIS_REPLY_STRING);
    redis_server_kill(t.server);
    link_down(l);
    redis_server_again(t.server);
    link_up(l);
    link_free(l);

    l = link_new(r->loop, url, &(struct redis_options){.ca_file = t.other}); // not its issuer
    link_down(l);
    assert_int_equal(l->why, ERR_NET);
    assert_non_null(strstr(redis_why(l->redis), "certificate"));
    link_free(l);

    snprintf(url, sizeof url, "rediss://127.0.0.1:%s", t.port); // by address
    l = link_new(r->loop, url, &(struct redis_options){.ca_file = t.cert});
    link_up(l);
    link_free(l);
    snprintf(url, sizeof url, "rediss://127.0.0.2:%s", t.port); // nobody there
    l = link_new(r->loop, url, &(struct redis_options){.ca_file = t.cert});
    link_down(l);
    link_free(l);
    tls_stop(&t);
}

static void a_name_that_is_not_in_the_certificate(void **state)
{
    struct room *r = *state;
    struct tls t;
    char url[128];
    tls_start(&t, false);
    redis_server_do(t.server, "CONFIG SET bind *");
    snprintf(url, sizeof url, "rediss://127.0.0.3:%s", t.port);
    struct link *l = link_new(r->loop, url, &(struct redis_options){.ca_file = t.cert});
    link_down(l);
    assert_non_null(strstr(redis_why(l->redis), "mismatch"));
    link_free(l);
    tls_stop(&t);
}

static void a_cluster_over_tls(void **state)
{
    struct room *r = *state;
    struct tls t;
    char url[128];
    tls_start(&t, true);
    redis_server_do(t.server, "CLUSTER ADDSLOTSRANGE 0 16383");
    snprintf(url, sizeof url, "rediss+cluster://127.0.0.1:%s", t.port);
    struct link *l = link_new(r->loop, url, &(struct redis_options){.ca_file = t.cert});
    link_up(l); // its one node names the port for TLS, as it was asked over TLS
    assert_int_equal(link_say(l, 5, "SET a b").err, OK);
    link_free(l);
    l = link_new(r->loop, url, &(struct redis_options){.ca_file = t.other});
    link_down(l);
    assert_non_null(strstr(redis_why(l->redis), "certificate"));
    link_free(l);
    tls_stop(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unix_socket),
        cmocka_unit_test(a_database_of_its_own),
        cmocka_unit_test(answers_come_in_order),
        cmocka_unit_test(errors_have_their_kind),
        cmocka_unit_test(passwords_and_users),
        cmocka_unit_test(a_wrong_password),
        cmocka_unit_test(a_missing_password),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(a_late_answer_ends_the_connection),
        cmocka_unit_test(a_blocking_call_has_a_deadline_too),
        cmocka_unit_test(killed_and_back),
        cmocka_unit_test(freed_with_requests_under_way),
        cmocka_unit_test(freed_from_a_callback),
        cmocka_unit_test(large_answers_and_binary),
        cmocka_unit_test(scripts_survive_a_flush),
        cmocka_unit_test(a_full_server_is_told_apart),
        cmocka_unit_test(a_replica_is_refused),
        cmocka_unit_test(a_primary_that_is_one_no_more_is_left),
        cmocka_unit_test(a_loading_server_is_waited_for),
        cmocka_unit_test(tls_is_verified),
        cmocka_unit_test(a_name_that_is_not_in_the_certificate),
        cmocka_unit_test(a_cluster_over_tls),
    };
    return cmocka_run_group_tests(tests, open_room, close_room);
}
