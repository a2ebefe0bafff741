// leftovers.c - see leftovers.h.
#include "client/leftovers.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include "common/text.h"

#define MOST 1000

struct leftovers {
    bool done;
    enum err err;
    struct buf names; // one after the other
    size_t ends[MOST], n;
};

static bool has_gone(const struct queue_worker *w)
{
    char here[HOST_NAME_MAX + 1] = "";
    uint64_t pid;
    gethostname(here, sizeof here - 1);
    return span_is(w->host, here) && text_uint(w->pid, 1, INT_MAX, &pid) == OK &&
           kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static void on_workers(void *ctx, enum err e, const struct queue_worker *w, size_t n)
{
    struct leftovers *l = ctx;
    l->done = true;
    l->err = e;
    for (size_t i = 0; e == OK && i < n && l->n < MOST; i++)
        if (has_gone(&w[i])) {
            buf_add(&l->names, w[i].inc);
            l->ends[l->n++] = l->names.len;
        }
    if (l->names.err)
        l->err = l->names.err;
}

static enum err end(struct session *s, const struct leftovers *l)
{
    struct session_value v = {0};
    struct span incs[MOST];
    for (size_t i = 0, from = 0; i < l->n; from = l->ends[i++])
        incs[i] = (struct span){l->names.ptr + from, l->ends[i] - from};
    return session_value(s, queue_void(session_queue(s), l->n, incs, session_on_value, &v), &v);
}

enum err leftovers_end(struct session *s)
{
    struct leftovers l = {.names = {.max = MOST * 1024}};
    enum err e =
        session_finish(s, queue_workers(session_queue(s), on_workers, &l), &l.done, &l.err);
    if (e == OK && l.n > 0)
        e = end(s, &l);
    buf_free(&l.names);
    return e;
}
