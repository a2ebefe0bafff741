// redis_sentinel.c - see redis_sentinel.h.
#include "common/redis_sentinel.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "common/backoff.h"
#include "common/redis_inquiry.h"
#include "common/text.h"
#include "common/timer.h"

#define TIMEOUT 1.0 // seconds, of a question

struct redis_sentinel {
    struct ev_loop *loop;
    struct redis_sentinel_options options;
    struct span question[3];
    struct redis_inquiry *inquiry;
    ev_timer again;
    unsigned failures;
};

static void ask_later(struct redis_sentinel *s)
{
    timer_restart(s->loop, &s->again, backoff_delay(++s->failures, 0.1, 5., 0.02));
}

static bool read_text(const redisReply *reply, struct span *out)
{
    if (reply->type != REDIS_REPLY_STRING)
        return false;
    *out = (struct span){reply->str, (size_t)reply->len};
    return true;
}

// `host` and `port` as a sentinel writes them.
static bool read_host(struct span host, struct span port, char name[static REDIS_HOST_MAX + 1],
                      struct redis_host *out)
{
    uint64_t number;
    if (!redis_host_ok(host) || text_uint(port, 1, 65535, &number) != OK)
        return false;
    memcpy(name, host.ptr, host.len);
    name[host.len] = '\0';
    *out = (struct redis_host){name, (uint16_t)number};
    return true;
}

static void tell_found(struct redis_sentinel *s, const struct redis_host *primary)
{
    s->failures = 0;
    s->options.found(s->options.ctx, primary);
}

// --- Other sentinels ------------------------------------------------------------------------

// A field of a flat list: name, value, name, value...
static struct span field(const redisReply *list, const char *name)
{
    struct span key, value;
    for (size_t i = 0; list->type == REDIS_REPLY_ARRAY && i + 1 < list->elements; i += 2)
        if (read_text(list->element[i], &key) && span_is(key, name) &&
            read_text(list->element[i + 1], &value))
            return value;
    return (struct span){0};
}

static void on_others(void *ctx, enum err e, const redisReply *reply)
{
    struct redis_sentinel *s = ctx;
    struct redis_hosts others = {0};
    char name[REDIS_HOST_MAX + 1];
    struct redis_host host;
    if (e != OK || reply->type != REDIS_REPLY_ARRAY)
        return;
    for (size_t i = 0; e == OK && i < reply->elements; i++)
        if (read_host(field(reply->element[i], "ip"), field(reply->element[i], "port"), name,
                      &host))
            e = redis_hosts_add(&others, span_of(host.name), host.port);
    redis_inquiry_learn(s->inquiry, &others);
    redis_hosts_free(&others);
}

static void on_subscribed(void *ctx, enum err e, const redisReply *reply)
{
    (void)ctx, (void)e, (void)reply; // not being told of changes only makes them slower
}

// Without a connection that listens one would learn of a change all the same, by losing the
// primary; so failures do not matter here.
static void listen_to(struct redis_sentinel *s)
{
    struct redis_conn *c = redis_inquiry_conn(s->inquiry);
    struct span others[] = {SPAN("SENTINEL"), SPAN("sentinels"), s->question[2]};
    struct span changes[] = {SPAN("SUBSCRIBE"), SPAN("+switch-master")};
    if (redis_conn_call(c, TIMEOUT, on_others, s, 3, others) == OK)
        (void)!redis_conn_call(c, TIMEOUT, on_subscribed, s, 2, changes);
}

// --- The primary ----------------------------------------------------------------------------

// [host, port], or nil
static enum err on_answer(void *ctx, const redisReply *reply, const struct redis_host *from,
                          struct buf *why)
{
    struct redis_sentinel *s = ctx;
    struct span host, port;
    char name[REDIS_HOST_MAX + 1];
    struct redis_host primary;
    (void)from;
    if (reply->type == REDIS_REPLY_NIL) {
        buf_addf(why, "knows no primary named \"%s\"", s->options.url->primary);
        return ERR_MISSING;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !read_text(reply->element[0], &host) || !read_text(reply->element[1], &port) ||
        !read_host(host, port, name, &primary)) {
        buf_add_str(why, "names no address of the primary");
        return ERR_FORMAT;
    }
    listen_to(s);
    tell_found(s, &primary); // may free us
    return OK;
}

// ["message", "+switch-master", "NAME OLD-HOST OLD-PORT HOST PORT"]
static void on_pushed(void *ctx, enum err e, const redisReply *reply)
{
    struct redis_sentinel *s = ctx;
    struct span text, word[5] = {0};
    char name[REDIS_HOST_MAX + 1];
    struct redis_host primary;
    if (e != OK || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        !read_text(reply->element[2], &text))
        return;
    for (size_t i = 0; i < 5; i++) {
        const char *end = memchr(text.ptr, ' ', text.len);
        size_t n = end ? (size_t)(end - text.ptr) : text.len;
        word[i] = (struct span){text.ptr, n};
        text = (struct span){text.ptr + n + (end != NULL), text.len - n - (end != NULL)};
    }
    if (span_is(word[0], s->options.url->primary) &&
        read_host(word[3], word[4], name, &primary))
        tell_found(s, &primary);
}

static void on_gone(void *ctx)
{
    ask_later(ctx);
}

static void on_failed(void *ctx, enum err e, const char *why)
{
    struct redis_sentinel *s = ctx;
    ask_later(s);
    s->options.failed(s->options.ctx, e, why);
}

static void on_again(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    redis_sentinel_ask(w->data);
}

struct redis_sentinel *redis_sentinel_new(struct ev_loop *loop,
                                          const struct redis_sentinel_options *o)
{
    struct redis_sentinel *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->loop = loop;
    s->options = *o;
    s->question[0] = SPAN("SENTINEL");
    s->question[1] = SPAN("get-master-addr-by-name");
    s->question[2] = span_of(o->url->primary);
    ev_init(&s->again, on_again);
    s->again.data = s;
    s->inquiry =
        redis_inquiry_new(loop, &(struct redis_inquiry_options){.url = o->url,
                                                                .name = o->name,
                                                                .ca_file = o->ca_file,
                                                                .peer = REDIS_PEER_SENTINEL,
                                                                .argc = 3,
                                                                .argv = s->question,
                                                                .answer = on_answer,
                                                                .failed = on_failed,
                                                                .gone = on_gone,
                                                                .pushed = on_pushed,
                                                                .ctx = s});
    if (!s->inquiry) {
        free(s);
        return NULL;
    }
    return s;
}

void redis_sentinel_free(struct redis_sentinel *s)
{
    if (!s)
        return;
    ev_timer_stop(s->loop, &s->again);
    redis_inquiry_free(s->inquiry);
    free(s);
}

void redis_sentinel_ask(struct redis_sentinel *s)
{
    ev_timer_stop(s->loop, &s->again);
    redis_inquiry_ask(s->inquiry);
}

struct redis_conn *redis_sentinel_conn(const struct redis_sentinel *s)
{
    return redis_inquiry_conn(s->inquiry);
}
