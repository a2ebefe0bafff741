// cmd_jobs.c - from the command line and input files to jobs.
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "client/cmd.h"
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

void cmd_describe(const struct cmd *c, const struct inputs *in, struct buf *out)
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

// Of a model that the catalogue does not have nothing is known; one that has retired may be
// gone. True: it was told.
static bool warn_of_model(const struct cmd *c, struct span name)
{
    struct buf shown = {.max = 1024};
    char today[CLOCK_RFC3339_SIZE];
    const struct model *m = catalogue_find(c->catalogue, name);
    struct span end = m ? model_retires(m) : SPAN("");
    clock_rfc3339(clock_wall_ms(), today);
    bool retired = end.len == 10 && memcmp(end.ptr, today, end.len) <= 0;
    text_show(&shown, name, 100);
    if (!m)
        cmd_say(0,
                "warning: model %s is not in the catalogue: its price is unknown, and "
                "whether there is such a model",
                buf_str(&shown));
    else if (retired)
        cmd_say(0, "warning: model %s was to be retired on %.*s or later", buf_str(&shown),
                (int)end.len, end.ptr);
    buf_free(&shown);
    return !m || retired;
}

// Each model once, as far as they stand together.
static void warn_of_models(const struct cmd *c, const struct inputs *in)
{
    struct buf last = {.max = 1024};
    unsigned told = 0;
    for (size_t i = 0; i < inputs_count(in) && told < MAX_WARNED; i++) {
        struct job job;
        if (job_decode(&job, inputs_at(in, i).map, NULL) != OK ||
            (last.len && span_equal(buf_span(&last), job.model)))
            continue;
        buf_clear(&last);
        buf_add(&last, job.model);
        told += warn_of_model(c, job.model);
    }
    buf_free(&last);
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
