// cmd_submit.c - genfarm submit: the jobs of the command line into the queue.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/batch_id.h"
#include "client/cmd.h"
#include "client/collect_batch.h"
#include "client/patience.h"
#include "client/submit.h"
#include "common/backoff.h"

struct source {
    const struct cmd *cmd;
    const struct inputs *in;
    struct buf route, map;
};

// Aliases become the model's own name here, so that limits and prices find it.
static enum err source(void *ctx, uint32_t i, struct submit_item *out)
{
    struct source *s = ctx;
    struct input_entry entry = inputs_at(s->in, i);
    struct job job;
    enum err e = job_decode(&job, entry.map, NULL);
    if (e != OK)
        return e;
    const struct model *m = catalogue_find(s->cmd->catalogue, job.model);
    out->id = entry.id;
    out->map = entry.map;
    if (m && !span_equal(model_name(m), job.model)) {
        job.model = model_name(m);
        buf_clear(&s->map);
        job_encode(&s->map, &job);
        out->map = buf_span(&s->map);
    }
    buf_clear(&s->route);
    queue_route(&s->route, &job);
    out->route = buf_str(&s->route);
    return s->route.err ? s->route.err : s->map.err;
}

static int refused(struct cmd *c, const struct inputs *in, const struct submit_result *r,
                   enum err e)
{
    if (e == ERR_CANCELLED)
        return cmd_say(EXIT_INTERRUPTED, "%s", buf_str(&c->why));
    if (e == ERR_EXISTS && r->index < inputs_count(in) &&
        strstr(buf_str(&c->why), "another input")) {
        struct input_entry entry = inputs_at(in, r->index);
        buf_addf(&c->why, " (%s:%u)", entry.file, entry.line);
    }
    bool usage = e == ERR_EXISTS || e == ERR_ORDER || e == ERR_RANGE;
    return usage ? cmd_say(EXIT_USAGE, "%s", buf_str(&c->why)) : cmd_fail(c, e);
}

static enum err submit(struct cmd *c, struct session *s, const struct inputs *in,
                       struct span batch, struct submit_result *r)
{
    struct source from = {c, in, {.max = 1024}, {.max = 2 * JOB_MAX_BYTES}};
    struct buf options = {.max = 65536};
    cmd_describe(c, in, &options);
    struct submit_options o = {.batch = batch,
                               .user = cmd_user(c),
                               .total = (uint32_t)inputs_count(in),
                               .fail_unknown = c->defaults.fail_unknown,
                               .keep_s = (int64_t)c->keep,
                               .budget = c->budget,
                               .cheapest = c->need.cheapest,
                               .options = buf_span(&options),
                               .source = source,
                               .ctx = &from,
                               .max_queue = (int64_t)c->max_queue,
                               .max_queue_bytes = (int64_t)c->max_queue_bytes,
                               .wait = c->wait,
                               .waiting = cmd_waiting};
    enum err e = options.err == ERR_NOMEM ? ERR_NOMEM : submit_batch(s, &o, r, &c->why);
    buf_free(&from.route);
    buf_free(&from.map);
    buf_free(&options);
    return e;
}

int cmd_submit_inputs(struct cmd *c, struct session *s, const struct inputs *in,
                      struct span batch)
{
    struct submit_result r = {0};
    // What was asked for when it was made is not asked for again.
    int status = collect_is_there(s, batch) ? 0 : cmd_check_accounts(c, s);
    if (status != 0)
        return status;
    enum err e = submit(c, s, in, batch, &r);
    c->was_in = e == OK ? r.was_in : 0;
    if (e != OK)
        return refused(c, in, &r, e);
    if (r.was_in > 0)
        cmd_say(0, "batch %.*s was there already with %u of %zu jobs", (int)batch.len,
                batch.ptr, r.was_in, inputs_count(in));
    return 0;
}

// With --wait until the server is there.
static enum err connect_patiently(struct cmd *c, struct session **s)
{
    for (unsigned tries = 1;; tries++) {
        buf_clear(&c->why);
        enum err e = cmd_connect(c, c->redis, c->queue, s);
        if (e == OK && tries > 1)
            cmd_waiting(NULL, OK, "");
        if (!patience_is_away(e) || !c->wait)
            return e;
        if (tries == 1)
            cmd_waiting(NULL, e, buf_str(&c->why));
        usleep((useconds_t)(1e6 * backoff_delay(tries, 0.1, 5, 0.05)));
    }
}

static int submit_connected(struct cmd *c, const struct inputs *in, const char *batch)
{
    struct session *s = NULL;
    enum err e = connect_patiently(c, &s);
    if (e != OK)
        return cmd_fail(c, e);
    cmd_catch_signals(s);
    int status = cmd_submit_inputs(c, s, in, span_of(batch));
    session_close(s);
    return status;
}

static void say_submitted(const struct cmd *c, const struct inputs *in, const char *batch)
{
    size_t n = inputs_count(in);
    printf("%s\n", batch);
    cmd_say(0, "%zu jobs submitted; follow them with: genfarm watch %s",
            c->was_in < n ? n - c->was_in : 0, batch);
}

int cmd_submit(struct cmd *c)
{
    struct inputs *in = NULL;
    char id[BATCH_ID_SIZE];
    batch_id_fresh(id);
    const char *batch = c->batch ? c->batch : id;
    int status = cmd_defaults(c);
    if (status == 0)
        status = cmd_inputs(c, &in);
    if (status == 0) {
        cmd_show_need(c);
        status = cmd_check_budget(c);
    }
    if (status == 0)
        status = submit_connected(c, in, batch);
    if (status == 0)
        say_submitted(c, in, batch);
    inputs_free(in);
    return status;
}
