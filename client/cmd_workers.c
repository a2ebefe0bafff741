// cmd_workers.c - genfarm workers: who serves the queue.
#include "client/cmd.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"

struct workers_call {
    bool done, json, quiet;
    enum err err;
    size_t n;
};

// What came from outside, so that it cannot steer a terminal, in a column.
static void print_text(struct span s, int width)
{
    struct buf shown = {.max = 1024};
    text_show(&shown, s, 64);
    printf("%*s", width, buf_str(&shown));
    buf_free(&shown);
}

static void print_worker(const struct queue_worker *w)
{
    int64_t now = clock_wall_ms(),
            since = w->since_ms > 0 && w->since_ms < now ? w->since_ms : now;
    print_text(w->host, -24);
    fputs(" pid ", stdout);
    print_text(w->pid, -8);
    print_text(w->flight, 5);
    fputs(" of ", stdout);
    print_text(w->concurrency, -4);
    fputs(" calls  ", stdout);
    print_text(w->sink, -20);
    printf(" since %lld s\n", (long long)(now - since) / 1000);
}

static int64_t number(struct span s)
{
    uint64_t v = 0;
    return text_uint(s, 0, INT64_MAX, &v) == OK ? (int64_t)v : 0;
}

static void print_worker_json(const struct queue_worker *w)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "worker", w->inc);
    json_put_str(o, "host", w->host);
    json_put_int(o, "pid", number(w->pid));
    json_put_int(o, "in_flight", number(w->flight));
    json_put_int(o, "concurrency", number(w->concurrency));
    json_put_str(o, "sink", w->sink);
    json_put_str(o, "version", w->version);
    cmd_print(o);
}

static void on_workers(void *ctx, enum err e, const struct queue_worker *w, size_t n)
{
    struct workers_call *c = ctx;
    c->done = true;
    c->err = e;
    c->n = e == OK ? n : 0;
    for (size_t i = 0; e == OK && i < n && !c->quiet; i++)
        if (c->json)
            print_worker_json(&w[i]);
        else
            print_worker(&w[i]);
}

static enum err ask_workers(struct session *s, struct workers_call *call)
{
    enum err e = queue_workers(session_queue(s), on_workers, call);
    return session_finish(s, e, &call->done, &call->err);
}

enum err cmd_count_workers(struct session *s, size_t *n)
{
    struct workers_call call = {.quiet = true};
    enum err e = ask_workers(s, &call);
    *n = call.n;
    return e;
}

static int workers(struct cmd *c, struct session *s)
{
    struct workers_call call = {.json = c->json};
    enum err e = ask_workers(s, &call);
    if (e == OK && call.n == 0 && !c->json)
        cmd_say(0, "no workers on queue %s", c->queue);
    return cmd_end(c, e);
}

int cmd_workers(struct cmd *c)
{
    return cmd_connected(c, workers);
}
