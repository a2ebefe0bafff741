// cluster.c - see cluster.h.
#include "cluster.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

#define SLOTS    16384
#define ATTEMPTS 2000 // of 10 ms: until the nodes agree

struct settings { // of one node; kept until its end
    char port[8], bus[8];
    const char *args[24];
};

struct redis_server *cluster_node(unsigned *port)
{
    static struct settings kept[16];
    static unsigned used;
    assert_true(used < sizeof kept / sizeof *kept);
    struct settings *s = &kept[used++];
    *port = redis_server_free_port();
    snprintf(s->port, sizeof s->port, "%u", *port);
    snprintf(s->bus, sizeof s->bus, "%u", redis_server_free_port());
    const char *args[] = {"--port",
                          s->port,
                          "--cluster-port",
                          s->bus,
                          "--bind",
                          "127.0.0.1",
                          "--cluster-enabled",
                          "yes",
                          "--cluster-node-timeout",
                          "1000",
                          "--cluster-require-full-coverage",
                          "no",
                          "--repl-diskless-sync-delay",
                          "0",
                          "--databases",
                          "1",
                          NULL};
    memcpy(s->args, args, sizeof args);
    return redis_server_start(s->args);
}

static bool info_says(struct redis_server *s, const char *what)
{
    redisReply *r = redis_server_ask(s, "CLUSTER INFO");
    bool yes = r->type == REDIS_REPLY_STRING && strstr(r->str, what);
    freeReplyObject(r);
    return yes;
}

void cluster_says(struct redis_server *s, const char *what)
{
    for (int i = 0; !info_says(s, what); i++) {
        if (i == ATTEMPTS)
            fail_msg("a node of the cluster never says %s", what);
        poll(NULL, 0, 10); // nodes find each other without telling anybody
    }
}

void cluster_wait(struct cluster *c)
{
    for (int i = 0; i < CLUSTER_NODES; i++)
        if (redis_server_pid(c->node[i])) {
            cluster_says(c->node[i], "cluster_state:ok");
            cluster_says(c->node[i], "cluster_slots_ok:16384");
        }
}

void cluster_meet(struct redis_server *s, struct redis_server *other, unsigned port)
{
    redisReply *r = redis_server_ask(other, "CONFIG GET cluster-port");
    assert_int_equal(r->elements, 2);
    redis_server_do(s, "CLUSTER MEET 127.0.0.1 %u %s", port, r->element[1]->str);
    freeReplyObject(r);
}

struct cluster *cluster_start(void)
{
    struct cluster *c = calloc(1, sizeof *c);
    int n = snprintf(c->url, sizeof c->url, "redis+cluster://");
    for (int i = 0; i < CLUSTER_NODES; i++) {
        c->node[i] = cluster_node(&c->port[i]);
        redis_server_do(c->node[i], "CLUSTER SET-CONFIG-EPOCH %d", i + 1);
        redis_server_do(c->node[i], "CLUSTER ADDSLOTSRANGE %d %d", SLOTS * i / CLUSTER_NODES,
                        SLOTS * (i + 1) / CLUSTER_NODES - 1);
        redisReply *r = redis_server_ask(c->node[i], "CLUSTER MYID");
        snprintf(c->id[i], sizeof c->id[i], "%s", r->str);
        freeReplyObject(r);
        n += snprintf(c->url + n, sizeof c->url - (size_t)n, "%s127.0.0.1:%u", i ? "," : "",
                      c->port[i]);
    }
    for (int i = 1; i < CLUSTER_NODES; i++)
        cluster_meet(c->node[0], c->node[i], c->port[i]);
    cluster_wait(c);
    return c;
}

void cluster_stop(struct cluster *c)
{
    for (int i = 0; i < CLUSTER_NODES; i++)
        redis_server_stop(c->node[i]);
    free(c);
}

unsigned cluster_slot(struct cluster *c, const char *key)
{
    return (unsigned)redis_server_number(c->node[0], "CLUSTER KEYSLOT %s", key);
}

int cluster_owner(struct cluster *c, unsigned slot)
{
    redisReply *r = redis_server_ask(c->node[0], "CLUSTER SLOTS");
    int owner = -1;
    for (size_t i = 0; i < r->elements; i++) {
        const redisReply *range = r->element[i];
        if (range->element[0]->integer > slot || range->element[1]->integer < slot)
            continue;
        for (int k = 0; k < CLUSTER_NODES; k++)
            if (range->element[2]->element[1]->integer == c->port[k])
                owner = k;
    }
    freeReplyObject(r);
    assert_true(owner >= 0);
    return owner;
}

void cluster_move_begin(struct cluster *c, unsigned slot, int from, int to)
{
    redis_server_do(c->node[to], "CLUSTER SETSLOT %u IMPORTING %s", slot, c->id[from]);
    redis_server_do(c->node[from], "CLUSTER SETSLOT %u MIGRATING %s", slot, c->id[to]);
}

void cluster_move_keys(struct cluster *c, unsigned slot, int from, int to, int most)
{
    redisReply *keys =
        redis_server_ask(c->node[from], "CLUSTER GETKEYSINSLOT %u %d", slot, most);
    for (size_t i = 0; i < keys->elements; i++)
        redis_server_do(c->node[from], "MIGRATE 127.0.0.1 %u %b 0 5000", c->port[to],
                        keys->element[i]->str, (size_t)keys->element[i]->len);
    freeReplyObject(keys);
}

void cluster_move_end(struct cluster *c, unsigned slot, int to)
{
    redis_server_do(c->node[to], "CLUSTER SETSLOT %u NODE %s", slot, c->id[to]);
    for (int i = 0; i < CLUSTER_NODES; i++)
        if (i != to)
            redis_server_do(c->node[i], "CLUSTER SETSLOT %u NODE %s", slot, c->id[to]);
}
