// worker_facts.h - what a worker says of itself: for people to see, and for whoever has to tell
// of its calls when it is lost.
#ifndef WORKER_WORKER_FACTS_H
#define WORKER_WORKER_FACTS_H

#include "broker/projects.h"
#include "broker/queue.h"

#define WORKER_FACTS 10

struct provider;
struct worker_options;

struct worker_facts { // must stay where it is: `list` borrows from it
    struct queue_fact list[WORKER_FACTS];
    char name[96]; // HOST:PID, in events
    char hostname[65], pid[16], slots[16];
    char projects[PROJECTS_MAX * (JOB_MAX_NAME + 1)]; // "art,spare"
};
// Borrows the names of options and provider, too.
void worker_facts_init(struct worker_facts *f, const struct worker_options *o,
                       const struct provider *provider);
#endif
