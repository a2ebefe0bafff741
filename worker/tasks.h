// tasks.h - all tasks of a worker: which there are, who waits for a slot, who holds one.
#ifndef WORKER_TASKS_H
#define WORKER_TASKS_H

#include <sys/queue.h>

#include "broker/queue.h"

struct task;

struct task_links { // embedded in each task, as its first member
    TAILQ_ENTRY(task_links) all, queued;
    enum { TASK_IDLE, TASK_QUEUED, TASK_HOLDS, TASK_GATHERS } slot;
};
TAILQ_HEAD(task_queue, task_links);

struct tasks {
    struct task_queue all, queued;
    unsigned count, waiting, holding, gathering;
};

void tasks_init(struct tasks *s);
void tasks_free(struct tasks *s); // ends and frees all tasks, without a word to anyone
void tasks_add(struct tasks *s, struct task *t);
void tasks_remove(struct tasks *s, struct task *t);
void tasks_queue(struct tasks *s, struct task *t);   // it waits for a slot
void tasks_gather(struct tasks *s, struct task *t);  // it waits for a batch, and for no slot
void tasks_release(struct tasks *s, struct task *t); // it gives its slot, or its wait, back
void tasks_go(struct tasks *s,
              unsigned slots); // gives free slots to those that wait, oldest first
unsigned tasks_count(const struct tasks *s);
unsigned tasks_gathering(const struct tasks *s); // that wait for a batch
unsigned tasks_in_flight(const struct tasks *s); // that hold a slot
unsigned tasks_claimed(const struct tasks *s);   // that hold a slot or wait for one
void tasks_each(struct tasks *s, void (*act)(struct task *t)); // which may end the task
struct task *tasks_next(const struct tasks *s, const struct task *after); // NULL: the first
// Of those whose lease holds; NULL: none.
struct task *tasks_find(const struct tasks *s, struct queue_field f);
#endif
