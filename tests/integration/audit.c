// audit.c - see audit.h. It reads the keys as broker/README.md describes them, and shares no
// code with the scripts.
#include "audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/event.h"
#include "broker/queue.h"
#include "test.h"

#define P        "genfarm:{q}:"
#define MAX_JOBS 20000
#define MAX_RUN  8

struct batch {
    const char *name;
    long long in, open, ended[4], sealed, events, run;
    bool paused, done;
    unsigned char state[MAX_JOBS]; // 0 open, 1 completed, 2 failed, 3 cancelled
    unsigned short run_of[MAX_JOBS];
    unsigned char places[MAX_JOBS];
    unsigned char terminal[MAX_JOBS][MAX_RUN];
};

static redisReply *list(const struct redis_server *s, const char *fmt, const char *name)
{
    redisReply *r = redis_server_ask(s, fmt, name);
    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    return r;
}

static long long field(const struct redis_server *s, const char *batch, const char *name)
{
    return redis_server_number(s, "HGET " P "b:%s %s", batch, name);
}

// Of the inbox: an id is that of a job, or of what was refused.
static void read_pushed(const struct redis_server *s, const struct batch *b)
{
    long long refused = 0, ids = redis_server_number(s, "HLEN " P "ids:%s", b->name);
    if (redis_server_number(s, "HEXISTS " P "b:%s refused", b->name))
        refused = field(s, b->name, "refused");
    assert_int_equal(ids, b->in + refused);
    if (!b->sealed && redis_server_number(s, "HEXISTS " P "b:%s seal_at", b->name))
        assert_true(field(s, b->name, "seal_at") != b->in &&
                    field(s, b->name, "seal_at") != ids);
}

static void read_counters(const struct redis_server *s, struct batch *b)
{
    b->in = field(s, b->name, "hw");
    b->open = field(s, b->name, "open");
    b->ended[1] = field(s, b->name, "completed");
    b->ended[2] = field(s, b->name, "failed");
    b->ended[3] = field(s, b->name, "cancelled");
    b->sealed = field(s, b->name, "sealed");
    b->events = field(s, b->name, "ev");
    b->run = field(s, b->name, "run");
    b->paused = redis_server_number(s, "HEXISTS " P "b:%s paused", b->name);
    b->done = redis_server_number(s, "HEXISTS " P "b:%s done_at", b->name);
    assert_true(b->in <= MAX_JOBS && b->run < MAX_RUN);
    assert_int_equal(b->open + b->ended[1] + b->ended[2] + b->ended[3], b->in);
    assert_true(!b->done || (b->open == 0 && b->sealed == 1));
    assert_true(b->done || b->open > 0 || b->sealed == 0);
    assert_int_equal(redis_server_number(s, "HLEN " P "in:%s", b->name), b->in);
    if (b->sealed)
        assert_int_equal(field(s, b->name, "total"), b->in);
    if (redis_server_number(s, "HEXISTS " P "b:%s inbox", b->name))
        read_pushed(s, b);
}

static void read_states(const struct redis_server *s, struct batch *b)
{
    long long counted[4] = {0};
    redisReply *bits = redis_server_ask(s, "GET " P "st:%s", b->name);
    size_t n = bits->type == REDIS_REPLY_STRING ? (size_t)bits->len : 0;
    for (size_t i = 0; i < 4 * n; i++) {
        unsigned state = (unsigned char)bits->str[i / 4] >> (6 - 2 * (i % 4)) & 3;
        assert_true(state == 0 || i < (size_t)b->in);
        if (i < (size_t)b->in)
            b->state[i] = (unsigned char)state;
    }
    for (long long i = 0; i < b->in; i++)
        counted[b->state[i]]++;
    for (int i = 1; i < 4; i++)
        assert_int_equal(counted[i], b->ended[i]);
    freeReplyObject(bits);
}

static void read_runs(const struct redis_server *s, struct batch *b)
{
    for (long long i = 0; i < b->in; i++)
        b->run_of[i] = 1;
    redisReply *r = list(s, "HGETALL " P "rn:%s", b->name);
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        long index = atol(r->element[i]->str);
        assert_true(index < b->in);
        b->run_of[index] = (unsigned short)atoi(r->element[i + 1]->str);
        assert_true(b->run_of[index] >= 2 && b->run_of[index] <= b->run);
    }
    freeReplyObject(r);
}

static void read_one_event(struct batch *b, const redisReply *entry, size_t number)
{
    char id[32];
    struct event e;
    const redisReply *bytes = entry->element[1]->element[1];
    snprintf(id, sizeof id, "%zu-0", number);
    assert_string_equal(entry->element[0]->str, id);
    assert_int_equal(event_decode(&e, (struct span){bytes->str, (size_t)bytes->len}), OK);
    if (!event_terminal(e.type))
        return;
    assert_true(e.index < (size_t)b->in && e.run >= 1 && e.run < MAX_RUN);
    assert_int_equal(b->terminal[e.index][e.run]++, 0);
}

static void read_events(const struct redis_server *s, struct batch *b)
{
    redisReply *r = list(s, "XRANGE " P "ev:%s - +", b->name);
    assert_int_equal(r->elements, b->events);
    for (size_t i = 0; i < r->elements; i++)
        read_one_event(b, r->element[i], i + 1);
    for (long long i = 0; i < b->in; i++) // an ended job has told so in the run it ended in
        assert_int_equal(b->terminal[i][b->run_of[i]], b->state[i] != 0);
    freeReplyObject(r);
}

