// submit.c - see submit.h. Chunks go out a few at a time, in order.
#include "client/submit.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "broker/queue.h"
#include "client/patience.h"
#include "client/session.h"
#include "common/digest.h"

#define CHUNK       500 // jobs
#define CHUNK_BYTES (4u << 20)
#define WINDOW      4 // chunks under way

struct submitter {
    struct session *session;
    const struct submit_options *options;
    struct queue_input inputs[CHUNK];
    char (*routes)[256];
    struct buf bytes;  // of one chunk's inputs
    uint32_t next;     // index after the last that was sent
    uint32_t answered; // all below are in
    unsigned under_way;
    bool moved;
    enum err err;  // the first failure of a chunk
    int64_t value; // that came with it
    bool made;     // the batch is there
    int64_t input_bytes;
    struct patience patience;
};

struct sent { // one chunk under way
    struct submitter *of;
    uint32_t end;
};

static void on_chunk(void *ctx, enum err e, int64_t value)
{
    struct sent *c = ctx;
    struct submitter *s = c->of;
    s->under_way--;
    s->moved = true;
    if (e == OK && s->err == OK)
        s->answered = c->end;
    if (e != OK && s->err == OK) {
        s->err = e;
        s->value = value;
    }
    free(c);
}

// Gathers inputs from `next` on; returns how many.
static size_t gather(struct submitter *s, enum err *e)
{
    const struct submit_options *o = s->options;
    size_t n = 0, offsets[CHUNK + 1];
    buf_clear(&s->bytes);
    while (n < CHUNK && s->next + n < o->total && s->bytes.len < CHUNK_BYTES) {
        struct submit_item item;
        *e = o->source(o->ctx, s->next + (uint32_t)n, &item);
        if (*e != OK)
            return 0;
        offsets[n] = s->bytes.len;
        job_input(&s->bytes, item.id, item.map);
        snprintf(s->routes[n], sizeof s->routes[n], "%s", item.route);
        n++;
    }
    offsets[n] = s->bytes.len;
    *e = s->bytes.err;
    for (size_t i = 0; i < n; i++)
        s->inputs[i] = (struct queue_input){
            s->routes[i], {s->bytes.ptr + offsets[i], offsets[i + 1] - offsets[i]}};
    return n;
}

static enum err send_chunk(struct submitter *s)
{
    enum err e = ERR_NOMEM;
    struct sent *c = malloc(sizeof *c);
    size_t n = c ? gather(s, &e) : 0;
    if (e != OK) {
        free(c);
        return e;
    }
    *c = (struct sent){s, s->next + (uint32_t)n};
    e = queue_chunk(session_queue(s->session), s->options->batch, s->next, n, s->inputs,
                    on_chunk, c);
    if (e == OK) {
        s->under_way++;
        s->next = c->end;
    } else {
        free(c);
    }
    return e;
}

static void drain(struct submitter *s)
{
    while (s->under_way > 0)
        ev_run(session_loop(s->session), EVRUN_ONCE);
}

// All chunks from `answered` on; after a failure that passes once more from there.
static enum err send_chunks(struct submitter *s)
{
    const struct submit_options *o = s->options;
    enum err e = OK;
    while (s->answered < o->total && !session_interrupted(s->session)) {
        uint32_t before = s->answered;
        e = OK;
        while (e == OK && s->err == OK && s->next < o->total && s->under_way < WINDOW)
            e = send_chunk(s);
        s->moved = false;
        if (s->under_way > 0)
            e = session_wait(s->session, &s->moved);
        if (e == OK && o->progress)
            o->progress(o->ctx, s->answered);
        if (s->answered > before)
            patience_well(&s->patience);
        if (e == OK && s->err == OK)
            continue;
        drain(s);
        e = s->err != OK ? s->err : e;
        e = patience_wait(&s->patience, e, NULL);
        if (e != OK)
            return e;
        s->err = OK;
        s->next = s->answered;
    }
    drain(s);
    return session_interrupted(s->session) ? ERR_CANCELLED : e;
}

// What makes two submissions of one name the same, beside their inputs.
static enum err digest(const struct submit_options *o, char out[17])
{
    struct buf text = {.max = 4096};
    uint8_t sum[DIGEST_SIZE];
    buf_add(&text, o->user);
    buf_addf(&text, "/%d", o->fail_unknown);
    digest_of(buf_span(&text), sum);
    digest_hex(sum, 8, out);
    enum err e = text.err;
    buf_free(&text);
    return e;
}

// How the queue is full, in words.
static void full_words(const struct submitter *s, int64_t value, struct buf *out)
{
    const struct submit_options *o = s->options;
    if (value >= 0)
        buf_addf(out, "the queue has %lld jobs, and %u more would pass --max-queue %lld",
                 (long long)value, o->total, (long long)o->max_queue);
    else
        buf_addf(out,
                 "the inputs in the queue have %lld bytes, and %lld more would pass "
                 "--max-queue-bytes %lld",
                 (long long)~value, (long long)s->input_bytes, (long long)o->max_queue_bytes);
}

// A call that is sent again while what it fails for passes.
static enum err insist(struct submitter *s,
                       enum err (*call)(struct submitter *s, struct session_value *v),
                       struct session_value *v, struct buf *why)
{
    struct buf words = {.max = 1024};
    enum err e;
    do {
        *v = (struct session_value){0};
        buf_clear(&words);
        e = session_value(s->session, call(s, v), v);
        if (e == OK) {
            patience_well(&s->patience);
            break;
        }
        if (e == ERR_LIMIT)
            full_words(s, v->value, &words);
        e = patience_wait(&s->patience, e, words.len ? buf_str(&words) : NULL);
    } while (e == OK);
    if (e == ERR_LIMIT)
        buf_addf(why, "nothing was submitted: %s; --wait waits for room", buf_str(&words));
    buf_free(&words);
    return e;
}

