// test_redis_cluster.c - requests to a cluster: each to the node of its key, in order and once,
// while slots move and nodes come and go.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "common/redis_slot.h"
#include "test.h"
#include "wait.h"

struct site {
    struct ev_loop *loop;
    struct cluster *cluster;
};

static int open_site(void **state)
{
    struct site *s = calloc(1, sizeof *s);
    s->loop = ev_loop_new(EVFLAG_AUTO);
    s->cluster = cluster_start();
    *state = s;
    return 0;
}

static int close_site(void **state)
{
    struct site *s = *state;
    cluster_stop(s->cluster);
    ev_loop_destroy(s->loop);
    free(s);
    return 0;
}

static struct link *site_link(struct site *s, const char *home)
{
    struct link *l = link_new(s->loop, s->cluster->url, NULL);
    redis_home(l->redis, span_of(home));
    return l;
}

// --- Slots ---

static void slots_are_those_of_the_server(void **state)
{
    struct site *s = *state;
    static const char *const keys[] = {"123456789", "genfarm:{default}:cfg",
                                       "{}",        "{}x",
                                       "{",         "}{a}",
                                       "{a}b",      "a{b}c{d}",
                                       "a{}{b}",    "a{{b}}",
                                       "{a",        "a}"};
    assert_int_equal(redis_slot(SPAN("123456789")), 0x31c3 % REDIS_SLOTS);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_int_equal(redis_slot(span_of(keys[i])), cluster_slot(s->cluster, keys[i]));
    for (unsigned i = 0; i < 300; i++) {
        char key[24];
        unsigned n = 1 + i % (sizeof key - 1);
        for (unsigned k = 0; k < n; k++)
            key[k] = (char)(i * 31 + k * 117 + (i >> k));
        assert_int_equal(
            redis_slot((struct span){key, n}),
            redis_server_number(s->cluster->node[0], "CLUSTER KEYSLOT %b", key, (size_t)n));
    }
}

static void keys_of_commands(void **state)
{
    (void)state;
    static const struct {
        const char *words[8], *key;
    } table[] = {
        {{"GET", "k"}, "k"},
        {{"hmget", "k", "f"}, "k"},
        {{"BLPOP", "k", "5"}, "k"},
        {{"EVALSHA", "abc", "2", "k", "l", "v"}, "k"},
        {{"EVAL", "return 1", "0", "v"}, ""},
        {{"XREAD", "COUNT", "5", "BLOCK", "100", "STREAMS", "k", "0"}, "k"},
        {{"xread", "streams"}, ""},
        {{"MEMORY", "USAGE", "k"}, "k"},
        {{"MEMORY", "STATS"}, ""},
        {{"config", "GET", "appendonly"}, ""},
        {{"PING"}, ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct span argv[8];
        size_t n = 0;
        while (n < 8 && table[i].words[n]) {
            argv[n] = span_of(table[i].words[n]);
            n++;
        }
        assert_true(span_is(redis_command_key(n, argv), table[i].key));
    }
}

// --- Ways in ---

static void every_key_goes_to_its_node(void **state)
{
    struct site *s = *state;
    char url[128], command[64];
    snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%u,127.0.0.1:%u",
             redis_server_free_port(),
             s->cluster->port[1]); // one that is not there, one that is
    struct link *l = link_new(s->loop, url, NULL);
    struct said said[60];
    link_up(l);
    assert_int_equal(l->downs, 0);
    assert_true(redis_version(l->redis) >= 60200);
    for (int i = 0; i < 60; i++) {
        snprintf(command, sizeof command, "SET key%d %d", i, i);
        assert_int_equal(link_begin(l, 5, &said[i], command), OK);
        assert_false(said[i].done);
    }
    for (int i = 0; i < 60; i++) {
        wait_for(s->loop, &said[i].done, "SET");
        assert_int_equal(said[i].err, OK);
        assert_int_equal(said[i].times, 1);
    }
    for (int i = 0; i < CLUSTER_NODES; i++)
        assert_true(redis_server_number(s->cluster->node[i], "DBSIZE") > 5);
    for (int i = 0; i < 60; i++) {
        snprintf(command, sizeof command, "GET key%d", i);
        assert_int_equal(atoi(link_say(l, 5, command).text), i);
    }
    link_free(l);
}