// A ticket found somewhere; those of jobs that are over, or of earlier runs, do not count.
static void place(struct batch *b, const char *bytes)
{
    struct ticket t = ticket_read(bytes);
    assert_true(t.index < b->in);
    if (b->state[t.index] == 0 && t.run == b->run_of[t.index])
        b->places[t.index]++;
}

static bool of_batch(const struct batch *b, const char *name, size_t len)
{
    size_t n = strlen(b->name); // ...MODEL/BATCH
    return len > n && name[len - n - 1] == '/' && memcmp(name + len - n, b->name, n) == 0;
}

static void read_ready(const struct redis_server *s, struct batch *b)
{
    redisReply *lists = list(s, "SMEMBERS " P "ls:%s", b->name);
    for (size_t i = 0; i < lists->elements; i++) {
        redisReply *r = list(s, "LRANGE " P "r:%s 0 -1", lists->element[i]->str);
        for (size_t k = 0; k < r->elements; k++)
            place(b, r->element[k]->str);
        freeReplyObject(r);
    }
    freeReplyObject(lists);
}

static void read_delayed(const struct redis_server *s, struct batch *b)
{
    redisReply *r = list(s, "ZRANGE " P "d:%s 0 -1", b->name);
    for (size_t k = 0; k < r->elements; k++)
        place(b, r->element[k]->str);
    if (r->elements > 0)
        assert_int_equal(redis_server_number(s, "EXISTS " P "delayed"), 1);
    freeReplyObject(r);
}

static void read_active(const struct redis_server *s, struct batch *b, const char *pattern)
{
    redisReply *keys = list(s, "KEYS %s", pattern);
    for (size_t i = 0; i < keys->elements; i++) {
        redisReply *r = list(s, "HGETALL %s", keys->element[i]->str);
        for (size_t k = 1; k < r->elements; k += 2) {
            const redisReply *v = r->element[k];
            if (v->str[0] != 'i' && of_batch(b, v->str + 11, (size_t)v->len - 11))
                place(b, v->str + 1);
        }
        freeReplyObject(r);
    }
    freeReplyObject(keys);
}

static void audit_batch(const struct redis_server *s, struct batch *b)
{
    read_counters(s, b);
    read_states(s, b);
    read_runs(s, b);
    read_events(s, b);
    read_ready(s, b);
    read_delayed(s, b);
    read_active(s, b, P "a:*");
    read_active(s, b, P "x:*");
    for (long long i = 0; i < b->in; i++)
        if (b->places[i] != (b->state[i] == 0))
            fail_msg("batch %s, job %lld: state %d, in %d places", b->name, i, b->state[i],
                     b->places[i]);
}

// Of one ready list: its ring is there if and only if it may be claimed. Returns its length
// when it counts as ready.
static long long audit_list(const struct redis_server *s, const char *name)
{
    char ring[256], user[128];
    const char *batch = strrchr(name, '/') + 1;
    redisReply *r = redis_server_ask(s, "HGET " P "b:%s user", batch);
    assert_int_equal(r->type, REDIS_REPLY_STRING); // no list without its batch
    snprintf(user, sizeof user, "%s", r->str);
    freeReplyObject(r);
    snprintf(ring, sizeof ring, "%.*s", (int)(batch - name - 1), name);
    long long n = redis_server_number(s, "LLEN " P "r:%s", name);
    bool paused = redis_server_number(s, "HEXISTS " P "b:%s paused", batch);
    r = redis_server_ask(s, "LPOS " P "ur:%s/%s %s COUNT 0", ring, user, batch);
    assert_int_equal(r->elements, n > 0 && !paused);
    freeReplyObject(r);
    r = redis_server_ask(s, "LPOS " P "ring:%s %s COUNT 0", ring, user);
    assert_true(paused || r->elements == 1);
    freeReplyObject(r);
    return paused ? 0 : n;
}

static void audit_lists(const struct redis_server *s)
{
    long long counted = 0, told = 0;
    redisReply *keys = list(s, "KEYS %s", P "r:*");
    for (size_t i = 0; i < keys->elements; i++)
        counted += audit_list(s, keys->element[i]->str + strlen(P "r:"));
    freeReplyObject(keys);
    redisReply *ready = list(s, "HVALS %s", P "ready");
    for (size_t i = 0; i < ready->elements; i++)
        told += atoll(ready->element[i]->str);
    freeReplyObject(ready);
    assert_int_equal(told, counted);
}

static long long input_bytes(const struct redis_server *s, const char *batch)
{
    return redis_server_number(
        s, "EVAL %s 1 " P "in:%s",
        "local n = 0 for _, v in ipairs(redis.call('HVALS', KEYS[1])) do "
        "n = n + #v end return n",
        batch);
}

void audit(const struct redis_server *s)
{
    long long live = 0, bytes = 0;
    redisReply *names = list(s, "ZRANGE %s 0 -1", P "batches");
    for (size_t i = 0; i < names->elements; i++) {
        struct batch *b = calloc(1, sizeof *b);
        b->name = names->element[i]->str;
        if (redis_server_number(s, "EXISTS " P "b:%s", b->name)) {
            audit_batch(s, b);
            live += b->open;
            bytes += b->done ? 0 : input_bytes(s, b->name);
        }
        free(b);
    }
    freeReplyObject(names);
    assert_int_equal(redis_server_number(s, "LLEN " P "live"), live);
    assert_int_equal(redis_server_number(s, "EVAL %s 1 " P "queued",
                                         "return tonumber(redis.call('GET', KEYS[1]) or 0)"),
                     bytes);
    audit_lists(s);
}
