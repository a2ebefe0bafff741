// genfarm_submit.c - jobs of a program, checked as those of a file are. See genfarm.h.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/catalogue.h"
#include "client/batch_id.h"
#include "client/collect_batch.h"
#include "client/genfarm_private.h"
#include "client/output.h"
#include "client/quota.h"
#include "client/submit.h"
#include "common/text.h"

struct jobs {
    struct genfarm *g;
    const struct genfarm_submit_options *options;
    const struct genfarm_job *jobs;
    size_t n;
    int64_t budget;         // millionths of USD; 0: none
    struct quota_need need; // of all of them
    struct buf map, route;
    char id[16];
};

// --- One job --------------------------------------------------------------------------------

static const struct {
    const char *name;
    size_t offset;
    bool own; // is taken from no defaults
} members[] = {
#define M(name) #name, offsetof(struct genfarm_job, name)
    {M(id), true},          {M(prompt), true},        {M(title), false},
    {M(scene), false},      {M(mood), false},         {M(negative), false},
    {M(model), false},      {M(aspect_ratio), false}, {M(seed), false},
    {M(image_size), false}, {M(priority), false},     {M(temperature), false},
    {M(lane), false},       {M(dedupe), false},       {M(max_attempts), false},
    {M(timeout), false},    {M(deadline), false},
#undef M
};

static const char *member(const struct jobs *s, uint32_t i, size_t k)
{
    const char *const *own = (const void *)((const char *)&s->jobs[i] + members[k].offset);
    const struct genfarm_job *otherwise = s->options->defaults;
    if (*own || members[k].own || !otherwise)
        return *own;
    own = (const void *)((const char *)otherwise + members[k].offset);
    return *own;
}

static enum err read_job(const struct jobs *s, uint32_t i, struct job *out)
{
    struct genfarm *g = s->g;
    struct buf why = {.max = 1024};
    enum err e = OK;
    *out = (struct job){.model = catalogue_default(g->catalogue),
                        .priority = JOB_NORMAL,
                        .input = i,
                        .sample = 1,
                        .samples = 1,
                        .fail_unknown = s->options->fail_unknown};
    for (size_t k = 0; e == OK && k < sizeof members / sizeof *members; k++) {
        const char *value = member(s, i, k);
        if (value)
            e = job_set(out, span_of(members[k].name), span_of(value), &why);
    }
    const struct model *m = catalogue_find(g->catalogue, out->model);
    if (m)
        out->model = model_name(m);
    if (e == OK)
        e = job_check(out, &why);
    if (e == OK && m)
        e = model_check(m, out, &why);
    if (e != OK)
        buf_addf(&g->why, "job %u: %s", i, why.len ? buf_str(&why) : err_text(e));
    buf_free(&why);
    return e == OK ? OK : ERR_FORMAT;
}

static enum err source(void *ctx, uint32_t i, struct submit_item *out)
{
    struct jobs *s = ctx;
    struct job job;
    enum err e = read_job(s, i, &job);
    if (e != OK)
        return e;
    buf_clear(&s->map);
    buf_clear(&s->route);
    job_encode(&s->map, &job);
    queue_route(&s->route, &job);
    snprintf(s->id, sizeof s->id, "%08u", i);
    *out = (struct submit_item){job.id.len ? job.id : span_of(s->id), buf_span(&s->map),
                                buf_str(&s->route)};
    return s->map.err ? s->map.err : s->route.err;
}

// --- All of them ----------------------------------------------------------------------------

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Ids must be unique, and none may be another's default.
static enum err check_ids(struct genfarm *g, const struct genfarm_job *jobs, size_t n)
{
    char(*defaults)[9] = calloc(n, sizeof *defaults);
    const char **ids = calloc(n, sizeof *ids);
    enum err e = defaults && ids ? OK : ERR_NOMEM;
    for (size_t i = 0; e == OK && i < n; i++) {
        snprintf(defaults[i], sizeof defaults[i], "%08u", (unsigned)i % 100000000u);
        ids[i] = jobs[i].id && *jobs[i].id ? jobs[i].id : defaults[i];
    }
    if (e == OK)
        qsort(ids, n, sizeof *ids, by_text);
    for (size_t i = 1; e == OK && i < n; i++)
        if (strcmp(ids[i - 1], ids[i]) == 0) {
            buf_addf(&g->why, "two jobs have the id %.100s", ids[i]);
            e = ERR_FORMAT;
        }
    free(defaults);
    free(ids);
    return e;
}