static void commands_without_a_key_go_home(void **state)
{
    struct site *s = *state;
    static const char *const homes[] = {"a", "b", "c", "d", "e", "f"};
    for (size_t i = 0; i < sizeof homes / sizeof *homes; i++) {
        struct link *l = site_link(s, homes[i]);
        link_up(l);
        int owner = cluster_owner(s->cluster, cluster_slot(s->cluster, homes[i]));
        assert_string_equal(link_say(l, 2, "CLUSTER MYID").text, s->cluster->id[owner]);
        link_free(l);
    }
}

static void a_server_that_is_no_cluster(void **state)
{
    struct site *s = *state;
    char url[64], port[8];
    snprintf(port, sizeof port, "%u", redis_server_free_port());
    const char *const args[] = {"--port", port, NULL};
    struct redis_server *server = redis_server_start(args);
    snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%s", port);
    struct link *l = link_new(s->loop, url, NULL);
    struct said said;
    assert_int_equal(link_begin(l, 1, &said, "PING"), ERR_NET); // at once, and told to nobody
    link_down(l);
    assert_int_equal(l->why, ERR_SERVER);
    assert_non_null(strstr(redis_why(l->redis), "cluster support disabled"));
    wait_seconds(s->loop, 0.3);
    assert_int_equal(l->downs, 1);
    link_free(l);
    redis_server_stop(server);
}

// --- Slots on their way ---

// Appends its number to a list that it does not declare, as the queue's scripts do.
#define APPEND                                                           \
    "redis.call('RPUSH', string.sub(KEYS[1], 1, -4) .. 'log', ARGV[1]) " \
    "return redis.call('INCR', KEYS[1])"
static struct redis_script append = {.name = "append", .source = {APPEND, sizeof APPEND - 1}};

static void begin_append(struct link *l, struct said *said, const char *tag, int number)
{
    char config[32], none[32], text[16];
    snprintf(config, sizeof config, "{%s}cfg", tag);
    snprintf(none, sizeof none, "{%s}none", tag);
    snprintf(text, sizeof text, "%d", number);
    *said = (struct said){0};
    struct span argv[] = {span_of(config), span_of(none), span_of(text)};
    assert_int_equal(redis_eval(l->redis, 9, said_done, said, &append, 2, 3, argv), OK);
}

// All of them, in the order in which they were begun, and each once.
static void check_log(struct redis_server *owner, const char *tag, int n)
{
    redisReply *log = redis_server_ask(owner, "LRANGE {%s}log 0 -1", tag);
    assert_int_equal(log->type, REDIS_REPLY_ARRAY);
    assert_int_equal(log->elements, n);
    for (int i = 0; i < n; i++)
        assert_int_equal(atoi(log->element[i]->str), i);
    freeReplyObject(log);
}

static void wait_all(struct site *s, struct said *said, int from, int to)
{
    for (int i = from; i < to; i++) {
        wait_for(s->loop, &said[i].done, "an answer");
        assert_int_equal(said[i].err, OK);
        assert_int_equal(said[i].integer, i + 1);
        assert_int_equal(said[i].times, 1);
    }
}

// How often a node answered TRYAGAIN.
static unsigned refused(const struct redis_server *s)
{
    redisReply *r = redis_server_ask(s, "INFO errorstats");
    const char *at = strstr(r->str, "errorstat_TRYAGAIN:count=");
    unsigned n = at ? (unsigned)atoi(at + strlen("errorstat_TRYAGAIN:count=")) : 0;
    freeReplyObject(r);
    return n;
}

static void scripts_wait_while_their_slot_moves(void **state)
{
    struct site *s = *state;
    struct cluster *c = s->cluster;
    struct link *l = site_link(s, "{moves}cfg");
    unsigned slot = cluster_slot(c, "{moves}cfg");
    int from = cluster_owner(c, slot), to = (from + 1) % CLUSTER_NODES, n = 0;
    struct said said[200], get;
    link_up(l);
    for (; n < 50; n++)
        begin_append(l, &said[n], "moves", n);
    wait_all(s, said, 0, n);
    assert_int_equal(link_say(l, 2, "SET {moves}plain here").err, OK);
    cluster_move_begin(c, slot, from, to);
    for (; n < 100; n++)
        begin_append(l, &said[n], "moves", n);
    wait_seconds(s->loop, 0.15);
    assert_false(said[50].done); // refused, and tried again until the slot has come to rest
    cluster_move_keys(c, slot, from, to, 2); // of three
    for (; n < 150; n++)
        begin_append(l, &said[n], "moves", n);
    wait_seconds(s->loop, 0.15);
    for (int i = 50; i < n; i++)
        assert_false(said[i].done);
    assert_int_equal(link_begin(l, 5, &get, "GET {moves}plain"), OK); // waits its turn
    cluster_move_keys(c, slot, from, to, 10);
    cluster_move_end(c, slot, to);
    for (; n < 200; n++)
        begin_append(l, &said[n], "moves", n);
    wait_all(s, said, 50, n);
    wait_for(s->loop, &get.done, "GET");
    // The first fifty were refused together; from then on only one asked whether it may.
    assert_in_range(refused(c->node[from]) + refused(c->node[to]), 50, 120);
    assert_string_equal(get.text, "here");
    check_log(c->node[to], "moves", n);
    assert_int_equal(l->downs, 0);
    link_free(l);
}

