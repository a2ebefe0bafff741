// output_jobs.c - see output_jobs.h.
#include "client/output_jobs.h"

#include <stdlib.h>
#include <string.h>

#include "broker/queue.h"

void output_jobs_free(struct output_jobs *j)
{
    free(j->at);
    *j = (struct output_jobs){0};
}

static enum err make_room(struct output_jobs *j, uint32_t total)
{
    if (total <= j->cap)
        return OK;
    size_t cap = j->cap * 2 > total ? j->cap * 2 : total;
    struct output_job *at = reallocarray(j->at, cap, sizeof *at);
    if (!at)
        return ERR_NOMEM;
    memset(at + j->cap, 0, (cap - j->cap) * sizeof *at);
    j->at = at;
    j->cap = cap;
    return OK;
}

enum err output_jobs_grow(struct output_jobs *j, uint32_t total)
{
    if (total > QUEUE_MAX_INDEX)
        return ERR_RANGE;
    enum err e = make_room(j, total);
    if (e == OK && total > j->counts.total) {
        j->by_state[OUTPUT_OPEN] += total - j->counts.total;
        j->counts.total = total;
    }
    return e;
}

enum err output_jobs_reach(struct output_jobs *j, uint32_t index)
{
    return index >= QUEUE_MAX_INDEX  ? ERR_RANGE
           : index < j->counts.total ? OK
                                     : output_jobs_grow(j, index + 1);
}

bool output_jobs_is_news(const struct output_jobs *j, const struct output_result *r)
{
    const struct output_job *job = &j->at[r->index];
    return job->state == OUTPUT_OPEN || r->run > job->run;
}

void output_jobs_note(struct output_jobs *j, const struct output_result *r, uint64_t at)
{
    struct output_job *job = &j->at[r->index];
    j->by_state[job->state]--;
    j->by_state[r->state]++;
    job->state = (uint8_t)r->state;
    job->run = r->run;
    job->result = at;
    j->counts.cost_micro += r->cost_micro;
    j->counts.images += r->images;
    j->counts.bytes += r->bytes;
}

void output_jobs_forget(struct output_jobs *j)
{
    uint32_t total = j->counts.total;
    if (j->at)
        memset(j->at, 0, j->cap * sizeof *j->at);
    memset(j->by_state, 0, sizeof j->by_state);
    j->by_state[OUTPUT_OPEN] = total;
    j->counts = (struct output_counts){.total = total};
}

void output_jobs_note_input(struct output_jobs *j, uint32_t index, uint64_t at)
{
    j->at[index].input = at;
    j->at[index].has_input = true;
}

struct output_counts output_jobs_counts(const struct output_jobs *j)
{
    struct output_counts c = j->counts;
    c.completed = j->by_state[OUTPUT_COMPLETED];
    c.failed = j->by_state[OUTPUT_FAILED];
    c.cancelled = j->by_state[OUTPUT_CANCELLED];
    return c;
}
