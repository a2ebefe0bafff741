// reopen.c - see reopen.h.
#include "client/reopen.h"

static void on_run(void *ctx, enum err e, const struct queue_batch *b)
{
    *(struct session_value *)ctx = (struct session_value){true, e, e == OK ? b->run : 0};
}

enum err reopen_begin(struct reopen *r, struct session *s, struct span batch)
{
    struct session_value v = {0};
    enum err e = session_value(s, queue_status(session_queue(s), batch, on_run, &v), &v);
    if (e == OK && (v.value < 0 || v.value >= UINT16_MAX))
        e = ERR_RANGE;
    *r = (struct reopen){.session = s, .batch = batch, .run = (uint16_t)(v.value + 1)};
    return e;
}

struct routes {
    bool done;
    enum err err;
    const uint32_t *indexes;
    struct buf texts[REOPEN_MOST];
    struct queue_reopen jobs[REOPEN_MOST];
    size_t n; // jobs that can be opened
};

static void on_inputs(void *ctx, enum err e, const struct span *inputs, size_t n)
{
    struct routes *r = ctx;
    r->done = true;
    r->err = e;
    for (size_t i = 0; e == OK && i < n; i++) {
        struct span id, map;
        struct job job;
        struct buf *text = &r->texts[r->n];
        if (inputs[i].len == 0 || job_input_read(inputs[i], &id, &map) != OK ||
            job_decode(&job, map, NULL) != OK || !job_name_ok(job.model))
            continue;
        queue_route(text, &job);
        r->jobs[r->n++] = (struct queue_reopen){r->indexes[i], buf_str(text)};
        r->err = text->err;
    }
}

enum err reopen_some(struct reopen *r, const uint32_t *indexes, size_t n)
{
    struct routes routes = {.indexes = indexes};
    struct session_value v = {0};
    struct queue *q = session_queue(r->session);
    if (n < 1 || n > REOPEN_MOST)
        return ERR_RANGE;
    for (size_t i = 0; i < n; i++)
        routes.texts[i].max = 512;
    enum err e =
        session_finish(r->session, queue_inputs(q, r->batch, n, indexes, on_inputs, &routes),
                       &routes.done, &routes.err);
    if (e == OK && routes.n > 0)
        e = session_value(
            r->session,
            queue_retry(q, r->batch, r->run, routes.n, routes.jobs, session_on_value, &v), &v);
    r->opened += e == OK ? v.value : 0;
    for (size_t i = 0; i < n; i++)
        buf_free(&routes.texts[i]);
    return e;
}
