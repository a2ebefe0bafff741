// genfarm_submit.c - jobs of a program, checked as those of a file are. See genfarm.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/catalogue.h"
#include "client/genfarm_private.h"
#include "client/output.h"
#include "client/submit.h"

struct jobs {
    struct genfarm *g;
    const struct genfarm_job *jobs;
    struct buf map, route;
    char id[16];
};

static enum err read_job(struct genfarm *g, const struct genfarm_job *in, uint32_t i,
                         struct job *out)
{
    const struct {
        const char *name, *value;
    } members[] = {{"id", in->id},
                   {"title", in->title},
                   {"scene", in->scene},
                   {"mood", in->mood},
                   {"prompt", in->prompt},
                   {"negative", in->negative},
                   {"model", in->model},
                   {"aspect_ratio", in->aspect_ratio},
                   {"seed", in->seed},
                   {"image_size", in->image_size},
                   {"priority", in->priority},
                   {"temperature", in->temperature}};
    struct buf why = {.max = 1024};
    enum err e = OK;
    *out = (struct job){.model = catalogue_default(g->catalogue),
                        .priority = JOB_NORMAL,
                        .input = i,
                        .sample = 1,
                        .samples = 1};
    for (size_t k = 0; e == OK && k < sizeof members / sizeof *members; k++)
        if (members[k].value)
            e = job_set(out, span_of(members[k].name), span_of(members[k].value), &why);
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
    enum err e = read_job(s->g, &s->jobs[i], i, &job);
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

static enum err check_jobs(struct genfarm *g, const struct genfarm_job *jobs, size_t n)
{
    struct job job;
    enum err e = n > 0 && n <= QUEUE_MAX_INDEX ? check_ids(g, jobs, n) : ERR_RANGE;
    for (size_t i = 0; e == OK && i < n; i++)
        e = read_job(g, &jobs[i], (uint32_t)i, &job);
    return e;
}

enum genfarm_status genfarm_submit(struct genfarm *g, char batch[GENFARM_BATCH_SIZE],
                                   const struct genfarm_job *jobs, size_t n)
{
    struct jobs s = {g, jobs, {.max = 2 * JOB_MAX_BYTES}, {.max = 1024}, ""};
    struct submit_result r;
    buf_clear(&g->why);
    enum err e = check_jobs(g, jobs, n);
    if (e == OK && !batch[0])
        output_batch_id(batch);
    if (e == OK && !job_name_ok(span_of(batch)))
        e = ERR_RANGE;
    struct submit_options o = {.batch = span_of(batch),
                               .total = (uint32_t)n,
                               .keep_s = 7 * 86400,
                               .source = source,
                               .ctx = &s};
    if (e == OK)
        e = submit_batch(g->session, &o, &r, &g->why);
    buf_free(&s.map);
    buf_free(&s.route);
    return genfarm_status_of(g, e);
}
