// cmd_jobs.c - from the command line and input files to a batch in the queue.
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/batch_id.h"
#include "client/cmd.h"
#include "client/collect_batch.h"
#include "client/patience.h"
#include "client/submit.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"

#define MAX_COMPLAINTS (1u << 20)
#define MAX_WARNED     10 // models that are named

// In the order of cmd_options.c's job options; the user is the batch's, not a job's.
static const char *const members[] = {
    "model",       "aspect_ratio", "image_size",     "negative", "seed",
    "temperature", "user",         "priority",       "lane",     "max_attempts",
    "timeout",     "deadline",     "batch_deadline", "dedupe"};
#define N_MEMBERS        (sizeof members / sizeof *members)
#define USER             6
#define DEDUPE           13
#define DEDUPE_BY_ITSELF "1d" // what --dedupe means without a time

struct span cmd_user(const struct cmd *c)
{
    return span_of(c->texts[USER]);
}

static enum err set_member(struct cmd *c, size_t i)
{
    struct buf why = {.max = 1024};
    char option[32];
    enum err e = job_set(&c->defaults, span_of(members[i]), span_of(c->texts[i]), &why);
    snprintf(option, sizeof option, "%s", members[i]);
    for (char *p = option; *p; p++)
        if (*p == '_')
            *p = '-';
    if (e != OK)
        buf_addf(&c->why, "--%s %.100s: %s", option, c->texts[i],
                 why.len ? buf_str(&why) : err_text(e));
    buf_free(&why);
    return e;
}

int cmd_defaults(struct cmd *c)
{
    enum err e = catalogue_open(c->catalogue_path, &c->catalogue, &c->why);
    if (e != OK)
        return cmd_fail(c, e);
    c->defaults = (struct job){.model = catalogue_default(c->catalogue),
                               .priority = JOB_NORMAL,
                               .samples = 1,
                               .sample = 1};
    if (c->texts[DEDUPE] && !*c->texts[DEDUPE])
        c->texts[DEDUPE] = DEDUPE_BY_ITSELF;
    for (size_t i = 0; i < N_MEMBERS; i++)
        if (i != USER && c->texts[i] && *c->texts[i] && set_member(c, i) != OK)
            return cmd_say(EXIT_USAGE, "%s", buf_str(&c->why));
    if (strcmp(c->on_unknown, "fail") == 0)
        c->defaults.fail_unknown = true;
    else if (strcmp(c->on_unknown, "retry") != 0)
        return cmd_say(EXIT_USAGE, "--on-unknown %s: must be retry or fail", c->on_unknown);
    if (c->texts[USER] && !job_name_ok(cmd_user(c)))
        return cmd_say(EXIT_USAGE, "--user: 1 to 100 of A-Z a-z 0-9 . _ -");
    if (c->batch && !job_name_ok(span_of(c->batch)))
        return cmd_say(EXIT_USAGE,
                       "--batch %.100s: 1 to 100 of A-Z a-z 0-9 . _ -, no leading dot",
                       c->batch);
    return 0;
}

// --- Inputs ---------------------------------------------------------------------------------

// What the catalogue knows that a model cannot do is refused here, not by the provider.
static bool model_fits(void *ctx, struct span map, struct buf *why)
{
    const struct cmd *c = ctx;
    struct job job;
    const struct model *m = NULL;
    if (job_decode(&job, map, NULL) == OK)
        m = catalogue_find(c->catalogue, job.model);
    return !m || model_check(m, &job, why) == OK;
}

// Each model once, as far as they stand together: of one that the catalogue does not have
// nothing is known; one that has retired may be gone.
static void warn_of_models(const struct cmd *c, const struct inputs *in)
{
    struct buf last = {.max = 1024}, shown = {.max = 1024};
    char today[CLOCK_RFC3339_SIZE];
    unsigned told = 0;
    clock_rfc3339(clock_wall_ms(), today);
    for (size_t i = 0; i < inputs_count(in) && told < MAX_WARNED; i++) {
        struct job job;
        if (job_decode(&job, inputs_at(in, i).map, NULL) != OK ||
            (last.len && span_equal(buf_span(&last), job.model)))
            continue;
        const struct model *m = catalogue_find(c->catalogue, job.model);
        struct span end = m ? model_retires(m) : SPAN("");
        buf_clear(&last);
        buf_clear(&shown);
        buf_add(&last, job.model);
        text_show(&shown, job.model, 100);
        if (!m)
            cmd_say(0,
                    "warning: model %s is not in the catalogue: its price is unknown, and "
                    "whether there is such a model",
                    buf_str(&shown));
        else if (end.len == 10 && memcmp(end.ptr, today, end.len) <= 0)
            cmd_say(0, "warning: model %s was to be retired on %.*s or later", buf_str(&shown),
                    (int)end.len, end.ptr);
        else
            continue;
        told++;
    }
    buf_free(&last);
    buf_free(&shown);
}

static int rejects(const struct cmd *c, const struct inputs *in)
{
    char path[4096];
    snprintf(path, sizeof path, "%s.rejects.jsonl", c->batch ? c->batch : "genfarm");
    if (inputs_write_rejects(in, path) != OK)
        return cmd_say(EXIT_CANNOT, "%s: %s", path, strerror(errno));
    cmd_say(0, "%zu bad entries were left out; see %s", inputs_bad(in), path);
    return 0;
}

