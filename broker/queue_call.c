// queue_call.c - arguments and answers of calls to the queue.
#include "broker/queue_call.h"

#include <stdlib.h>
#include <string.h>

struct args *args_new(size_t max, size_t texts)
{
    struct args *a = malloc(sizeof *a + max * sizeof *a->v + texts);
    if (!a)
        return NULL;
    *a = (struct args){.max = max, .room = texts};
    a->text = (char *)&a->v[max];
    return a;
}

static void fail(struct args *a, enum err e)
{
    if (a->err == OK)
        a->err = e;
}

void args_add(struct args *a, struct span s)
{
    if (a && a->n == a->max)
        fail(a, ERR_TOOBIG);
    else if (a)
        a->v[a->n++] = s.ptr ? s : (struct span){"", 0};
}

void args_buf(struct args *a, const struct buf *b)
{
    if (a && b->err)
        fail(a, b->err);
    args_add(a, buf_span(b));
}

void args_str(struct args *a, const char *s)
{
    args_add(a, span_of(s));
}

char *args_bytes(struct args *a, size_t n)
{
    if (!a || a->room - a->used < n || a->n == a->max) {
        if (a)
            fail(a, ERR_TOOBIG);
        return NULL;
    }
    char *at = a->text + a->used;
    a->used += n;
    a->v[a->n++] = (struct span){at, n};
    return at;
}

