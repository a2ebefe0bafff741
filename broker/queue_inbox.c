// queue_inbox.c - what producers in other languages push: taken under a lease, checked, placed.
#include <stdlib.h>

#include "broker/pushed.h"
#include "broker/queue_call.h"
#include "common/digest.h"

#define KEEP     (7 * 24 * 3600) // seconds that a batch of the inbox is kept after its end
#define MAX_DEAD (1u << 20)      // bytes that are kept of what can be no job
#define MAX_MS   INT64_C(253402300799999) // the end of the year 9999

// --- Taking ---------------------------------------------------------------------------------

static enum err read_items(const redisReply *r, struct queue_item *items, size_t *n)
{
    static const struct reply_outcome codes[] = {{1, OK}, {-1, ERR_LOST}};
    int64_t now;
    enum err e = reply_outcome(r, codes, sizeof codes / sizeof *codes, &now);
    if (e == OK && (now <= 0 || now > MAX_MS))
        e = ERR_FORMAT;
    if (e != OK)
        return e;
    for (size_t i = 2; i + 1 < reply_count(r); i += 2) {
        struct span field;
        struct queue_field f;
        if (!reply_str(reply_at(r, i), &field) || reply_field(field, &f) != OK ||
            !reply_str(reply_at(r, i + 1), &items[*n].bytes))
            return ERR_FORMAT;
        items[*n].seq = f.seq;
        items[*n].slot = f.slot;
        items[*n].taken_ms = now;
        *n += 1;
    }
    return OK;
}

static void read_taken(const struct queue_call *c, enum err e, const redisReply *r)
{
    size_t n = 0;
    struct queue_item *items = calloc(reply_count(r) / 2 + 1, sizeof *items);
    if (e == OK)
        e = items ? read_items(r, items, &n) : ERR_NOMEM;
    c->done.inbox(c->ctx, e, items, e == OK ? n : 0);
    free(items);
}

enum err queue_inbox_take(struct queue *q, struct span inc, uint64_t seq, unsigned most,
                          queue_inbox_done *done, void *ctx)
{
    struct args *a = script_args(q, 3, 2 * ARGS_INT);
    args_add(a, inc);
    args_uint(a, seq);
    args_uint(a, most < 1 ? 1 : most > 500 ? 500 : most);
    return call_script(
        q, SCRIPT_INBOX_TAKE, a,
        &(struct queue_call){.read = read_taken, .done.inbox = done, .ctx = ctx});
}

// --- Placing --------------------------------------------------------------------------------

static void add_digest(struct args *a, struct span map)
{
    uint32_t digest = digest_32(map);
    char *at = args_bytes(a, 4);
    for (int i = 0; at && i < 4; i++)
        at[i] = (char)(digest >> (24 - 8 * i));
}

// The arguments of the script after incarnation and field.
static void add_pushed(struct args *a, const struct pushed *p, struct span bytes)
{
    static const char *const kinds[] = {[PUSHED_JOB] = "job",
                                        [PUSHED_END] = "end",
                                        [PUSHED_DEAD] = "dead",
                                        [PUSHED_DEAD_END] = "dead end"};
    char *nonce;
    args_str(a, kinds[p->kind]);
    args_add(a, p->batch);
    args_add(a, p->id);
    args_add(a, p->user);
    if ((nonce = args_bytes(a, 16)))
        random_bytes(nonce, 16);
    args_int(a, KEEP);
    if (p->kind == PUSHED_JOB) {
        args_buf(a, &p->route);
        add_digest(a, buf_span(&p->map));
        args_buf(a, &p->map);
    } else if (p->kind == PUSHED_END) {
        args_int(a, p->total);
    } else {
        args_buf(a, &p->why);
        args_add(a, (struct span){bytes.ptr, bytes.len < MAX_DEAD ? bytes.len : MAX_DEAD});
        args_uint(a, bytes.len);
    }
}

// The value is 1 placed, 2 a repeat (as of a call sent twice), 0 a dead letter.
static void read_placed(const struct queue_call *c, enum err e, const redisReply *r)
{
    static const struct reply_outcome codes[] = {
        {1, OK}, {2, OK}, {0, OK}, {-2, OK}, {-1, ERR_LOST}};
    int64_t code = 0, none;
    if (e == OK)
        e = reply_outcome(r, codes, sizeof codes / sizeof *codes, &none);
    if (e == OK && !reply_int(reply_at(r, 0), &code))
        e = ERR_FORMAT;
    c->done.value(c->ctx, e, e != OK ? 0 : code == 1 ? (int64_t)c->n : code == -2 ? 0 : 2);
}

enum err queue_inbox_put(struct queue *q, struct span inc, const struct queue_item *item,
                         const struct catalogue *c, queue_done *done, void *ctx)
{
    struct pushed p;
    enum err e = pushed_read(&p, item->bytes, item->taken_ms, c);
    if (e == OK) {
        const struct queue_field field = {item->seq, item->slot};
        struct args *a = script_args(q, 11, 4 * ARGS_INT + 4 + 16);
        args_add(a, inc);
        args_field(a, &field);
        add_pushed(a, &p, item->bytes);
        bool dead = p.kind == PUSHED_DEAD || p.kind == PUSHED_DEAD_END;
        e = call_script(q, SCRIPT_INBOX_PUT, a,
                        &(struct queue_call){
                            .read = read_placed, .done.value = done, .ctx = ctx, .n = !dead});
    }
    pushed_free(&p);
    return e;
}