static int judge(struct cmd *c, struct inputs *in, enum err e, struct buf *complaints)
{
    if (complaints->len)
        fputs(buf_str(complaints), stderr);
    if (e == ERR_NOMEM)
        return cmd_say(EXIT_CANNOT, "%s", err_text(e));
    if (e != OK)
        return cmd_say(EXIT_USAGE, "nothing was submitted");
    if (inputs_bad(in) > 0 && !c->skip_bad)
        return cmd_say(EXIT_USAGE,
                       "%zu bad entries; nothing was submitted (--skip-bad goes on "
                       "with the good ones)",
                       inputs_bad(in));
    if (inputs_count(in) == 0)
        return cmd_say(EXIT_USAGE, "no prompts; nothing was submitted");
    return inputs_bad(in) > 0 ? rejects(c, in) : 0;
}

int cmd_inputs(struct cmd *c, struct inputs **out)
{
    struct buf complaints = {.max = MAX_COMPLAINTS};
    struct inputs *in = inputs_new(&c->defaults, (uint32_t)c->count);
    enum err e = in ? OK : ERR_NOMEM; // the first one
    for (size_t i = 0; in && i < c->words.n; i++) {
        enum err now = inputs_read(in, c->words.at[i], c->format, &complaints);
        e = e == OK ? now : e;
    }
    if (e == OK)
        e = inputs_check(in, model_fits, c, &complaints);
    if (e == OK)
        e = inputs_finish(in, &complaints);
    int status = judge(c, in, e, &complaints);
    buf_free(&complaints);
    if (status == 0) {
        warn_of_models(c, in);
        cmd_need(c, in);
        *out = in;
    } else {
        inputs_free(in);
    }
    return status;
}

// --- Submitting -----------------------------------------------------------------------------

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

static void describe(const struct cmd *c, const struct inputs *in, struct buf *out)
{
    struct json_object *o = json_object_new_object();
    for (size_t i = 0; i < N_MEMBERS; i++)
        if (c->texts[i])
            json_put_cstr(o, members[i], c->texts[i]);
    json_put_str(o, "model", c->defaults.model);
    json_put_int(o, "count", (int64_t)c->count);
    json_put_cstr(o, "on_unknown", c->on_unknown);
    json_put_int(o, "prompts", (int64_t)inputs_count(in));
    if (o)
        json_write(out, o);
    json_object_put(o);
}

// Made before: what was asked for then is not asked for again.
static bool added_to(struct session *s, struct span batch)
{
    struct collect_batch b = {0};
    enum err e = collect_status(s, batch, &b);
    collect_batch_free(&b);
    return e == OK;
}

int cmd_submit_inputs(struct cmd *c, struct session *s, const struct inputs *in,
                      struct span batch)
{
    struct source from = {c, in, {.max = 1024}, {.max = 2 * JOB_MAX_BYTES}};
    struct buf options = {.max = 65536};
    struct submit_result r;
    int status = added_to(s, batch) ? 0 : cmd_check_accounts(c, s);
    if (status != 0)
        return status;
    describe(c, in, &options);
    struct submit_options o = {.batch = batch,
                               .user = cmd_user(c),
                               .total = (uint32_t)inputs_count(in),
                               .fail_unknown = c->defaults.fail_unknown,
                               .keep_s = (int64_t)c->keep,
                               .budget = c->budget,
                               .options = buf_span(&options),
                               .source = source,
                               .ctx = &from,
                               .max_queue = (int64_t)c->max_queue,
                               .max_queue_bytes = (int64_t)c->max_queue_bytes,
                               .wait = c->wait,
                               .waiting = cmd_waiting};
    enum err e = submit_batch(s, &o, &r, &c->why);
    if (e == ERR_EXISTS && r.index < inputs_count(in) &&
        strstr(buf_str(&c->why), "another input"))
        buf_addf(&c->why, " (%s:%u)", inputs_at(in, r.index).file, inputs_at(in, r.index).line);
    if (e == OK && r.was_in > 0)
        cmd_say(0, "batch %.*s was there already with %u of %u jobs", (int)batch.len, batch.ptr,
                r.was_in, o.total);
    c->was_in = e == OK ? r.was_in : 0;
    buf_free(&from.route);
    buf_free(&from.map);
    buf_free(&options);
    bool usage = e == ERR_EXISTS || e == ERR_ORDER || e == ERR_RANGE;
    if (e == ERR_CANCELLED)
        return cmd_say(EXIT_INTERRUPTED, "%s", buf_str(&c->why));
    return e == OK ? 0 : usage ? cmd_say(EXIT_USAGE, "%s", buf_str(&c->why)) : cmd_fail(c, e);
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

int cmd_submit(struct cmd *c)
{
    struct inputs *in = NULL;
    struct session *s = NULL;
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
    if (status != 0) {
        inputs_free(in);
        return status;
    }
    enum err e = connect_patiently(c, &s);
    if (e == OK) {
        cmd_catch_signals(s);
        status = cmd_submit_inputs(c, s, in, span_of(batch));
    } else {
        status = cmd_fail(c, e);
    }
    if (status == 0) {
        printf("%s\n", batch);
        size_t were = c->was_in < inputs_count(in) ? c->was_in : inputs_count(in);
        cmd_say(0, "%zu jobs submitted; follow them with: genfarm watch %s",
                inputs_count(in) - were, batch);
    }
    session_close(s);
    inputs_free(in);
    return status;
}