// Writes v's digits at the end of `end`; returns where they begin.
static char *digits(char *end, uint64_t v)
{
    do {
        *--end = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return end;
}

static void add_text(struct args *a, const char *from, size_t n)
{
    char *at = args_bytes(a, n);
    if (at)
        memcpy(at, from, n);
}

void args_uint(struct args *a, uint64_t v)
{
    char text[ARGS_INT], *end = text + sizeof text, *from = digits(end, v);
    add_text(a, from, (size_t)(end - from));
}

void args_int(struct args *a, int64_t v)
{
    char text[ARGS_INT], *end = text + sizeof text;
    char *from = digits(end, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    if (v < 0)
        *--from = '-';
    add_text(a, from, (size_t)(end - from));
}

void args_field(struct args *a, const struct queue_field *f)
{
    char text[2 * ARGS_INT], *end = text + sizeof text, *from = digits(end, f->slot);
    *--from = ':';
    from = digits(from, f->seq);
    add_text(a, from, (size_t)(end - from));
}

struct args *args_of_key(struct queue *q, struct buf *key, const char *command,
                         const char *kind, struct span rest, size_t max, size_t texts)
{
    struct args *a = args_new(max + 2, texts);
    *key = (struct buf){.max = ARGS_KEY};
    queue_key(q, key, kind, rest);
    args_str(a, command);
    args_buf(a, key);
    return a;
}

struct span *call_strings(const redisReply *r, bool holes, enum err *e)
{
    size_t n = reply_count(r);
    struct span *out = calloc(n + 1, sizeof *out);
    if (!out)
        *e = ERR_NOMEM;
    else if (!r || r->type != REDIS_REPLY_ARRAY)
        *e = ERR_FORMAT;
    for (size_t i = 0; *e == OK && i < n; i++) {
        const redisReply *s = reply_at(r, i);
        if (!reply_str(s, &out[i]) && !(holes && reply_nil(s)))
            *e = ERR_FORMAT;
    }
    return out;
}

void call_read_names(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct span *names = e == OK ? call_strings(r, false, &e) : NULL;
    c->done.names(c->ctx, e, names, e == OK ? reply_count(r) : 0);
    free(names);
}

void call_read_value(const struct queue_call *c, enum err e, const redisReply *r)
{
    int64_t value = 0;
    if (e == OK)
        e = reply_outcome(r, c->table, c->n_table, &value);
    c->done.value(c->ctx, e, value);
}

static const struct reply_outcome marks_codes[] = {{1, OK}, {-1, ERR_LOST}};

void call_read_marks(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct span marks = {0};
    int64_t none;
    if (e == OK)
        e = reply_outcome(r, marks_codes, 2, &none);
    if (e == OK && (!reply_str(reply_at(r, 1), &marks) || marks.len != c->n))
        e = ERR_FORMAT;
    c->done.marks(c->ctx, e, e == OK ? marks : (struct span){0});
}

// An answer that carries an error is told as that error; what is in it stays in the log of the
// connection.
static void answered(void *ctx, enum err e, const redisReply *r)
{
    struct queue_call *c = ctx;
    c->read(c, e, e == OK ? r : NULL);
    free(c);
}

static struct queue_call *copy_of(const struct queue_call *c, const struct args *a)
{
    struct queue_call *copy = a && a->err == OK ? malloc(sizeof *copy) : NULL;
    if (copy)
        *copy = *c;
    return copy;
}

static enum err finish(enum err e, struct queue_call *copy, struct args *a)
{
    if (e != OK)
        free(copy);
    free(a);
    return e;
}

// --- Scripts --------------------------------------------------------------------------------

#define SCRIPT_LIST(X)               \
    X(SCRIPT_CREATE, create)         \
    X(SCRIPT_CHUNK, chunk)           \
    X(SCRIPT_SEAL, seal)             \
    X(SCRIPT_REGISTER, register)     \
    X(SCRIPT_LEAVE, leave)           \
    X(SCRIPT_CLAIM, claim)           \
    X(SCRIPT_LEAD, lead)             \
    X(SCRIPT_SENT, sent)             \
    X(SCRIPT_SETTLE, settle)         \
    X(SCRIPT_RENEW, renew)           \
    X(SCRIPT_TICK, tick)             \
    X(SCRIPT_INBOX_TAKE, inbox_take) \
    X(SCRIPT_INBOX_PUT, inbox_put)   \
    X(SCRIPT_CANCEL, cancel)         \
    X(SCRIPT_RETRY, retry)           \
    X(SCRIPT_PAUSE, pause)           \
    X(SCRIPT_WORKERS, workers)       \
    X(SCRIPT_BLOB_PUSH, blob_push)   \
    X(SCRIPT_BLOB, blob)             \
    X(SCRIPT_BLOB_DROP, blob_drop)   \
    X(SCRIPT_BLOB_COPY, blob_copy)   \
    X(SCRIPT_BLOB_TRIM, blob_trim)   \
    X(SCRIPT_ORPHAN, orphan)         \
    X(SCRIPT_TELL, tell)             \
    X(SCRIPT_MINE, mine)             \
    X(SCRIPT_HANDBACK, handback)     \
    X(SCRIPT_FSCK, fsck)             \
    X(SCRIPT_TICKETS, tickets)       \
    X(SCRIPT_MEND, mend)             \
    X(SCRIPT_BUDGET, budget)         \
    X(SCRIPT_DEAD, dead)             \
    X(SCRIPT_DEAD_DROP, dead_drop)   \
    X(SCRIPT_OP_BEGIN, op_begin)     \
    X(SCRIPT_OP_TAKE, op_take)       \
    X(SCRIPT_OP_NOTE, op_note)       \
    X(SCRIPT_OP_END, op_end)         \
    X(SCRIPT_OP_LIST, op_list)       \
    X(SCRIPT_CALLS, calls)           \
    X(SCRIPT_HELD, held)             \
    X(SCRIPT_TALLY, tally)           \
    X(SCRIPT_VOID, void)

#define X(id, name)                          \
    extern const unsigned char lua_##name[]; \
    extern const size_t lua_##name##_len;
SCRIPT_LIST(X)
#undef X

// The digests are filled in by the connection at first use; the sources are not constant
// expressions, and so must be, too.
static struct redis_script *script(enum queue_script s)
{
    static _Thread_local struct redis_script scripts[SCRIPTS];
    static const struct {
        const char *name;
        const unsigned char *source;
        const size_t *len;
    } table[] = {
#define X(id, name) [id] = {#name, lua_##name, &lua_##name##_len},
        SCRIPT_LIST(X)
#undef X
    };
    struct redis_script *it = &scripts[s];
    if (!it->name) {
        it->source = (struct span){(const char *)table[s].source, *table[s].len};
        it->name = table[s].name;
    }
    return it;
}

enum err call_script(struct queue *q, enum queue_script s, struct args *a,
                     const struct queue_call *c)
{
    struct queue_call *copy = copy_of(c, a);
    if (!copy) {
        enum err e = a && a->err ? a->err : ERR_NOMEM;
        free(a);
        return e;
    }
    return finish(
        redis_eval(queue_redis(q), queue_timeout(q), answered, copy, script(s), 2, a->n, a->v),
        copy, a);
}

enum err call_command(struct queue *q, double timeout, struct args *a,
                      const struct queue_call *c)
{
    struct queue_call *copy = copy_of(c, a);
    if (!copy) {
        enum err e = a && a->err ? a->err : ERR_NOMEM;
        free(a);
        return e;
    }
    return finish(redis_call(queue_redis(q), timeout, answered, copy, a->n, a->v), copy, a);
}
