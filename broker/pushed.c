// pushed.c - see pushed.h.
#include "broker/pushed.h"

#include "broker/catalogue.h"
#include "broker/queue.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/mp.h"
#include "common/text.h"

// --- What it says of itself -----------------------------------------------------------------

// Read from whatever it is, as far as that goes: what is no job may still be one's batch and
// id.
struct head {
    struct span batch, id, user;
    bool has_prompt, has_seal, seal;
    int64_t total; // -1: none
};

static enum err read_pair(struct mp *p, struct head *h)
{
    struct span key;
    enum err e = mp_str(p, &key);
    enum mp_type is = mp_peek(p);
    if (e != OK)
        return e;
    h->has_prompt = h->has_prompt || span_is(key, "prompt");
    h->has_seal = h->has_seal || span_is(key, "seal");
    if (is == MP_STR && span_is(key, "batch"))
        return mp_str(p, &h->batch);
    if (is == MP_STR && span_is(key, "id"))
        return mp_str(p, &h->id);
    if (is == MP_STR && span_is(key, "user"))
        return mp_str(p, &h->user);
    if (is == MP_BOOL && span_is(key, "seal"))
        return mp_bool(p, &h->seal);
    if (is == MP_INT && span_is(key, "total"))
        return mp_int(p, &h->total);
    return mp_skip(p);
}

static struct head read_head(struct span bytes)
{
    struct mp p = {bytes};
    struct head h = {.total = -1};
    uint32_t pairs;
    if (mp_map(&p, &pairs) == OK)
        for (uint32_t i = 0; i < pairs && read_pair(&p, &h) == OK; i++)
            ;
    if (!job_name_ok(h.batch))
        h.batch = SPAN("");
    if (!job_name_ok(h.user))
        h.user = SPAN("");
    if (h.id.len > JOB_MAX_ID || !text_utf8(h.id, NULL))
        h.id = SPAN("");
    return h;
}

// --- The end of a batch ---------------------------------------------------------------------

static const char *end_wrong(const struct head *h)
{
    if (!h->batch.len)
        return "\"batch\" must be 1 to 100 of A-Z a-z 0-9 . _ - and not begin with a dot";
    if (!h->seal)
        return "\"seal\" must be true, and a job must have a \"prompt\"";
    if (h->total < 0 || h->total > QUEUE_MAX_INDEX)
        return "\"total\" must be the number of jobs of the batch";
    return NULL;
}

static void read_end(struct pushed *p, const struct head *h)
{
    const char *wrong = end_wrong(h);
    p->kind = wrong ? PUSHED_DEAD_END : PUSHED_END;
    p->total = h->total;
    buf_add_str(&p->why, wrong ? wrong : "");
}

// --- A job ----------------------------------------------------------------------------------

// Jobs without a batch are kept together by day and user: "inbox-20260125-ann". A user whose
// name leaves no room is told apart by a digest.
static enum err name_batch(struct pushed *p, int64_t ms)
{
    char now[CLOCK_COMPACT_SIZE];
    struct span u = p->user;
    clock_compact(ms, now);
    buf_addf(&p->own, "inbox-%.8s", now);
    size_t room = JOB_MAX_NAME - p->own.len - 1;
    if (u.len > room)
        buf_addf(&p->own, "-%.*s-%08x", (int)(room - 9), u.ptr, digest_32(u));
    else if (u.len > 0 && !span_is(u, "default"))
        buf_addf(&p->own, "-%.*s", (int)u.len, u.ptr);
    p->batch = buf_span(&p->own);
    return p->own.err;
}

// Aliases become the model's own name, so that limits and prices find it; what the model cannot
// do is refused.
static enum err take_model(struct pushed *p, struct job *j, const struct catalogue *c)
{
    const struct model *m = catalogue_find(c, j->model.len ? j->model : catalogue_default(c));
    if (m)
        j->model = model_name(m);
    return m ? model_check(m, j, &p->why) : OK;
}

static enum err check_count(struct pushed *p, const struct job *j)
{
    if (j->samples <= 1)
        return OK;
    buf_add_str(&p->why, "\"count\" is not possible in the inbox: push as many jobs, each with "
                         "an \"id\" of its own");
    return ERR_RANGE;
}

// As a submitted one would be: complete, without what only the inbox knows.
static enum err encode(struct pushed *p, struct job *j, int64_t taken_ms)
{
    j->batch = j->user = (struct span){0};
    j->deadline_from = j->deadline > 0 || j->batch_deadline > 0 ? (double)taken_ms / 1000 : 0;
    queue_route(&p->route, j);
    job_encode(&p->map, j);
    return p->map.err ? p->map.err : p->route.err;
}

// What else the producer wrote is kept as `extra`.
static enum err read_job(struct pushed *p, struct span bytes, int64_t taken_ms,
                         const struct catalogue *c)
{
    struct buf extra = {.max = JOB_MAX_BYTES};
    struct job j;
    enum err e = job_decode(&j, bytes, &p->why);
    if (e == OK && (e = check_count(p, &j)) == OK && (e = take_model(p, &j, c)) == OK)
        e = job_extra(&extra, &j, bytes);
    if (e == OK && !(e = extra.err)) {
        j.extra = buf_span(&extra);
        e = encode(p, &j, taken_ms);
    }
    if (e == OK && !p->batch.len)
        e = name_batch(p, taken_ms);
    buf_free(&extra);
    return e;
}

// --- The interface --------------------------------------------------------------------------

enum err pushed_read(struct pushed *p, struct span bytes, int64_t taken_ms,
                     const struct catalogue *c)
{
    struct head h = read_head(bytes);
    *p = (struct pushed){.batch = h.batch,
                         .id = h.id,
                         .user = h.user,
                         .route = {.max = 1024},
                         .map = {.max = JOB_MAX_BYTES},
                         .why = {.max = 1024},
                         .own = {.max = JOB_MAX_NAME}};
    if (h.seal || (h.has_seal && !h.has_prompt)) {
        read_end(p, &h);
        return p->why.err == ERR_NOMEM ? ERR_NOMEM : OK;
    }
    enum err e = read_job(p, bytes, taken_ms, c);
    if (e == OK || e == ERR_NOMEM)
        return e;
    p->kind = PUSHED_DEAD;
    if (!p->why.len)
        buf_add_str(&p->why, err_text(e));
    return p->why.err == ERR_NOMEM ? ERR_NOMEM : OK;
}

void pushed_free(struct pushed *p)
{
    buf_free(&p->route);
    buf_free(&p->map);
    buf_free(&p->why);
    buf_free(&p->own);
}