static enum err create(struct submitter *s, struct session_value *v)
{
    const struct submit_options *o = s->options;
    uint8_t nonce[16];
    char hex[17];
    random_bytes(nonce, sizeof nonce);
    enum err e = digest(o, hex);
    if (e != OK)
        return e;
    struct batch_options b = {.batch = o->batch,
                              .user = o->user,
                              .nonce = nonce,
                              .digest = span_of(hex),
                              .total = o->total,
                              .keep = o->keep_s,
                              .fail_unknown = o->fail_unknown,
                              .budget = o->budget,
                              .cheapest = o->cheapest,
                              .options = o->options,
                              .max_queue = o->max_queue,
                              .bytes = s->input_bytes,
                              .max_bytes = o->max_queue_bytes};
    return queue_create(session_queue(s->session), &b, session_on_value, v);
}

static enum err seal(struct submitter *s, struct session_value *v)
{
    return queue_seal(session_queue(s->session), s->options->batch, s->options->total,
                      session_on_value, v);
}

// What all inputs come to, which is asked for only where it is bounded.
static enum err weigh(struct submitter *s)
{
    const struct submit_options *o = s->options;
    for (uint32_t i = 0; o->max_queue_bytes > 0 && i < o->total; i++) {
        struct submit_item item;
        enum err e = o->source(o->ctx, i, &item);
        buf_clear(&s->bytes);
        job_input(&s->bytes, item.id, item.map);
        if (e != OK || s->bytes.err)
            return e != OK ? e : s->bytes.err;
        s->input_bytes += (int64_t)s->bytes.len;
    }
    return OK;
}

// What can never fit is not waited for.
static enum err check_size(const struct submitter *s, struct buf *why)
{
    const struct submit_options *o = s->options;
    if (o->max_queue > 0 && o->total > o->max_queue)
        buf_addf(
            why,
            "nothing was submitted: these %u jobs can never be in a queue of --max-queue %lld",
            o->total, (long long)o->max_queue);
    else if (o->max_queue_bytes > 0 && s->input_bytes > o->max_queue_bytes)
        buf_addf(why,
                 "nothing was submitted: these inputs of %lld bytes can never be in a queue of "
                 "--max-queue-bytes %lld",
                 (long long)s->input_bytes, (long long)o->max_queue_bytes);
    return why->len ? ERR_LIMIT : OK;
}

static enum err steps(struct submitter *s, struct submit_result *r, struct buf *why)
{
    struct session_value v;
    const struct submit_options *o = s->options;
    enum err e = weigh(s);
    if (e == OK)
        e = check_size(s, why);
    if (e == OK)
        e = insist(s, create, &v, why);
    if (e == ERR_EXISTS)
        buf_addf(why, "another batch is named %.*s; choose another name with --batch",
                 (int)o->batch.len, o->batch.ptr);
    if (e != OK)
        return e;
    s->made = true;
    r->was_in = (uint32_t)v.value;
    e = send_chunks(s);
    if (e == ERR_EXISTS) {
        r->index = (uint32_t)s->value;
        buf_addf(why, "batch %.*s has another input as number %u; nothing was changed there",
                 (int)o->batch.len, o->batch.ptr, r->index);
    }
    if (e == OK)
        e = insist(s, seal, &v, why);
    if (e == ERR_ORDER)
        buf_addf(why, "batch %.*s was closed with another number of jobs than these %u",
                 (int)o->batch.len, o->batch.ptr, o->total);
    return e;
}

// What is in, why not more, and how the rest gets in.
static void tell_half(const struct submitter *s, const struct submit_result *r, enum err e,
                      struct buf *why)
{
    const struct submit_options *o = s->options;
    const char *reason = e == ERR_CANCELLED ? "interrupted" : patience_words(&s->patience, e);
    uint32_t in = s->answered > r->was_in ? s->answered : r->was_in;
    if (!s->made)
        buf_addf(why, "nothing was submitted: %s", reason);
    else
        buf_addf(why,
                 "%u of %u jobs are in batch %.*s: %s; the same command with --batch %.*s adds "
                 "the rest%s",
                 in, o->total, (int)o->batch.len, o->batch.ptr, reason, (int)o->batch.len,
                 o->batch.ptr, e == ERR_FULL ? ", --wait waits for room" : "");
}

enum err submit_batch(struct session *session, const struct submit_options *o,
                      struct submit_result *r, struct buf *why)
{
    struct submitter *s = calloc(1, sizeof *s);
    *r = (struct submit_result){0};
    if (!s || !(s->routes = calloc(CHUNK, sizeof *s->routes))) {
        free(s);
        return ERR_NOMEM;
    }
    s->session = session;
    s->options = o;
    s->bytes.max = CHUNK_BYTES + 2 * JOB_MAX_BYTES;
    s->patience = (struct patience){
        .session = session, .endless = o->wait, .told = o->waiting, .ctx = o->ctx};
    enum err e = steps(s, r, why);
    if (e != OK && why->len == 0)
        tell_half(s, r, e, why);
    buf_free(&s->bytes);
    free(s->routes);
    free(s);
    return e;
}
