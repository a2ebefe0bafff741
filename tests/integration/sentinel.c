// sentinel.c - see sentinel.h.
#include "sentinel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

static void pick_port(char port[static 8])
{
    snprintf(port, 8, "%u", redis_server_free_port());
}

static const char *const *server_args(struct sentinel_site *s, int i)
{
    const char *args[] = {
        "--port", s->ports[i], "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0", NULL};
    memcpy(s->args[i], args, sizeof args);
    return s->args[i];
}

static void replica_in_sync(struct sentinel_site *s)
{
    redis_server_do(s->replica, "REPLICAOF 127.0.0.1 %s", s->ports[0]);
    while (redis_server_number(s->primary, "WAIT 1 100") == 0)
        ;
}

// The replica must be there before: a sentinel looks for new ones every ten seconds only.
static void start_sentinel(struct sentinel_site *s)
{
    const char *args[] = {s->file,  "--sentinel", "--port", s->ports[2],
                          "--bind", "127.0.0.1",  NULL};
    memcpy(s->args[2], args, sizeof args);
    s->sentinel = redis_server_new(s->args[2]);
    snprintf(s->file, sizeof s->file, "%s/sentinel.conf", redis_server_dir(s->sentinel));
    FILE *f = fopen(s->file, "w");
    assert_non_null(f);
    fprintf(f,
            "sentinel monitor farm 127.0.0.1 %s 1\n"
            "sentinel down-after-milliseconds farm 300\n"
            "sentinel failover-timeout farm 2000\n",
            s->ports[0]);
    fclose(f);
    redis_server_again(s->sentinel);
}

struct sentinel_site *sentinel_site_start(void)
{
    struct sentinel_site *s = calloc(1, sizeof *s);
    assert_non_null(s);
    for (int i = 0; i < 3; i++)
        pick_port(s->ports[i]);
    pick_port(s->dead);
    s->primary = redis_server_start(server_args(s, 0));
    s->replica = redis_server_start(server_args(s, 1));
    replica_in_sync(s);
    start_sentinel(s);
    snprintf(s->url, sizeof s->url, "redis+sentinel://127.0.0.1:%s,127.0.0.1:%s/farm", s->dead,
             s->ports[2]);
    return s;
}

void sentinel_site_stop(struct sentinel_site *s)
{
    redis_server_stop(s->sentinel);
    redis_server_stop(s->replica);
    redis_server_stop(s->primary);
    free(s);
}

bool sentinel_is_listened_to(void *site)
{
    struct sentinel_site *s = site;
    redisReply *r = redis_server_ask(s->sentinel, "CLIENT LIST TYPE pubsub");
    bool yes = r->type == REDIS_REPLY_STRING && strstr(r->str, "name=test");
    freeReplyObject(r);
    return yes;
}

static void swap_roles(struct sentinel_site *s)
{
    struct redis_server *was = s->primary;
    char port[8];
    memcpy(port, s->ports[0], sizeof port);
    s->primary = s->replica;
    memcpy(s->ports[0], s->ports[1], sizeof port);
    s->replica = was;
    memcpy(s->ports[1], port, sizeof port);
}

// What sentinels tell each other: who says it, and what the primary is since which epoch.
void sentinel_site_switch(struct sentinel_site *s)
{
    char hello[200];
    redis_server_do(s->replica, "REPLICAOF NO ONE");
    redis_server_do(s->primary, "REPLICAOF 127.0.0.1 %s", s->ports[1]);
    swap_roles(s);
    s->epoch++;
    snprintf(hello, sizeof hello, "127.0.0.1,%s,%040x,%u,farm,127.0.0.1,%s,%u", s->dead, 1,
             s->epoch, s->ports[0], s->epoch);
    redis_server_do(s->sentinel, "PUBLISH __sentinel__:hello %s", hello);
}
