// queue_dead.c - see dead.h.
#include "broker/dead.h"

#include <stdlib.h>
#include <string.h>

#include "broker/queue_call.h"
#include "common/mp.h"

// --- One letter -----------------------------------------------------------------------------

static const struct member {
    const char *name;
    enum { TEXT, NUMBER, SIZE, NAME, CODE } kind;
    size_t offset;
} members[] = {
#define M(name, kind, member)                            \
    {                                                    \
        name, kind, offsetof(struct dead_letter, member) \
    }
    M("batch", NAME, batch), M("id", TEXT, id),         M("message", TEXT, message),
    M("code", CODE, code),   M("index", NUMBER, index), M("ts", NUMBER, ts_ms),
    M("size", SIZE, size),
#undef M
};

static enum err read_member(struct mp *m, const struct member *member, struct dead_letter *l)
{
    void *to = (char *)l + member->offset;
    struct span text = {0};
    int64_t number = 0;
    bool is_number = member->kind == NUMBER || member->kind == SIZE;
    enum err e = is_number ? mp_int(m, &number) : mp_str(m, &text);
    if (e != OK)
        return e;
    switch (member->kind) {
    case NUMBER: *(int64_t *)to = number; return OK;
    case SIZE: *(uint64_t *)to = (uint64_t)number; return number < 0 ? ERR_FORMAT : OK;
    case CODE: return code_parse(text, to);
    case NAME:
        if (text.len && !job_name_ok(text))
            return ERR_FORMAT;
        break;
    case TEXT: break;
    }
    *(struct span *)to = text;
    return OK;
}

static enum err read_pair(struct mp *m, struct dead_letter *l)
{
    struct span name;
    enum err e = mp_str(m, &name);
    for (size_t i = 0; e == OK && i < sizeof members / sizeof *members; i++)
        if (span_is(name, members[i].name))
            return read_member(m, &members[i], l);
    return e == OK ? mp_skip(m) : e;
}

// What was pushed may be cut short, by what was asked for: then its head tells where it begins.
static void read_pushed(struct mp *m, struct dead_letter *l)
{
    static const struct {
        unsigned char low, high; // of the first byte
        size_t head;
    } strings[] = {{0xa0, 0xbf, 1}, {0xd9, 0xd9, 2}, {0xda, 0xda, 3}, {0xdb, 0xdb, 5}};
    unsigned char first = m->left.len ? (unsigned char)m->left.ptr[0] : 0;
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        if (first >= strings[i].low && first <= strings[i].high &&
            m->left.len > strings[i].head)
            l->pushed =
                (struct span){m->left.ptr + strings[i].head, m->left.len - strings[i].head};
}

static bool read_letter(struct span bytes, struct dead_letter *l)
{
    struct mp m = {bytes};
    uint32_t pairs = 0;
    enum err e = mp_map(&m, &pairs);
    for (uint32_t i = 0; e == OK && i < pairs; i++)
        e = read_pair(&m, l);
    if (e != OK || l->index < -1 || l->index > (int64_t)QUEUE_MAX_INDEX ||
        (l->index >= 0 && !l->batch.len))
        return false;
    read_pushed(&m, l);
    return true;
}

void dead_read(struct span bytes, struct dead_letter *l)
{
    const struct dead_letter bare = {
        .at = l->at, .sha = l->sha, .bytes = l->bytes, .code = CODE_BAD_REQUEST, .index = -1};
    *l = bare;
    if (read_letter(bytes, l))
        l->readable = true;
    else
        *l = bare;
}

// --- Looking --------------------------------------------------------------------------------

static const struct reply_outcome codes[] = {{1, OK}};

// {position, SHA-1, size, bytes, ...}
static enum err read_letters(const redisReply *r, struct dead_letter *letters, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct dead_letter *l = &letters[i];
        int64_t at, size;
        struct span bytes;
        if (!reply_int(reply_at(r, 4 * i), &at) || at < 0 || at > UINT32_MAX ||
            !reply_str(reply_at(r, 4 * i + 1), &l->sha) || l->sha.len != DEAD_SHA ||
            !reply_int(reply_at(r, 4 * i + 2), &size) || size < 0 ||
            !reply_str(reply_at(r, 4 * i + 3), &bytes))
            return ERR_FORMAT;
        l->at = (uint32_t)at;
        l->bytes = (uint64_t)size;
        dead_read(bytes, l);
    }
    return OK;
}

static void read_page(const struct queue_call *c, enum err e, const redisReply *r)
{
    int64_t next = 0;
    struct dead_page page = {0};
    const redisReply *list = reply_at(r, 3);
    struct dead_letter *letters = calloc(reply_count(list) / 4 + 1, sizeof *letters);
    if (e == OK)
        e = letters ? reply_outcome(r, codes, 1, &next) : ERR_NOMEM;
    if (e == OK && (next < 0 || next > UINT32_MAX || !reply_int(reply_at(r, 2), &page.total) ||
                    !list || reply_count(list) % 4))
        e = ERR_FORMAT;
    page.letters = letters;
    page.n = reply_count(list) / 4;
    page.next = (uint32_t)next;
    if (e == OK)
        e = read_letters(list, letters, page.n);
    c->done.dead(c->ctx, e, e == OK ? &page : NULL);
    free(letters);
}

enum err dead_look(struct queue *q, uint32_t from, unsigned most, size_t shown, dead_done *done,
                   void *ctx)
{
    struct args *a = script_args(q, 3, 3 * ARGS_INT);
    args_uint(a, from);
    args_uint(a, most < 1 ? 1 : most);
    args_uint(a, shown);
    return call_script(q, SCRIPT_DEAD, a,
                       &(struct queue_call){.read = read_page, .done.dead = done, .ctx = ctx});
}

enum err dead_drop(struct queue *q, size_t n, const struct dead_place *places,
                   queue_marks_done *done, void *ctx)
{
    if (n < 1 || n > DEAD_MAX_DROP)
        return ERR_RANGE;
    struct args *a = script_args(q, 2 * n, n * ARGS_INT);
    for (size_t i = 0; i < n; i++) {
        args_uint(a, places[i].at);
        args_str(a, places[i].sha);
    }
    return call_script(
        q, SCRIPT_DEAD_DROP, a,
        &(struct queue_call){.read = call_read_marks, .done.marks = done, .ctx = ctx, .n = n});
}
