// lot.c - see lot.h.
#include "worker/lot.h"

#include <string.h>

#include "common/digest.h"
#include "worker/task_batch.h"
#include "worker/tasks.h"

#define MAX_IN (8u << 20) // bytes of the inputs: what the queue gives in one answer

static void copy(char to[static JOB_MAX_NAME + 1], struct span from)
{
    size_t n = from.len < JOB_MAX_NAME ? from.len : JOB_MAX_NAME;
    memcpy(to, from.ptr, n);
    to[n] = '\0';
}

static bool fits(const struct lot *l, const struct task_lot *one, uint64_t max_out)
{
    return l->n < QUEUE_MAX_JOBS && l->in + one->bytes_in <= MAX_IN &&
           (l->n == 0 || l->out + one->bytes_out <= max_out);
}

static void begin(struct lot *l, const struct task_lot *one)
{
    uint8_t id[OPERATION_ID / 2];
    random_bytes(id, sizeof id);
    digest_hex(id, sizeof id, l->id);
    copy(l->batch, one->batch);
    copy(l->model, one->model);
    copy(l->project, one->project);
}

static bool is_of(const struct lot *l, const struct task_lot *one)
{
    return span_is(one->batch, l->batch) && span_is(one->model, l->model) &&
           span_is(one->project, l->project);
}

static void add(struct lot *l, const struct task_lot *one)
{
    l->calls[l->n++] = one->mark;
    if (one->day > 0 && (l->day == 0 || one->day < l->day))
        l->day = one->day;
    l->in += one->bytes_in;
    l->out += one->bytes_out;
}

static bool may_go(const struct task *t)
{
    return task_is_gathered(t) && !task_is_lost(t) && task_lot(t).affordable;
}

void lot_gather(struct lot *l, const struct tasks *among, uint64_t max_out)
{
    const struct task *t = NULL;
    l->n = 0;
    l->in = l->out = 0;
    l->day = 0;
    l->full = false;
    while (!l->full && (t = tasks_next(among, t))) {
        if (!may_go(t))
            continue;
        struct task_lot one = task_lot(t);
        if (l->n == 0)
            begin(l, &one);
        if (!is_of(l, &one))
            continue;
        l->full = !fits(l, &one, max_out);
        if (!l->full)
            add(l, &one);
    }
}

void lot_name(const struct lot *l, struct tasks *among, bool named)
{
    for (size_t i = 0; i < l->n; i++) {
        struct task *t = tasks_find(among, l->calls[i].field);
        if (t)
            task_named(t, named);
    }
}

// Gathered ones are looked up, for they may have gone meanwhile.
void lot_moved(const struct lot *l, struct tasks *among, struct span marks)
{
    for (size_t i = 0; i < marks.len && i < l->n; i++) {
        struct task *t = tasks_find(among, l->calls[i].field);
        if (t)
            task_moved(t, marks.ptr[i]);
    }
}
