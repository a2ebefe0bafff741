// genfarm.c - see genfarm.h: the public face of what the commands are made of. Its beginning
// and end, and whole batches; genfarm_submit.c and genfarm_events.c have the rest.
#include "client/genfarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/catalogue.h"
#include "client/collect.h"
#include "client/collect_resume.h"
#include "client/genfarm_private.h"
#include "client/patience.h"
#include "common/clock.h"

#define PATIENCE_S 60.0 // without Redis, while a batch is collected

enum genfarm_status genfarm_status_of(struct genfarm *g, enum err e)
{
    static const struct {
        enum err err;
        enum genfarm_status status;
    } table[] = {{OK, GENFARM_OK},
                 {ERR_MISSING, GENFARM_MISSING},
                 {ERR_FORMAT, GENFARM_BAD_INPUT},
                 {ERR_RANGE, GENFARM_BAD_INPUT},
                 {ERR_EXISTS, GENFARM_BAD_INPUT},
                 {ERR_ORDER, GENFARM_BAD_INPUT},
                 {ERR_LIMIT, GENFARM_REFUSED},
                 {ERR_NET, GENFARM_UNAVAILABLE},
                 {ERR_TIMEOUT, GENFARM_UNAVAILABLE},
                 {ERR_BUSY, GENFARM_UNAVAILABLE},
                 {ERR_AUTH, GENFARM_UNAVAILABLE},
                 {ERR_DENIED, GENFARM_UNAVAILABLE}};
    if (e != OK && g->why.len == 0)
        buf_add_str(&g->why, err_text(e));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].err == e)
            return table[i].status;
    return GENFARM_FAILED;
}

enum genfarm_status genfarm_open(const struct genfarm_options *o, struct genfarm **out,
                                 char *why, size_t n)
{
    struct genfarm *g = calloc(1, sizeof *g);
    if (!g)
        return GENFARM_FAILED;
    *g = (struct genfarm){.why = {.max = 4096},
                          .id = {.max = 65536},
                          .json = {.max = 1u << 20},
                          .epoll = -1,
                          .timer = -1};
    TAILQ_INIT(&g->events);
    struct session_options s = {.redis =
                                    span_of(o->redis ? o->redis : "redis://127.0.0.1:6379/0"),
                                .queue = span_of(o->queue ? o->queue : "default"),
                                .ca_file = o->ca_file};
    enum err e = catalogue_open(o->catalogue, &g->catalogue, &g->why);
    if (e == OK)
        e = session_open(&s, &g->session, &g->why);
    enum genfarm_status status = genfarm_status_of(g, e);
    if (n > 0)
        snprintf(why, n, "%s", buf_str(&g->why));
    if (status != GENFARM_OK)
        genfarm_close(g);
    else
        *out = g;
    return status;
}

void genfarm_close(struct genfarm *g)
{
    if (!g)
        return;
    genfarm_forget_events(g);
    session_close(g->session);
    catalogue_free(g->catalogue);
    buf_free(&g->why);
    buf_free(&g->id);
    buf_free(&g->json);
    if (g->epoll >= 0)
        close(g->epoll);
    if (g->timer >= 0)
        close(g->timer);
    free(g);
}

const char *genfarm_why(const struct genfarm *g)
{
    return buf_str(&g->why);
}

struct collecting {
    struct genfarm *g;
    struct span batch;
    struct collect_batch about;
    struct trail after;
    struct collect_result result;
    struct output *output;
};

static enum err open_output(struct collecting *c, const char *dir)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/%.*s", dir, (int)c->batch.len, c->batch.ptr);
    struct output_options o = {.folder = folder,
                               .batch = c->batch,
                               .total = (uint32_t)c->about.total,
                               .resume = access(folder, F_OK) == 0,
                               .nonce = span_of(c->about.nonce)};
    enum err e = output_open(&o, &c->output, &c->g->why);
    struct patience p = {.session = c->g->session};
    if (e == OK)
        e = collect_resume(&p, c->batch, &c->about, c->output, &c->after, NULL, &c->g->why);
    return e == OK ? collect_inputs(c->g->session, c->batch, c->output) : e;
}

static enum err collect_all(struct collecting *c)
{
    struct collect_options o = {
        .batch = c->batch, .output = c->output, .after = c->after, .patience = PATIENCE_S};
    return collect(c->g->session, &o, &c->result, &c->g->why);
}

static enum err finish(struct collecting *c)
{
    const struct collect_result *r = &c->result;
    struct output_summary s = {.submitted_ms = c->about.created_ms,
                               .ended_ms = clock_wall_ms(),
                               .possible_double_bill = r->possible_double_bill,
                               .interrupted = !r->ended};
    enum err e = output_finish(c->output, &s, &c->g->why);
    if (e != OK || r->images_gone + r->left_open == 0)
        return e;
    if (r->images_gone > 0)
        buf_addf(&c->g->why, "%u jobs completed, but their images are gone", r->images_gone);
    else
        buf_addf(&c->g->why, "%u jobs have ended, but the folder does not have them",
                 r->left_open);
    return ERR_IO;
}

enum genfarm_status genfarm_collect(struct genfarm *g, const char *batch, const char *dir)
{
    struct collecting c = {.g = g, .batch = span_of(batch)};
    buf_clear(&g->why);
    enum err e =
        job_name_ok(c.batch) ? collect_status(g->session, c.batch, &c.about) : ERR_MISSING;
    if (e == OK)
        e = open_output(&c, dir);
    if (e == OK)
        e = collect_all(&c);
    if (e == OK)
        e = finish(&c);
    output_free(c.output);
    collect_batch_free(&c.about);
    buf_free(&c.result.message);
    return genfarm_status_of(g, e);
}
