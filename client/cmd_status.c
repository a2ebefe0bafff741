// cmd_status.c - genfarm status, list and workers.
#include <ev.h>
#include <stdlib.h>

#include "client/cmd.h"
#include "client/limited.h"
#include "client/waits.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"

static const char *state_name(const struct collect_batch *b)
{
    return b->done_ms      ? "ended"
           : b->cancelling ? "cancelling"
           : b->paused     ? "paused"
           : !b->sealed    ? "open"
                           : "running";
}

// A batch nobody has finished submitting for a minute: submitting it again adds the rest.
static bool stalled(const struct collect_batch *b)
{
    return !b->sealed && clock_wall_ms() - b->created_ms > 60000;
}

static void take_name(char out[static JOB_MAX_NAME + 1], struct span name)
{
    snprintf(out, JOB_MAX_NAME + 1, "%.*s", (int)name.len, name.ptr);
}

static struct json_object *batch_json(const struct cmd *c, struct span name,
                                      const struct collect_batch *b)
{
    char time[CLOCK_RFC3339_SIZE], shown[JOB_MAX_NAME + 1];
    struct json_object *o = json_object_new_object();
    take_name(shown, name);
    clock_rfc3339(b->created_ms, time);
    json_put_str(o, "batch", name);
    json_put_cstr(o, "state", state_name(b));
    json_put(o, "waits_for", waits_json(b));
    json_put_bool(o, "queue_paused", c->queue_paused);
    json_put_str(o, "user", buf_span(&b->user));
    json_put_int(o, "total", b->total);
    json_put_int(o, "in", b->in);
    json_put_int(o, "open", b->open);
    json_put_int(o, "completed", b->completed);
    json_put_int(o, "failed", b->failed);
    json_put_int(o, "cancelled", b->cancelled);
    json_put_usd(o, "cost_usd", b->cost_micro);
    if (b->budget_micro) {
        json_put_usd(o, "budget_usd", b->budget_micro);
        json_put_usd(o, "reserved_usd", b->reserved_micro);
        json_put_usd(o, "unknown_usd", b->spent_micro);
    }
    json_put_int(o, "calls", b->calls);
    json_put_int(o, "possible_double_bill", b->possible_double_bill);
    json_put_int(o, "images_gone", b->images_gone);
    json_put_cstr(o, "created", time);
    json_put_bool(o, "stalled", stalled(b));
    if (c->limited)
        json_put(o, "limited_by", b->done_ms ? NULL : limited_json(limited_worst(c->limited)));
    if (c->limited)
        json_put(o, "remote_batches", remotes_json(limited_remotes(c->limited), shown));
    return o;
}

static void print_why(const struct collect_batch *b)
{
    struct buf message = {.max = 2048};
    const char *code = waits_for(b, &message);
    if (code)
        printf("  waits (%s): %s\n", code, buf_str(&message));
    buf_free(&message);
}

// Nothing else is to be seen of them for hours.
static void print_remotes(const struct cmd *c, struct span name)
{
    char batch[JOB_MAX_NAME + 1];
    struct buf text = {.max = 65536};
    take_name(batch, name);
    if (c->limited)
        remotes_show_projects(&text, limited_remotes(c->limited), batch);
    fputs(buf_str(&text), stdout);
    buf_free(&text);
}

static void print_batch(const struct cmd *c, struct span name, const struct collect_batch *b)
{
    struct buf usd = {.max = 64};
    if (c->json) {
        cmd_print(batch_json(c, name, b));
        return;
    }
    cmd_show_usd(&usd, b->cost_micro);
    printf("%-24.*s %-10s %7lld of %-7lld %6lld failed %6lld cancelled %10s\n", (int)name.len,
           name.ptr, state_name(b), (long long)b->completed, (long long)b->total,
           (long long)b->failed, (long long)b->cancelled, buf_str(&usd));
    print_why(b);
    print_remotes(c, name);
    if (stalled(b))
        printf("  stalled: %lld of ? came in; submit it again to add the rest\n",
               (long long)b->in);
    if (b->possible_double_bill)
        printf("  %lld calls may have been billed twice\n", (long long)b->possible_double_bill);
    if (b->images_gone)
        printf("  the images of %lld jobs are gone: nobody fetched them in time\n",
               (long long)b->images_gone);
    buf_free(&usd);
}

// --- Lists ----------------------------------------------------------------------------------

struct names { // copies
    bool done;
    enum err err;
    struct buf text; // each ended by a newline
    size_t n;
};

static void on_names(void *ctx, enum err e, const struct span *names, size_t n)
{
    struct names *to = ctx;
    to->done = true;
    to->err = e;
    for (size_t i = 0; e == OK && i < n; i++) {
        buf_add(&to->text, names[i]);
        buf_add_byte(&to->text, '\n');
        to->n++;
    }
}