static void single_keys_are_served_while_they_move(void **state)
{
    struct site *s = *state;
    struct cluster *c = s->cluster;
    struct link *l = site_link(s, "{asks}cfg");
    unsigned slot = cluster_slot(c, "{asks}cfg");
    int from = cluster_owner(c, slot), to = (from + 1) % CLUSTER_NODES;
    char command[64];
    link_up(l);
    for (int i = 0; i < 20; i++) {
        snprintf(command, sizeof command, "SET {asks}%d %d", i, i);
        assert_int_equal(link_say(l, 2, command).err, OK);
    }
    cluster_move_begin(c, slot, from, to);
    cluster_move_keys(c, slot, from, to, 10);
    for (int i = 0; i < 20; i++) { // ten here, ten there
        snprintf(command, sizeof command, "INCR {asks}%d", i);
        assert_int_equal(link_say(l, 2, command).integer, i + 1);
    }
    assert_int_equal(link_say(l, 2, "INCR {asks}new").integer, 1); // which is made there
    cluster_move_keys(c, slot, from, to, 10);
    cluster_move_end(c, slot, to);
    assert_int_equal(link_say(l, 2, "INCR {asks}new").integer, 2);
    assert_int_equal(link_say(l, 2, "INCR {asks}19").integer, 21);
    assert_int_equal(redis_server_number(c->node[to], "CLUSTER COUNTKEYSINSLOT %u", slot), 21);
    assert_int_equal(l->downs, 0);
    link_free(l);
}

// Who waits for a list or a stream of the slot is sent along with it.
static void waiting_calls_follow_their_key(void **state)
{
    struct site *s = *state;
    struct cluster *c = s->cluster;
    struct link *list = site_link(s, "{waits}cfg"), *stream = site_link(s, "{waits}cfg");
    unsigned slot = cluster_slot(c, "{waits}cfg");
    int from = cluster_owner(c, slot), to = (from + 1) % CLUSTER_NODES;
    struct said popped, read;
    link_up(list);
    link_up(stream);
    redis_server_do(c->node[from], "XADD {waits}stream 1-0 e v");
    assert_int_equal(link_begin(list, 12, &popped, "BLPOP {waits}list 10"), OK);
    assert_int_equal(
        link_begin(stream, 12, &read, "XREAD BLOCK 10000 STREAMS {waits}stream 1-0"), OK);
    wait_seconds(s->loop, 0.05);
    cluster_move_begin(c, slot, from, to);
    cluster_move_keys(c, slot, from, to, 10);
    cluster_move_end(c, slot, to);
    redis_server_do(c->node[to], "RPUSH {waits}list v");
    redis_server_do(c->node[to], "XADD {waits}stream 2-0 e v");
    wait_for(s->loop, &popped.done, "BLPOP");
    wait_for(s->loop, &read.done, "XREAD");
    assert_int_equal(popped.err, OK);
    assert_int_equal(popped.type, REDIS_REPLY_ARRAY);
    assert_int_equal(read.err, OK);
    assert_int_equal(read.type, REDIS_REPLY_ARRAY);
    link_free(list);
    link_free(stream);
}

static void what_waits_too_long_is_told_so(void **state)
{
    struct site *s = *state;
    struct cluster *c = s->cluster;
    struct link *l = site_link(s, "{late}cfg");
    unsigned slot = cluster_slot(c, "{late}cfg");
    int from = cluster_owner(c, slot), to = (from + 1) % CLUSTER_NODES;
    struct said late, freed;
    link_up(l);
    assert_int_equal(link_say(l, 2, "SET {late}a 1").err, OK);
    cluster_move_begin(c, slot, from, to);
    assert_int_equal(link_begin(l, 0.2, &late, "MSET {late}a 2 {late}b 2"), OK);
    wait_for(s->loop, &late.done, "the end of its time");
    assert_int_equal(late.err, ERR_TIMEOUT);
    assert_true(redis_ready(l->redis)); // no connection is lost by that
    assert_int_equal(link_begin(l, 5, &freed, "MSET {late}a 3 {late}b 3"), OK);
    wait_seconds(s->loop, 0.05);
    link_free(l);
    assert_int_equal(freed.times, 1);
    assert_int_equal(freed.err, ERR_CANCELLED);
    cluster_move_keys(c, slot, from, to, 10);
    cluster_move_end(c, slot, to);
    assert_int_equal(late.times, 1);
}

