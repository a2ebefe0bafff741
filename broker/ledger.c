// ledger.c - see ledger.h.
#include "broker/ledger.h"

#include <stdlib.h>

#include "broker/queue_call.h"
#include "common/mp.h"

#define VERSION 1
#define FIGURES 25
#define HEAD    (1 + 8 + FIGURES)
#define PARTS   17

enum kind { TEXT, NUMBER, BYTES };

static const struct part {
    enum kind kind;
    size_t offset;
} parts[PARTS] = {
#define P(kind, member)                            \
    {                                              \
        kind, offsetof(struct ledger_call, member) \
    }
    // clang-format off
    P(TEXT, outcome),
    P(TEXT, user),
    P(TEXT, batch),
    P(TEXT, id),
    P(NUMBER, index),
    P(NUMBER, run),
    P(NUMBER, attempt),
    P(TEXT, provider),
    P(TEXT, project),
    P(TEXT, model),
    P(TEXT, lane),
    P(TEXT, operation),
    P(TEXT, endpoint),
    P(NUMBER, latency_ms),
    P(NUMBER, bytes_sent),
    P(NUMBER, bytes_received),
    P(BYTES, call_id),
// clang-format on
#undef P
};

void ledger_detail(struct buf *out, const struct ledger_call *c)
{
    msgpack_packer pk;
    mp_packer(&pk, out);
    msgpack_pack_array(&pk, PARTS);
    for (size_t i = 0; i < PARTS; i++) {
        const void *at = (const char *)c + parts[i].offset;
        const struct span *s = at;
        if (parts[i].kind == NUMBER)
            msgpack_pack_int64(&pk, *(const int64_t *)at);
        else if (parts[i].kind == TEXT)
            mp_pack_span(&pk, *s);
        else
            msgpack_pack_bin_with_body(&pk, s->ptr, s->len);
    }
}

static uint64_t get_be(const char **p, unsigned bytes)
{
    uint64_t v = 0;
    while (bytes-- > 0)
        v = v << 8 | (unsigned char)*(*p)++;
    return v;
}

// In the order in which queue_settle() packs them.
static void read_head(struct ledger_call *c, const char *p)
{
    struct queue_figures *f = &c->figures;
    c->ts_ms = (int64_t)get_be(&p, 8);
    f->cost_micro = (int64_t)get_be(&p, 8);
    f->input_tokens = (uint32_t)get_be(&p, 4);
    f->output_tokens = (uint32_t)get_be(&p, 4);
    f->bytes = (uint32_t)get_be(&p, 4);
    f->images = (uint16_t)get_be(&p, 2);
    f->unknown = (uint8_t)get_be(&p, 1);
    f->retries = (uint8_t)get_be(&p, 1);
    f->calls = (uint8_t)get_be(&p, 1);
}

static enum err read_part(struct mp *m, const struct part *part, void *at)
{
    if (part->kind == NUMBER)
        return mp_int(m, at);
    return mp_peek(m) == MP_BIN ? mp_bin(m, at) : mp_str(m, at); // Lua packs bytes as str
}

enum err ledger_read(struct ledger_call *c, struct span entry)
{
    uint32_t n;
    *c = (struct ledger_call){0};
    if (entry.len <= HEAD || entry.ptr[0] != VERSION)
        return ERR_FORMAT;
    read_head(c, entry.ptr + 1);
    struct mp m = {{entry.ptr + HEAD, entry.len - HEAD}};
    if (c->ts_ms < 0 || mp_array(&m, &n) != OK || n != PARTS)
        return ERR_FORMAT;
    for (size_t i = 0; i < PARTS; i++)
        if (read_part(&m, &parts[i], (char *)c + parts[i].offset) != OK)
            return ERR_FORMAT;
    return m.left.len == 0 ? OK : ERR_FORMAT;
}

// --- Reading it from the queue --------------------------------------------------------------

static void read_page(const struct queue_call *c, enum err e, const redisReply *r)
{
    struct ledger_page p = {0};
    const redisReply *all = reply_at(r, 3);
    struct span *entries = calloc(reply_count(all) + 1, sizeof *entries);
    if (e == OK && !entries)
        e = ERR_NOMEM;
    if (e == OK && (!reply_int(reply_at(r, 1), &p.first) ||
                    !reply_int(reply_at(r, 2), &p.lost) || reply_count(all) > c->n))
        e = ERR_FORMAT;
    for (size_t i = 0; e == OK && i < reply_count(all); i++)
        if (!reply_str(reply_at(all, i), &entries[p.n++]))
            e = ERR_FORMAT;
    p.entries = entries;
    c->done.ledger(c->ctx, e, e == OK ? &p : NULL);
    free(entries);
}

enum err queue_calls(struct queue *q, int64_t day, int64_t from, unsigned most,
                     ledger_done *done, void *ctx)
{
    if (most < 1 || most > QUEUE_MAX_JOBS || from < 0)
        return ERR_RANGE;
    struct args *a = script_args(q, 3, 3 * ARGS_INT);
    args_int(a, day);
    args_int(a, from);
    args_uint(a, most);
    return call_script(
        q, SCRIPT_CALLS, a,
        &(struct queue_call){.read = read_page, .done.ledger = done, .ctx = ctx, .n = most});
}
