// cmd_status.c - genfarm status and list.
#include <string.h>

#include "client/cmd.h"
#include "client/collect_batch.h"
#include "client/limited.h"
#include "client/waits.h"
#include "common/clock.h"
#include "common/json.h"

static const char *state_name(const struct collect_batch *b)
{
    return b->done_ms      ? "ended"
           : b->cancelling ? "cancelling"
           : b->paused     ? "paused"
           : !b->sealed    ? "open"
                           : "running";
}

// A batch nobody has finished submitting for a minute: submitting it again adds the rest. What
// other producers push may stay open, until they have told its end.
static bool stalled(const struct collect_batch *b)
{
    return !b->sealed && (!b->pushed || b->expected > 0) &&
           clock_wall_ms() - b->created_ms > 60000;
}

static void print_stalled(const struct collect_batch *b)
{
    if (b->pushed)
        printf("  stalled: %lld came in, of %lld; push the rest, or its end with the right "
               "total\n",
               (long long)(b->in + b->refused), (long long)b->expected);
    else
        printf("  stalled: %lld of ? came in; submit it again to add the rest\n",
               (long long)b->in);
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
    json_put_int(o, "refused", b->refused);
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
    if (b->refused)
        printf("  %lld more were refused: see genfarm dead --batch %.*s\n",
               (long long)b->refused, (int)name.len, name.ptr);
    if (stalled(b))
        print_stalled(b);
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

// *strange: what is kept of it is malformed.
static void print_listed(struct cmd *c, struct session *s, struct span name, bool *strange)
{
    struct collect_batch b = {0};
    enum err e = collect_status(s, name, &b);
    if (e == OK)
        print_batch(c, name, &b);
    *strange = e == ERR_FORMAT || e == ERR_RANGE;
    collect_batch_free(&b);
}

static void print_names(struct cmd *c, struct session *s, struct span names)
{
    unsigned n_strange = 0;
    while (names.len > 0) {
        bool strange;
        const char *end = memchr(names.ptr, '\n', names.len);
        size_t n = (size_t)(end - names.ptr);
        print_listed(c, s, (struct span){names.ptr, n}, &strange);
        n_strange += strange;
        names = (struct span){end + 1, names.len - n - 1};
    }
    if (n_strange > 0)
        cmd_say(0, "what the server keeps of %u batches is malformed; see genfarm fsck",
                n_strange);
}

static enum err print_batches(struct cmd *c, struct session *s, unsigned most)
{
    struct names names = {.text = {.max = 1u << 20}};
    enum err e = queue_list(session_queue(s), most, on_names, &names);
    e = session_finish(s, e, &names.done, &names.err);
    if (e == OK)
        print_names(c, s, buf_span(&names.text));
    if (e == OK && names.n == 0 && !c->json)
        cmd_say(0, "no batches in queue %s", c->queue);
    buf_free(&names.text);
    return e;
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

static enum err print_one(struct cmd *c, struct session *s, struct span name)
{
    struct collect_batch b = {0};
    enum err e = job_name_ok(name) ? collect_status(s, name, &b) : ERR_MISSING;
    if (e == OK)
        print_batch(c, name, &b);
    collect_explain(e, name, &c->why);
    collect_batch_free(&b);
    return e;
}

static void say_farm(const struct cmd *c, size_t workers)
{
    if (c->json)
        return;
    cmd_say(0, workers ? "%zu workers" : "%zu workers: nothing will move until one is started",
            workers);
    say_limits(c->limited);
}

static int status(struct cmd *c, struct session *s)
{
    size_t workers = 0;
    enum err e = look_paused(c, s);
    if (e == OK)
        e = cmd_count_workers(s, &workers);
    if (e == OK)
        e = (c->limited = limited_new(s, NULL, NULL)) ? limited_wait(c->limited) : ERR_NOMEM;
    if (e == OK)
        e = c->words.n == 0 ? print_batches(c, s, 20)
                            : print_one(c, s, span_of(c->words.at[0]));
    if (e == OK)
        say_farm(c, workers);
    limited_free(c->limited);
    return cmd_end(c, e);
}

static int list(struct cmd *c, struct session *s)
{
    enum err e = look_paused(c, s);
    return cmd_end(c, e == OK ? print_batches(c, s, 1000) : e);
}

int cmd_status(struct cmd *c)
{
    return cmd_connected(c, status);
}

int cmd_list(struct cmd *c)
{
    return cmd_connected(c, list);
}