// --- Nodes that go ---

static void freed_from_a_callback(void **state)
{
    struct site *s = *state;
    struct link *l = site_link(s, "k");
    struct link_end end = {.link = l};
    struct said after[2];
    struct span get[] = {SPAN("GET"), SPAN("k")};
    link_up(l);
    assert_int_equal(redis_call(l->redis, 2, link_ends, &end, 2, get), OK);
    assert_int_equal(link_begin(l, 2, &after[0], "GET k"), OK);
    assert_int_equal(link_begin(l, 2, &after[1], "GET other"), OK); // of another node
    wait_for(s->loop, &end.done, "GET");
    assert_int_equal(after[0].times, 1);
    assert_int_equal(after[0].err, ERR_CANCELLED);
    assert_int_equal(after[1].times, 1); // it may have been the first to be answered
    assert_int_equal(end.times, 1);
    link_free(l);
}

// A key that another node has than `home`.
static int elsewhere(struct site *s, int home, char key[static 16])
{
    int owner = home;
    for (int i = 0; owner == home; i++) {
        snprintf(key, 16, "there%d", i);
        owner = cluster_owner(s->cluster, cluster_slot(s->cluster, key));
    }
    return owner;
}

static void another_node_is_lost(void **state)
{
    struct site *s = *state;
    struct cluster *c = s->cluster;
    struct link *l = site_link(s, "here");
    char key[16], command[64];
    int there = elsewhere(s, cluster_owner(c, cluster_slot(c, "here")), key);
    struct said blocked, waits, late;
    link_up(l);
    snprintf(command, sizeof command, "BLPOP %s 0", key);
    assert_int_equal(link_begin(l, 60, &blocked, command), OK);
    wait_seconds(s->loop, 0.05);
    redis_server_kill(c->node[there]);
    wait_for(s->loop, &blocked.done, "the loss");
    assert_int_equal(blocked.err, ERR_NET); // unknown, so it is not sent again from here
    assert_int_equal(link_say(l, 2, "SET here 1").err, OK);
    snprintf(command, sizeof command, "SET %s 1", key);
    assert_int_equal(link_begin(l, 0.3, &late, command), OK);
    assert_int_equal(link_begin(l, 9, &waits, command), OK);
    wait_for(s->loop, &late.done, "the end of its time");
    assert_int_equal(late.err, ERR_TIMEOUT);
    assert_false(waits.done);
    redis_server_again(c->node[there]);
    wait_for(s->loop, &waits.done, "the node to come back");
    assert_int_equal(waits.err, OK);
    assert_int_equal(blocked.times, 1);
    assert_int_equal(l->downs, 0); // home was there all the time
    link_free(l);
    cluster_wait(c);
}

static void the_home_node_is_lost(void **state)
{
    struct site *s = *state;
    struct cluster *c = s->cluster;
    struct link *l = site_link(s, "here");
    int home = cluster_owner(c, cluster_slot(c, "here"));
    struct said blocked, refused;
    link_up(l);
    assert_int_equal(link_begin(l, 60, &blocked, "BLPOP here{here} 0"), OK);
    wait_seconds(s->loop, 0.05);
    redis_server_kill(c->node[home]);
    link_down(l);
    assert_int_equal(l->why, ERR_NET);
    assert_int_equal(blocked.err, ERR_NET);
    assert_int_equal(link_begin(l, 2, &refused, "GET here"), ERR_NET);
    assert_false(redis_ready(l->redis));
    wait_seconds(s->loop, 0.3);
    redis_server_again(c->node[home]);
    link_up(l);
    assert_int_equal(link_say(l, 5, "SET here 2").err, OK);
    assert_int_equal(l->downs, 1);
    assert_int_equal(l->ups, 2);
    link_free(l);
    cluster_wait(c);
}

