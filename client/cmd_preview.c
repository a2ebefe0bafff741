// cmd_preview.c - genfarm preview: what would be sent, and what it would cost.
#include <json-c/json.h>

#include "broker/request.h"
#include "client/cmd.h"
#include "common/json.h"

static void show_json(const struct input_entry *entry, const struct job *job,
                      struct span prompt, struct span body)
{
    struct json_object *o = json_object_new_object(), *request = NULL;
    struct buf line = {.max = 8u << 20};
    json_put_str(o, "id", entry->id);
    json_put_str(o, "model", job->model);
    json_put_str(o, "prompt", prompt);
    if (json_read(body, &request, NULL) == OK)
        json_put(o, "request", request);
    if (o)
        json_write(&line, o);
    printf("%s\n", buf_str(&line));
    json_object_put(o);
    buf_free(&line);
}

// Of lane batch: the row of the file that is uploaded. Workers number its key by what they
// gather, which nobody knows before.
static void make_request(const struct job *job, struct buf *path, struct buf *body)
{
    if (job->lane == JOB_BATCH) {
        request_batch_path(path, job->model);
        request_row(body, SPAN("KEY"), job);
    } else {
        request_path(path, job->model);
        request_body(body, job);
        buf_add_byte(body, '\n');
    }
}

// After the requests: what they come to.
static void show_total(const struct cmd *c)
{
    const struct quota_need *n = &c->need;
    struct json_object *o = json_object_new_object(), *total = json_object_new_object();
    json_put_int(total, "calls", n->calls);
    json_put_int(total, "unpriced_calls", n->unpriced);
    json_put_usd(total, "estimate_usd", n->best);
    json_put_usd(total, "worst_usd", n->worst);
    if (c->budget > 0)
        json_put_usd(total, "budget_usd", c->budget);
    json_put(o, "total", total);
    cmd_print(o);
}

static void show(const struct cmd *c, const struct input_entry *entry, const struct job *job)
{
    struct buf prompt = {.max = 2 * JOB_MAX_BYTES}, body = {.max = 4u << 20},
               path = {.max = 1024};
    job_compose(&prompt, job);
    make_request(job, &path, &body);
    if (c->json)
        show_json(entry, job, buf_span(&prompt), buf_span(&body));
    else
        printf("--- %.*s (%s:%u)\n%s\n\nPOST %s\n%s\n", (int)entry->id.len, entry->id.ptr,
               entry->file, entry->line, buf_str(&prompt), buf_str(&path), buf_str(&body));
    buf_free(&prompt);
    buf_free(&body);
    buf_free(&path);
}

// Only where a server was named: nothing else is needed of one here.
static int check(struct cmd *c)
{
    struct session *s;
    int status = cmd_check_budget(c);
    if (status != 0 || !c->redis_given)
        return status;
    enum err e = cmd_connect(c, c->redis, c->queue, &s);
    if (e != OK)
        return cmd_say(0, "quotas were not looked at: %s", buf_str(&c->why));
    status = cmd_check_accounts(c, s);
    session_close(s);
    return status;
}

int cmd_preview(struct cmd *c)
{
    struct inputs *in = NULL;
    int status = cmd_defaults(c);
    if (status == 0)
        status = cmd_inputs(c, &in);
    if (status != 0)
        return status;
    for (size_t i = 0; i < inputs_count(in); i++) {
        struct input_entry entry = inputs_at(in, i);
        struct job job;
        if (job_decode(&job, entry.map, NULL) != OK)
            continue;
        const struct model *m = catalogue_find(c->catalogue, job.model);
        if (m)
            job.model = model_name(m);
        show(c, &entry, &job);
    }
    if (c->json)
        show_total(c);
    cmd_show_need(c);
    status = check(c);
    inputs_free(in);
    return status;
}
