// redis_greeting.c - see redis_greeting.h.
#include "common/redis_greeting.h"

#include <stdio.h>
#include <string.h>

#include "common/redis_conn.h"

#define OLDEST_SERVER 60200

// An ACL user may lack a command that we can do without.
static bool forbidden(enum err e, const redisReply *reply)
{
    return e == ERR_DENIED && reply;
}

static bool greeted(struct redis_conn *c, enum err e, const redisReply *reply)
{
    if (!redis_conn_greets(c))
        return false;
    if (e == OK)
        return true;
    redis_conn_fail(c, e, reply ? reply->str : err_text(e));
    return false;
}

static void on_plain(void *ctx, enum err e, const redisReply *reply) // AUTH, SELECT
{
    greeted(ctx, e, reply);
}

static void on_ignored(void *ctx, enum err e, const redisReply *reply)
{
    (void)ctx, (void)e, (void)reply; // SETNAME is for people; a sentinel may want no password
}

static unsigned read_version(const redisReply *reply, unsigned part[static 3])
{
    const char *at =
        reply->type == REDIS_REPLY_STRING ? strstr(reply->str, "redis_version:") : NULL;
    if (at)
        at += strlen("redis_version:");
    for (unsigned i = 0; at && i < 3; i++) {
        while (*at >= '0' && *at <= '9' && part[i] < 10000)
            part[i] = part[i] * 10 + (unsigned)(*at++ - '0');
        at = *at == '.' ? at + 1 : NULL;
    }
    return part[0] * 10000 + part[1] * 100 + part[2];
}

static void on_info(void *ctx, enum err e, const redisReply *reply)
{
    struct redis_conn *c = ctx;
    unsigned part[3] = {0};
    if (forbidden(e, reply) || !greeted(c, e, reply))
        return; // forbidden: the version stays unknown
    unsigned version = read_version(reply, part);
    redis_conn_set_version(c, version);
    if (version > 0 && version < OLDEST_SERVER) {
        char what[100];
        snprintf(what, sizeof what, "the server is Redis %u.%u.%u; 6.2 or newer is needed",
                 part[0], part[1], part[2]);
        redis_conn_fail(c, ERR_SERVER, what);
    }
}

// INFO and ROLE are answered while the server still loads its data; PING says that it does.
static void on_ping(void *ctx, enum err e, const redisReply *reply)
{
    struct redis_conn *c = ctx;
    bool may_go_on = forbidden(e, reply) || greeted(c, e, reply);
    if (may_go_on && redis_conn_greets(c) && redis_conn_options(c)->peer != REDIS_PEER_PRIMARY)
        redis_conn_welcome(c);
}

static void on_role(void *ctx, enum err e, const redisReply *reply)
{
    struct redis_conn *c = ctx;
    bool hidden = forbidden(e, reply);
    if (!redis_conn_greets(c) || (!hidden && !greeted(c, e, reply)))
        return;
    bool replica = !hidden && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                   reply->element[0]->type == REDIS_REPLY_STRING &&
                   strcmp(reply->element[0]->str, "master") != 0;
    if (replica)
        redis_conn_fail(c, ERR_ORDER, "the server is a replica; the primary is needed");
    else
        redis_conn_welcome(c);
}

static void log_in(struct redis_conn *c)
{
    const struct redis_url *u = redis_conn_options(c)->url;
    bool sentinel = redis_conn_options(c)->peer == REDIS_PEER_SENTINEL;
    struct span auth[3] = {SPAN("AUTH")};
    size_t n = 1;
    if (!u->password)
        return;
    if (u->user)
        auth[n++] = span_of(u->user);
    auth[n++] = span_of(u->password);
    redis_conn_say(c, sentinel ? on_ignored : on_plain, n, auth);
}

static void ask_primary(struct redis_conn *c)
{
    redis_conn_say(c, on_info, 2, (struct span[]){SPAN("INFO"), SPAN("server")});
    redis_conn_say(c, on_ping, 1, (struct span[]){SPAN("PING")});
    redis_conn_say(c, on_role, 1, (struct span[]){SPAN("ROLE")});
}

void redis_greet(struct redis_conn *c)
{
    const struct redis_conn_options *o = redis_conn_options(c);
    char db[12];
    log_in(c);
    snprintf(db, sizeof db, "%u", o->url->db);
    if (o->url->db && o->peer == REDIS_PEER_PRIMARY)
        redis_conn_say(c, on_plain, 2, (struct span[]){SPAN("SELECT"), span_of(db)});
    if (o->name)
        redis_conn_say(c, on_ignored, 3,
                       (struct span[]){SPAN("CLIENT"), SPAN("SETNAME"), span_of(o->name)});
    if (o->peer == REDIS_PEER_PRIMARY)
        ask_primary(c);
    else
        redis_conn_say(c, on_ping, 1, (struct span[]){SPAN("PING")});
}