// To a node that was lost before, and is said to have got the slot all the same.
static void home_goes_to_a_node_that_is_gone(void **state)
{
    struct site *s = *state;
    struct cluster *c = s->cluster;
    struct link *l = site_link(s, "here");
    char key[16], command[64];
    unsigned slot = cluster_slot(c, "here");
    int home = cluster_owner(c, slot), gone = elsewhere(s, home, key);
    struct said said;
    link_up(l);
    snprintf(command, sizeof command, "GET %s", key);
    assert_int_equal(link_say(l, 5, command).err, OK);
    redis_server_do(c->node[home], "DEL here");
    redis_server_kill(c->node[gone]);
    wait_seconds(s->loop, 0.3);
    assert_true(redis_ready(l->redis));
    for (int i = 0; i < CLUSTER_NODES; i++)
        if (i != gone)
            redis_server_do(c->node[i], "CLUSTER SETSLOT %u NODE %s", slot, c->id[gone]);
    assert_int_equal(link_begin(l, 9, &said, "GET here"), OK);
    link_down(l);
    assert_int_equal(l->why, ERR_NET);
    assert_int_equal(said.err, ERR_NET);
    for (int i = 0; i < CLUSTER_NODES; i++)
        if (i != gone)
            redis_server_do(c->node[i], "CLUSTER SETSLOT %u NODE %s", slot, c->id[home]);
    link_up(l);
    redis_server_again(c->node[gone]);
    cluster_wait(c);
    assert_int_equal(link_say(l, 5, "GET here").err, OK);
    link_free(l);
}

static bool in_sync(const struct redis_server *s)
{
    redisReply *r = redis_server_ask(s, "INFO replication");
    bool yes = strstr(r->str, "role:slave") && strstr(r->str, "master_link_status:up");
    freeReplyObject(r);
    return yes;
}

static struct redis_server *add_replica(struct site *s, int of)
{
    struct cluster *c = s->cluster;
    unsigned port;
    struct redis_server *replica = cluster_node(&port);
    cluster_meet(c->node[of], replica, port);
    cluster_says(replica, "cluster_known_nodes:4"); // it will need the votes of the others
    for (int i = 0; i < CLUSTER_NODES; i++)
        cluster_says(c->node[i], "cluster_known_nodes:4");
    redis_server_do(replica, "CLUSTER REPLICATE %s", c->id[of]);
    while (!in_sync(replica))
        wait_seconds(s->loop, 0.02);
    return replica;
}

static void a_replica_takes_over(void **state)
{
    struct site *s = *state;
    struct cluster *c = s->cluster;
    int home = cluster_owner(c, cluster_slot(c, "kept"));
    struct redis_server *replica = add_replica(s, home);
    struct link *l = site_link(s, "kept");
    link_up(l);
    assert_int_equal(link_say(l, 2, "SET kept well").err, OK);
    while (link_say(l, 3, "WAIT 1 1000").integer == 0) // what a failover may lose is not ours
        ;
    wait_seconds(s->loop, 0.5); // nothing goes on any more that began with the connection
    redis_server_kill(c->node[home]);
    link_down(l);
    link_up(l);
    assert_int_equal(l->downs, 1);
    assert_string_equal(link_say(l, 5, "GET kept").text, "well");
    assert_int_equal(link_say(l, 5, "SET kept {better}").err, OK);

    // The old one comes back as a replica, and is of no use.
    redis_server_again(c->node[home]);
    while (!in_sync(c->node[home]))
        wait_seconds(s->loop, 0.02);
    assert_string_equal(link_say(l, 5, "GET kept").text, "{better}");
    assert_int_equal(l->downs, 1);
    link_free(l);
    redis_server_stop(replica);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_those_of_the_server),
        cmocka_unit_test(keys_of_commands),
        cmocka_unit_test(every_key_goes_to_its_node),
        cmocka_unit_test(commands_without_a_key_go_home),
        cmocka_unit_test(a_server_that_is_no_cluster),
        cmocka_unit_test(scripts_wait_while_their_slot_moves),
        cmocka_unit_test(single_keys_are_served_while_they_move),
        cmocka_unit_test(waiting_calls_follow_their_key),
        cmocka_unit_test(what_waits_too_long_is_told_so),
        cmocka_unit_test(freed_from_a_callback),
        cmocka_unit_test(another_node_is_lost),
        cmocka_unit_test(the_home_node_is_lost),
        cmocka_unit_test(home_goes_to_a_node_that_is_gone),
        cmocka_unit_test(a_replica_takes_over), // the roles are changed from here on
    };
    return cmocka_run_group_tests(tests, open_site, close_site);
}