static enum err print_batches(struct cmd *c, struct session *s, unsigned most)
{
    struct names names = {.text = {.max = 1u << 20}};
    unsigned strange = 0;
    enum err e = queue_list(session_queue(s), most, on_names, &names);
    while (e == OK && !names.done)
        ev_run(session_loop(s), EVRUN_ONCE);
    e = e == OK ? names.err : e;
    for (struct span left = buf_span(&names.text); e == OK && left.len > 0;) {
        size_t n = 0;
        while (left.ptr[n] != '\n')
            n++;
        struct collect_batch b = {0};
        enum err is = collect_status(s, (struct span){left.ptr, n}, &b);
        if (is == OK)
            print_batch(c, (struct span){left.ptr, n}, &b);
        strange += is == ERR_FORMAT || is == ERR_RANGE;
        collect_batch_free(&b);
        left.ptr += n + 1;
        left.len -= n + 1;
    }
    if (strange > 0)
        cmd_say(0, "what the server keeps of %u batches is malformed; see genfarm fsck",
                strange);
    if (e == OK && names.n == 0 && !c->json)
        cmd_say(0, "no batches in queue %s", c->queue);
    buf_free(&names.text);
    return e;
}

struct workers_call {
    bool done, json, quiet;
    enum err err;
    size_t n;
    long flight;
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
    while (e == OK && !call->done)
        ev_run(session_loop(s), EVRUN_ONCE);
    return e == OK ? call->err : e;
}

// --- Commands -------------------------------------------------------------------------------

// What limits the farm now: each group that is limited, and where that is no one, what else.
static void say_limits(const struct limited *l)
{
    const struct limited_group *g;
    struct buf text = {.max = 512};
    for (size_t i = 0; (g = limited_at(l, i)); i++) {
        buf_clear(&text);
        limited_show(&text, g);
        cmd_say(0, "%s%s", buf_str(&text), g->limiting ? "" : "; another project goes on");
    }
    if (!limited_worst(l))
        cmd_say(0, "limited by: %s", limited_else(l));
    buf_free(&text);
}

// Of a paused queue no batch moves, whatever its own state.
static enum err look_paused(struct cmd *c, struct session *s)
{
    struct session_value v = {0};
    enum err e = session_value(s, queue_is_paused(session_queue(s), session_on_value, &v), &v);
    c->queue_paused = e == OK && v.value;
    if (c->queue_paused && !c->json)
        cmd_say(0, "queue %s is paused: nothing new is started before genfarm resume",
                c->queue);
    return e;
}

static enum err status(struct cmd *c, struct session *s)
{
    struct collect_batch b = {0};
    struct workers_call workers = {.quiet = true};
    enum err e = look_paused(c, s);
    if (e == OK)
        e = ask_workers(s, &workers);
    if (e == OK)
        e = (c->limited = limited_new(s, NULL, NULL)) ? limited_wait(c->limited) : ERR_NOMEM;
    if (c->words.n == 0 && e == OK) {
        e = print_batches(c, s, 20);
    } else if (e == OK) {
        struct span name = span_of(c->words.at[0]);
        e = job_name_ok(name) ? collect_status(s, name, &b) : ERR_MISSING;
        if (e == OK)
            print_batch(c, name, &b);
        collect_explain(e, name, &c->why);
        collect_batch_free(&b);
    }
    if (e == OK && !c->json)
        cmd_say(0,
                workers.n ? "%zu workers"
                          : "%zu workers: nothing will move until one is started",
                workers.n);
    if (e == OK && !c->json)
        say_limits(c->limited);
    limited_free(c->limited);
    return e;
}

static enum err list(struct cmd *c, struct session *s)
{
    enum err e = look_paused(c, s);
    return e == OK ? print_batches(c, s, 1000) : e;
}

static enum err workers(struct cmd *c, struct session *s)
{
    struct workers_call call = {.json = c->json};
    enum err e = ask_workers(s, &call);
    if (e == OK && call.n == 0 && !c->json)
        cmd_say(0, "no workers on queue %s", c->queue);
    return e;
}

static int connected(struct cmd *c, enum err (*act)(struct cmd *c, struct session *s))
{
    struct session *s = NULL;
    enum err e = cmd_connect(c, c->redis, c->queue, &s);
    if (e == OK)
        e = act(c, s);
    session_close(s);
    return e == OK ? EXIT_DONE : cmd_fail(c, e);
}

int cmd_status(struct cmd *c)
{
    return connected(c, status);
}

int cmd_list(struct cmd *c)
{
    return connected(c, list);
}

int cmd_workers(struct cmd *c)
{
    return connected(c, workers);
}