// Every job, before anything is sent; and what they come to.
static enum err check_jobs(struct jobs *s)
{
    struct job job;
    enum err e =
        s->n > 0 && s->n <= QUEUE_MAX_INDEX ? check_ids(s->g, s->jobs, s->n) : ERR_RANGE;
    for (size_t i = 0; e == OK && i < s->n; i++) {
        if ((e = read_job(s, (uint32_t)i, &job)) != OK)
            break;
        buf_clear(&s->map);
        job_encode(&s->map, &job);
        e = s->map.err;
        quota_need_add(&s->need, s->g->catalogue, &job, s->map.len);
    }
    return e;
}

static enum err check_name(struct genfarm *g, const char *what, const char *name)
{
    if (!name || job_name_ok(span_of(name)))
        return OK;
    buf_addf(&g->why, "%s: 1 to 100 of A-Z a-z 0-9 . _ -", what);
    return ERR_FORMAT;
}

static enum err check_options(struct jobs *s)
{
    const struct genfarm_submit_options *o = s->options;
    enum err e = check_name(s->g, "user", o->user);
    if (e == OK)
        e = check_name(s->g, "project", o->project);
    if (e != OK || !o->budget)
        return e;
    if (text_usd(span_of(o->budget), &s->budget) == OK && s->budget > 0)
        return OK;
    buf_add_str(&s->g->why, "budget: must be dollars above zero, as 25 or 1.50");
    return ERR_FORMAT;
}

// --- Budget and quotas ----------------------------------------------------------------------

static enum err check_money(struct jobs *s, const char *batch)
{
    const struct genfarm_submit_options *o = s->options;
    struct genfarm *g = s->g;
    struct quota_projects projects = {0};
    struct patience p = {.session = g->session};
    enum err e = quota_budget(&s->need, s->budget, &g->why);
    // What was asked for when it was made is not asked for again.
    if (e != OK || collect_is_there(g->session, span_of(batch)))
        return e;
    if (o->project)
        quota_add_project(&projects, span_of(o->project));
    else
        e = quota_find_projects(&p, &projects);
    if (e == OK)
        e = quota_check(&p, o->user ? span_of(o->user) : SPAN("default"), &projects, &s->need,
                        &g->why);
    return e;
}

static enum err send(struct jobs *s, const char *batch)
{
    struct submit_result r;
    struct submit_options o = {.batch = span_of(batch),
                               .user = span_of(s->options->user),
                               .total = (uint32_t)s->n,
                               .fail_unknown = s->options->fail_unknown,
                               .keep_s = 7 * 86400,
                               .budget = s->budget,
                               .cheapest = s->need.cheapest,
                               .max_queue = s->options->max_queue,
                               .source = source,
                               .ctx = s};
    return submit_batch(s->g->session, &o, &r, &s->g->why);
}

static const struct genfarm_submit_options none;

static struct jobs begin(struct genfarm *g, const struct genfarm_submit_options *o,
                         const struct genfarm_job *jobs, size_t n)
{
    buf_clear(&g->why);
    return (struct jobs){.g = g,
                         .options = o ? o : &none,
                         .jobs = jobs,
                         .n = n,
                         .map = {.max = 2 * JOB_MAX_BYTES},
                         .route = {.max = 1024}};
}

static enum genfarm_status end(struct jobs *s, enum err e)
{
    buf_free(&s->map);
    buf_free(&s->route);
    return genfarm_status_of(s->g, e);
}

enum genfarm_status genfarm_submit_with(struct genfarm *g, char batch[GENFARM_BATCH_SIZE],
                                        const struct genfarm_submit_options *o,
                                        const struct genfarm_job *jobs, size_t n)
{
    struct jobs s = begin(g, o, jobs, n);
    enum err e = check_options(&s);
    if (e == OK)
        e = check_jobs(&s);
    if (e == OK && !batch[0])
        batch_id_fresh(batch);
    if (e == OK && !job_name_ok(span_of(batch)))
        e = ERR_RANGE;
    if (e == OK)
        e = check_money(&s, batch);
    if (e == OK)
        e = send(&s, batch);
    return end(&s, e);
}

enum genfarm_status genfarm_submit(struct genfarm *g, char batch[GENFARM_BATCH_SIZE],
                                   const struct genfarm_job *jobs, size_t n)
{
    return genfarm_submit_with(g, batch, NULL, jobs, n);
}

enum genfarm_status genfarm_estimate(struct genfarm *g, const struct genfarm_submit_options *o,
                                     const struct genfarm_job *jobs, size_t n,
                                     struct genfarm_cost *out)
{
    struct jobs s = begin(g, o, jobs, n);
    enum err e = check_options(&s);
    if (e == OK)
        e = check_jobs(&s);
    if (e == OK)
        *out = (struct genfarm_cost){s.need.calls, s.need.unpriced, s.need.best, s.need.worst};
    return end(&s, e);
}
