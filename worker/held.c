// held.c - see held.h.
#include "worker/held.h"

#include <stdlib.h>

#include "common/log.h"
#include "worker/lease.h"
#include "worker/task.h"

struct held {
    struct queue *queue;
    struct lease *lease;
    struct tasks *tasks;
    bool listing, asking;                      // a request of that kind is under way
    struct queue_field fields[QUEUE_MAX_JOBS]; // that were asked about
    size_t n;
};

struct held *held_new(struct queue *q, struct lease *l, struct tasks *t)
{
    struct held *h = calloc(1, sizeof *h);
    if (h)
        *h = (struct held){.queue = q, .lease = l, .tasks = t};
    return h;
}

bool held_idle(const struct held *h)
{
    return !h->listing && !h->asking;
}

void held_free(struct held *h)
{
    free(h);
}

// --- Cancelled ------------------------------------------------------------------------------

static void on_open(void *ctx, enum err e, struct span marks)
{
    struct held *h = ctx;
    h->asking = false;
    for (size_t i = 0; e == OK && i < marks.len; i++) {
        struct task *t = marks.ptr[i] == '0' ? tasks_find(h->tasks, h->fields[i]) : NULL;
        if (t)
            task_abort(t);
    }
}

static bool among(struct span batch, const struct span *batches, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (span_equal(batch, batches[i]))
            return true;
    return false;
}

void held_cancelled(struct held *h, const struct span *batches, size_t n)
{
    const struct task *t = NULL;
    if (n == 0 || h->asking)
        return;
    h->n = 0;
    while (h->n < QUEUE_MAX_JOBS && (t = tasks_next(h->tasks, t)))
        if (!task_is_lost(t) && among(task_batch(t), batches, n))
            h->fields[h->n++] = task_field(t);
    if (h->n > 0)
        h->asking = queue_open(h->queue, lease_incarnation(h->lease), h->n, h->fields, on_open,
                               h) == OK;
}

// --- Strays ---------------------------------------------------------------------------------

static void on_back(void *ctx, enum err e, int64_t n)
{
    struct held *h = ctx;
    h->listing = false;
    if (e == OK)
        log_warn("handed back jobs that were held unknowingly", "jobs=%lld", (long long)n);
}

static void on_listed(void *ctx, enum err e, const struct queue_field *fields, size_t n)
{
    struct held *h = ctx;
    struct queue_field strays[QUEUE_MAX_JOBS];
    size_t n_strays = 0;
    for (size_t i = 0; e == OK && i < n && i < QUEUE_MAX_JOBS; i++)
        if (!tasks_find(h->tasks, fields[i]))
            strays[n_strays++] = fields[i];
    h->listing = n_strays > 0 && queue_handback(h->queue, lease_incarnation(h->lease), n_strays,
                                                strays, on_back, h) == OK;
}

void held_count(struct held *h, int64_t active)
{
    const struct task *t = NULL;
    int64_t known = 0;
    while ((t = tasks_next(h->tasks, t)))
        known += !task_is_lost(t);
    if (active > known && !h->listing)
        h->listing = queue_mine(h->queue, lease_incarnation(h->lease), on_listed, h) == OK;
}
