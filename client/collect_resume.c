// collect_resume.c - see collect_resume.h.
#include "client/collect_resume.h"

#include "client/collect_batch.h"
#include "client/output.h"
#include "client/patience.h"

struct look {
    bool done, same;
    enum err err;
    struct trail *last;
};

static void on_event(void *ctx, enum err e, const struct queue_event *ev, size_t n)
{
    struct look *l = ctx;
    l->done = true;
    l->err = e;
    l->same = e == OK && trail_same(l->last, ev, n);
}

// Whether the server has that event as it was read.
static enum err look(struct patience *p, struct span batch, struct trail *last, bool *same)
{
    struct queue *q = session_queue(p->session);
    enum err e;
    do {
        struct look l = {.last = last};
        e = queue_events(q, batch, trail_before(last), 1, 0, on_event, &l);
        e = session_finish(p->session, e, &l.done, &l.err);
        *same = l.same;
    } while (patience_again(p, &e));
    return e;
}

// Images that were lost, and jobs of a batch that has ended which are open here, may still be
// had.
static bool lacks_some(const struct output *o, const struct collect_batch *b)
{
    struct output_counts n = output_counts(o);
    return output_images_lost(o) ||
           (b->done_ms > 0 && (int64_t)n.completed + n.failed + n.cancelled < b->total);
}

static enum err begin_again(struct output *o, const struct trail *last, struct buf *lost,
                            struct buf *why)
{
    struct buf then = {.max = 8192};
    buf_addf(&then, "%s begins again", output_folder(o));
    if (lost && last->known)
        trail_explain(last, buf_str(&then), lost);
    buf_free(&then);
    return output_begin_again(o, why);
}

enum err collect_resume(struct patience *p, struct span batch, const struct collect_batch *b,
                        struct output *o, struct trail *after, struct buf *lost,
                        struct buf *why)
{
    struct trail last = output_last(o);
    bool same = last.number == 0;
    *after = (struct trail){0};
    enum err e = last.known ? look(p, batch, &last, &same) : OK;
    if (e != OK)
        return e;
    if (!same) // nor where it cannot be known
        return begin_again(o, &last, lost, why);
    if (!lacks_some(o, b))
        *after = last;
    return OK;
}
