// fsck_mend.c - makes jobs of a batch ready again that are open and nowhere.
//
// To tell them from jobs that move, nobody may claim meanwhile: the batch is held back under a
// token of ours (broker/lua/mend.lua). The hold ends by itself when we are gone, and is void
// when somebody lets the batch go on; then nothing is mended, for nothing is known.
#include <stdlib.h>

#include "broker/job.h"
#include "client/fsck_private.h"
#include "common/clock.h"
#include "common/digest.h"

#define HOLD_MS    30000
#define PROLONG_MS 5000

static struct check_hold hold_of(const struct fsck_batch *b)
{
    return (struct check_hold){b->name, span_of(b->token), HOLD_MS};
}

static void on_value(void *ctx, enum err e, int64_t value)
{
    (void)value;
    struct fsck *f = ctx;
    f->done = true;
    f->err = e;
}

enum err fsck_mend_go_on(struct fsck_batch *b)
{
    struct fsck *f = b->fsck;
    struct check_hold h = hold_of(b);
    int64_t now = clock_mono_ms();
    if (!b->token[0] || now < b->asked_ms + PROLONG_MS)
        return OK;
    b->asked_ms = now;
    return fsck_wait(f, check_mend_places(f->queue, &h, 0, NULL, on_value, f));
}

static enum err hold(struct fsck_batch *b)
{
    struct fsck *f = b->fsck;
    uint8_t token[FSCK_TOKEN];
    random_bytes(token, sizeof token);
    digest_hex(token, sizeof token, b->token);
    b->asked_ms = clock_mono_ms();
    struct check_hold h = hold_of(b);
    return fsck_wait(f, check_hold(f->queue, &h, on_value, f));
}

// After an interruption, too, as long as there is a connection.
static enum err release(struct fsck_batch *b)
{
    struct fsck *f = b->fsck;
    struct check_hold h = hold_of(b);
    if (f->gone)
        return OK;
    enum err e = fsck_wait(f, check_release(f->queue, &h, on_value, f));
    b->token[0] = '\0';
    return e;
}

struct routes {
    struct fsck *fsck;
    struct buf text[QUEUE_MAX_JOBS];
};

static void on_inputs(void *ctx, enum err e, const struct span *inputs, size_t n)
{
    struct routes *r = ctx;
    r->fsck->done = true;
    r->fsck->err = e;
    for (size_t i = 0; i < n; i++) {
        struct span id, map;
        struct job job;
        if (inputs[i].len && job_input_read(inputs[i], &id, &map) == OK &&
            job_decode(&job, map, NULL) == OK)
            queue_route(&r->text[i], &job);
    }
}

static enum err mend_some(struct fsck_batch *b, const uint32_t *indexes, size_t n)
{
    struct fsck *f = b->fsck;
    struct check_hold h = hold_of(b);
    struct routes *r = calloc(1, sizeof *r);
    struct check_job jobs[QUEUE_MAX_JOBS];
    size_t have = 0;
    if (!r)
        return ERR_NOMEM;
    r->fsck = f;
    for (size_t i = 0; i < n; i++)
        r->text[i].max = 4 * JOB_MAX_NAME;
    enum err e = fsck_wait(f, queue_inputs(f->queue, b->name, n, indexes, on_inputs, r));
    for (size_t i = 0; e == OK && i < n; i++)
        if (r->text[i].len)
            jobs[have++] = (struct check_job){indexes[i], buf_str(&r->text[i])};
    if (e == OK && have > 0)
        e = fsck_wait(f, check_mend_places(f->queue, &h, have, jobs, on_value, f));
    for (size_t i = 0; i < n; i++)
        buf_free(&r->text[i]);
    free(r);
    return e;
}

static bool is_lost(const struct fsck_batch *b, const struct fsck_job *j)
{
    return j->state == 0 && j->places == 0 && j->missed == b->suspect;
}

static enum err mend_lost(struct fsck_batch *b)
{
    uint32_t indexes[QUEUE_MAX_JOBS];
    size_t n = 0;
    enum err e = fsck_look(b);
    for (uint32_t i = 0; e == OK && i < b->n; i++) {
        if (is_lost(b, &b->jobs[i]))
            indexes[n++] = i;
        if (n == QUEUE_MAX_JOBS || (n > 0 && i + 1 == b->n)) {
            e = mend_some(b, indexes, n);
            n = 0;
        }
    }
    return e;
}

enum err fsck_mend(struct fsck_batch *b)
{
    enum err e = hold(b);
    if (e == OK) {
        e = mend_lost(b);
        b->mended = e == OK;
    }
    enum err ended = release(b);
    if (e == OK)
        e = ended;
    return e == ERR_MISSING ? OK : e; // somebody has let it go on, or it is gone
}
