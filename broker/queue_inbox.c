// queue_inbox.c - what producers in other languages push: taken under a lease, checked, placed.
#include <stdlib.h>

#include "broker/catalogue.h"
#include "broker/queue_call.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/mp.h"

#define KEEP     (7 * 24 * 3600) // seconds that a batch of the inbox is kept after its end
#define MAX_DEAD (1u << 20)      // bytes that are kept of what can be no job

// --- Taking ---------------------------------------------------------------------------------

static enum err read_items(const redisReply *r, struct queue_item *items, size_t *n)
{
    int64_t code;
    if (!reply_int(reply_at(r, 0), &code))
        return ERR_FORMAT;
    if (code == -1)
        return ERR_LOST;
    for (size_t i = 1; code == 1 && i + 1 < reply_count(r); i += 2) {
        struct span field;
        struct queue_field f;
        if (!reply_str(reply_at(r, i), &field) || reply_field(field, &f) != OK ||
            !reply_str(reply_at(r, i + 1), &items[*n].bytes))
            return ERR_FORMAT;
        items[*n].seq = f.seq;
        items[*n].slot = f.slot;
        *n += 1;
    }
    return code == 1 ? OK : ERR_FORMAT;
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

struct end { // of a batch: {batch, seal: true, total: N}
    struct span batch;
    bool seal;
    int64_t total;
};

// Reads what an end of batch has; what else is in the map is not looked at. False: no such map.
static bool read_end(struct span bytes, struct end *out)
{
    struct mp p = {bytes};
    uint32_t pairs;
    *out = (struct end){.total = -1};
    if (mp_map(&p, &pairs) != OK)
        return false;
    for (uint32_t i = 0; i < pairs; i++) {
        struct span key;
        enum err e = mp_str(&p, &key);
        if (e == OK && span_is(key, "seal") && mp_peek(&p) == MP_BOOL)
            e = mp_bool(&p, &out->seal);
        else if (e == OK && span_is(key, "batch") && mp_peek(&p) == MP_STR)
            e = mp_str(&p, &out->batch);
        else if (e == OK && span_is(key, "total") && mp_peek(&p) == MP_INT)
            e = mp_int(&p, &out->total);
        else if (e == OK)
            e = mp_skip(&p);
        if (e != OK)
            return false;
    }
    return out->seal;
}

static const char *end_wrong(const struct end *end)
{
    if (!job_name_ok(end->batch))
        return "\"batch\" must be 1 to 100 of A-Z a-z 0-9 . _ - and not begin with a dot";
    if (end->total < 0 || end->total > QUEUE_MAX_INDEX)
        return "\"total\" must be the number of jobs of the batch";
    return NULL;
}

// What one item comes to: the arguments of the script after incarnation and field.
struct placing {
    const char *kind; // "job", "seal", "dead"
    struct span batch, id;
    struct buf route, map, why, day; // owned
    struct job job;
    int64_t total;
};

static void placing_free(struct placing *p)
{
    buf_free(&p->route);
    buf_free(&p->map);
    buf_free(&p->why);
    buf_free(&p->day);
}

// Jobs without a batch of their own are kept together by day: "inbox-20260125".
static struct span batch_of(struct placing *p)
{
    char now[CLOCK_COMPACT_SIZE];
    if (p->job.batch.len)
        return p->job.batch;
    clock_compact(clock_wall_ms(), now);
    buf_addf(&p->day, "inbox-%.8s", now);
    return buf_span(&p->day);
}

// Aliases become the model's own name, so that limits and prices find it; what the model cannot
// do is refused.
static enum err take_model(struct placing *p, struct job *j, const struct catalogue *c)
{
    const struct model *m = catalogue_find(c, j->model.len ? j->model : catalogue_default(c));
    if (m)
        j->model = model_name(m);
    return m ? model_check(m, j, &p->why) : OK;
}

// As a submitted job would be: complete, without what only the inbox knows, in the canonical
// encoding; what else the producer wrote is kept as `extra`.
static enum err make_job(struct placing *p, struct span bytes, const struct catalogue *c)
{
    struct buf extra = {.max = JOB_MAX_BYTES};
    enum err e = job_decode(&p->job, bytes, &p->why);
    if (e == OK)
        e = job_extra(&extra, &p->job, bytes);
    if (e == OK) {
        struct job j = p->job;
        p->kind = "job";
        p->batch = batch_of(p);
        p->id = j.id;
        j.batch = j.user = (struct span){0};
        j.extra = buf_span(&extra);
        if ((e = take_model(p, &j, c)) == OK) {
            queue_route(&p->route, &j);
            job_encode(&p->map, &j);
            e = extra.err ? extra.err : p->map.err ? p->map.err : p->route.err;
            if (e == OK)
                e = p->day.err;
        }
    }
    if (e != OK && e != ERR_NOMEM && !p->why.len)
        buf_add_str(&p->why, err_text(e));
    buf_free(&extra);
    return e;
}

static enum err make_placing(struct placing *p, struct span bytes, const struct catalogue *c)
{
    struct end end;
    if (read_end(bytes, &end)) {
        const char *wrong = end_wrong(&end);
        p->kind = wrong ? "dead" : "seal";
        p->batch = wrong ? SPAN("") : end.batch;
        p->total = end.total;
        buf_add_str(&p->why, wrong ? wrong : "");
        return OK;
    }
    enum err e = make_job(p, bytes, c);
    if (e != OK && e != ERR_NOMEM) {
        p->kind = "dead";
        p->batch = job_name_ok(p->job.batch) ? p->job.batch : SPAN("");
        e = OK;
    }
    return e;
}

static void add_digest(struct args *a, struct span map)
{
    uint32_t digest = digest_32(map);
    char *at = args_bytes(a, 4);
    for (int i = 0; at && i < 4; i++)
        at[i] = (char)(digest >> (24 - 8 * i));
}

static void add_placing(struct args *a, const struct placing *p, struct span bytes)
{
    char *nonce;
    args_str(a, p->kind);
    args_add(a, p->batch);
    if (span_is(span_of(p->kind), "dead")) {
        args_buf(a, &p->why);
        args_add(a, (struct span){bytes.ptr, bytes.len < MAX_DEAD ? bytes.len : MAX_DEAD});
        args_uint(a, bytes.len);
        return;
    }
    bool seal = span_is(span_of(p->kind), "seal");
    args_add(a, p->id);
    args_buf(a, &p->route);
    args_add(a, p->job.user.len ? p->job.user : SPAN("default"));
    add_digest(a, buf_span(&p->map));
    args_buf(a, &p->map);
    if ((nonce = args_bytes(a, 16)))
        random_bytes(nonce, 16);
    args_int(a, KEEP);
    args_int(a, seal ? p->total : 0);
}

// The value is 1 placed, 2 a repeat (as of a call sent twice), 0 a dead letter.
static void read_placed(const struct queue_call *c, enum err e, const redisReply *r)
{
    int64_t code = 0, value = 0;
    if (e == OK && !reply_int(reply_at(r, 0), &code))
        e = ERR_FORMAT;
    if (e == OK && code == -1)
        e = ERR_LOST;
    else if (e == OK && (code < -2 || code > 2))
        e = ERR_FORMAT;
    if (e == OK)
        value = code == 1 ? (int64_t)c->n : code == -2 ? 0 : 2;
    c->done.value(c->ctx, e, value);
}

enum err queue_inbox_put(struct queue *q, struct span inc, const struct queue_item *item,
                         const struct catalogue *c, queue_done *done, void *ctx)
{
    struct placing p = {.route = {.max = 1024},
                        .map = {.max = JOB_MAX_BYTES},
                        .why = {.max = 1024},
                        .day = {.max = 64}};
    struct args *a = NULL;
    enum err e = make_placing(&p, item->bytes, c);
    if (e == OK) {
        const struct queue_field field = {item->seq, item->slot};
        a = script_args(q, 12, 4 * ARGS_INT + 4 + 16);
        args_add(a, inc);
        args_field(a, &field);
        add_placing(a, &p, item->bytes);
        bool dead = span_is(span_of(p.kind), "dead");
        e = call_script(q, SCRIPT_INBOX_PUT, a,
                        &(struct queue_call){
                            .read = read_placed, .done.value = done, .ctx = ctx, .n = !dead});
    }
    placing_free(&p);
    return e;
}
