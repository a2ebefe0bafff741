// tasks.c - see tasks.h.
#include "worker/tasks.h"

#include "worker/task.h"

static struct task_links *links(struct task *t)
{
    return (struct task_links *)t;
}

static struct task *task_of(struct task_links *l)
{
    return (struct task *)l;
}

void tasks_init(struct tasks *s)
{
    *s = (struct tasks){0};
    TAILQ_INIT(&s->all);
    TAILQ_INIT(&s->queued);
}

void tasks_free(struct tasks *s)
{
    struct task_links *l;
    while ((l = TAILQ_FIRST(&s->all))) {
        tasks_remove(s, task_of(l));
        task_free(task_of(l));
    }
}

void tasks_add(struct tasks *s, struct task *t)
{
    TAILQ_INSERT_TAIL(&s->all, links(t), all);
    s->count++;
}

void tasks_remove(struct tasks *s, struct task *t)
{
    tasks_release(s, t);
    TAILQ_REMOVE(&s->all, links(t), all);
    s->count--;
}

void tasks_queue(struct tasks *s, struct task *t)
{
    if (links(t)->slot != TASK_IDLE)
        return;
    links(t)->slot = TASK_QUEUED;
    TAILQ_INSERT_TAIL(&s->queued, links(t), queued);
    s->waiting++;
}

void tasks_gather(struct tasks *s, struct task *t)
{
    if (links(t)->slot != TASK_IDLE)
        return;
    links(t)->slot = TASK_GATHERS;
    s->gathering++;
}

unsigned tasks_gathering(const struct tasks *s)
{
    return s->gathering;
}

void tasks_release(struct tasks *s, struct task *t)
{
    struct task_links *l = links(t);
    if (l->slot == TASK_QUEUED) {
        TAILQ_REMOVE(&s->queued, l, queued);
        s->waiting--;
    } else if (l->slot == TASK_HOLDS) {
        s->holding--;
    } else if (l->slot == TASK_GATHERS) {
        s->gathering--;
    }
    l->slot = TASK_IDLE;
}

void tasks_go(struct tasks *s, unsigned slots)
{
    struct task_links *l;
    while (s->holding < slots && (l = TAILQ_FIRST(&s->queued))) {
        tasks_release(s, task_of(l));
        l->slot = TASK_HOLDS;
        s->holding++;
        task_go(task_of(l));
    }
}

unsigned tasks_count(const struct tasks *s)
{
    return s->count;
}

unsigned tasks_in_flight(const struct tasks *s)
{
    return s->holding;
}

unsigned tasks_claimed(const struct tasks *s)
{
    return s->holding + s->waiting;
}

void tasks_each(struct tasks *s, void (*act)(struct task *t))
{
    struct task_links *l = TAILQ_FIRST(&s->all), *next;
    for (; l; l = next) {
        next = TAILQ_NEXT(l, all);
        act(task_of(l));
    }
}

struct task *tasks_next(const struct tasks *s, const struct task *after)
{
    struct task_links *l =
        after ? TAILQ_NEXT((const struct task_links *)after, all) : TAILQ_FIRST(&s->all);
    return l ? task_of(l) : NULL;
}

struct task *tasks_find(const struct tasks *s, struct queue_field f)
{
    struct task *t = NULL;
    while ((t = tasks_next(s, t))) {
        struct queue_field is = task_field(t);
        if (is.seq == f.seq && is.slot == f.slot && !task_is_lost(t))
            return t;
    }
    return NULL;
}
