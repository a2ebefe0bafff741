// cmd_follow.c - watching and collecting: what run, watch and collect have in common.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cmd.h"
#include "client/folder_lock.h"
#include "client/limited.h"
#include "client/patience.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"
#include "common/text.h"

#define LOOK_MS     2000 // between looks at what limits the farm
#define PROGRESS_MS 1000 // between progress events of --json

struct follow {
    struct cmd *cmd;
    const struct cmd_follow *what;
    struct progress *progress;
    struct limited *limited; // NULL: nobody would see it
    int64_t look_ms;         // when it is looked again, clock_mono_ms()
    struct output *output;
    struct patience patience; // with the server
    char last_id[32];
    int64_t told_ms;
};

void cmd_show_usd(struct buf *out, int64_t micro)
{
    buf_addf(out, "$%lld.%04lld", (long long)(micro / 1000000),
             (long long)(micro / 100 % 10000));
}

// --- What is printed ------------------------------------------------------------------------

static void print_progress(struct follow *f)
{
    if (f->last_id[0])
        cmd_print(
            progress_json(f->progress, clock_mono_ms(), f->what->batch, span_of(f->last_id)));
    f->told_ms = clock_mono_ms();
}

// Where stdout is the terminal, too, the bar goes first, and the lines are there before it is
// drawn again.
static void print_ordered(struct follow *f)
{
    struct buf line = {.max = 1u << 21};
    while (output_next_ordered(f->output, &line)) {
        if (f->progress)
            progress_hide(f->progress);
        printf("%s\n", buf_str(&line));
        buf_clear(&line);
    }
    if (f->progress && progress_drawn(f->progress))
        fflush(stdout);
    buf_free(&line);
}

// One line of words for what is worth a person's look; a terminal gets them above its bar.
static void print_words(struct follow *f, const struct event *e)
{
    bool tell = e->type == EVENT_FAILED || e->type == EVENT_UNKNOWN ||
                e->type == EVENT_BLOCKED || e->type == EVENT_UNBLOCKED ||
                e->type == EVENT_REOPENED;
    if (!tell)
        return;
    struct buf id = {.max = 4096}, message = {.max = 4096};
    text_show(&id, e->type == EVENT_BLOCKED || e->type == EVENT_UNBLOCKED ? e->group : e->id,
              80);
    text_show(&message, e->message, 160);
    progress_hide(f->progress);
    if (e->type == EVENT_REOPENED)
        buf_addf(&id, "%lld jobs", (long long)e->jobs);
    fprintf(stderr, "%s %s", event_name(e->type), buf_str(&id));
    if (e->type != EVENT_UNBLOCKED && e->type != EVENT_REOPENED)
        fprintf(stderr, ": %s%s%s", code_name(e->code), message.len ? ": " : "",
                buf_str(&message));
    fputc('\n', stderr);
    buf_free(&id);
    buf_free(&message);
}

static void on_event(void *ctx, const struct event *e, struct span event_id)
{
    struct follow *f = ctx;
    if (f->what->ended && f->output && event_terminal(e->type))
        f->what->ended(f->what->ctx, f->output, e->index);
    snprintf(f->last_id, sizeof f->last_id, "%.*s", (int)event_id.len, event_id.ptr);
    if (f->cmd->json) {
        if (e->type == EVENT_BATCH_DONE)
            print_progress(f);
        cmd_print(event_json(e, f->what->batch, event_id));
        if (clock_mono_ms() - f->told_ms >= PROGRESS_MS)
            print_progress(f);
    } else {
        print_words(f, e);
        if (f->cmd->ordered && f->output)
            print_ordered(f);
    }
}

static void told_limits(void *ctx)
{
    struct follow *f = ctx;
    char batch[JOB_MAX_NAME + 1];
    snprintf(batch, sizeof batch, "%.*s", (int)f->what->batch.len, f->what->batch.ptr);
    struct remotes_sum remote = remotes_sum(limited_remotes(f->limited), batch, NULL);
    bool news = progress_limited(f->progress, limited_worst(f->limited));
    news = progress_remote(f->progress, &remote) || news;
    if (news && f->cmd->json)
        print_progress(f);
}

static void on_waiting(void *ctx, enum err e, const char *words)
{
    struct follow *f = ctx;
    if (f->progress)
        progress_hide(f->progress);
    cmd_waiting(NULL, e, words);
}

static void on_idle(void *ctx)
{
    struct follow *f = ctx;
    fflush(stdout);
    if (f->limited && clock_mono_ms() >= f->look_ms) {
        f->look_ms = clock_mono_ms() + LOOK_MS;
        limited_look(f->limited);
    }
    if (f->what->idle)
        f->what->idle(f->what->ctx);
}

// --- The end --------------------------------------------------------------------------------

static void finish_folder(struct follow *f, const struct collect_batch *b,
                          struct collect_result *r, int *status)
{
    struct json_object *options = NULL;
    struct span model = {0};
    if (b->options.len && json_read(buf_span(&b->options), &options, NULL) != OK)
        options = NULL;
    json_get_str(options, "model", &model);
    struct output_summary s = {.submitted_ms = b->created_ms,
                               .ended_ms = clock_wall_ms(),
                               .model = model,
                               .options = options,
                               .possible_double_bill = r->possible_double_bill,
                               .interrupted = !r->ended};
    struct buf why = {.max = 8192};
    r->kept = output_finish(f->output, &s, &why) == OK;
    if (!r->kept)
        *status = cmd_say(EXIT_CANNOT, "%s", buf_str(&why));
    buf_free(&why);
    json_object_put(options);
}

static void say_gone(const struct collect_result *r, const struct collect_batch *b)
{
    cmd_say(0, "%u jobs completed, but their images are no longer where they were stored%s",
            r->images_gone,
            b->images_gone ? ": nobody fetched them before the workers' --keep, --keep-bytes "
                             "or --max-stored had them removed"
                           : "");
}

static void sum_up(const struct collect_result *r, double seconds)
{
    struct buf line = {.max = 1024};
    buf_addf(&line, "%lld completed, %lld failed, %lld cancelled of %lld; ",
             (long long)r->completed, (long long)r->failed, (long long)r->cancelled,
             (long long)r->total);
    cmd_show_usd(&line, r->cost_micro);
    if (r->possible_double_bill > 0)
        buf_addf(&line, "; %lld calls may have been billed twice",
                 (long long)r->possible_double_bill);
    if (seconds > 0)
        buf_addf(&line, "; %.1f s", seconds);
    cmd_say(0, "%s", buf_str(&line));
    buf_free(&line);
}

static int status_of(const struct cmd *c, const struct collect_result *r, enum err e)
{
    if (e == ERR_CANCELLED)
        return EXIT_INTERRUPTED;
    if (e != OK)
        return cmd_fail(c, e);
    if (r->blocked && !r->ended)
        return r->code == CODE_QUOTA_EXHAUSTED || r->code == CODE_BUDGET ? EXIT_QUOTA
                                                                         : EXIT_CANNOT;
    if (r->images_gone > 0)
        return EXIT_CANNOT;
    return r->failed + r->cancelled > 0 ? EXIT_JOBS : EXIT_DONE;
}

// --- Following ------------------------------------------------------------------------------

static enum err open_folder(struct follow *f, const struct collect_batch *b)
{
    struct output_options o = {.folder = f->what->folder,
                               .batch = f->what->batch,
                               .total = (uint32_t)b->total,
                               .resume = f->what->resume};
    errno = 0;
    enum err e = output_open(&o, &f->output, &f->cmd->why);
    if (e == OK)
        e = collect_inputs_patiently(&f->patience, f->what->batch, f->output);
    if (e != OK && f->cmd->why.len == 0)
        file_explain(&f->cmd->why, e, errno, o.folder, NULL);
    return e;
}

// Jobs that are open in the folder of a batch that has ended were lost there: all events are
// asked for again.
static uint64_t resume_after(const struct follow *f, const struct collect_batch *b)
{
    if (!f->output)
        return f->what->after;
    struct output_counts n = output_counts(f->output);
    if (b->done_ms > 0 && (int64_t)n.completed + n.failed + n.cancelled < b->total)
        return 0;
    return n.last_event > f->what->after ? n.last_event : f->what->after;
}

static void start_progress(struct follow *f, uint64_t after)
{
    if (!f->output || after == 0) // every event is told
        return;
    struct output_counts n = output_counts(f->output);
    progress_start_from(f->progress, n.completed, n.failed, n.cancelled, n.cost_micro);
}

static bool is_drained(void *ctx)
{
    const struct follow *f = ctx;
    return f->what->drained(f->what->ctx);
}

static int follow(struct follow *f, struct session *s, const struct collect_batch *b,
                  struct collect_result *r)
{
    struct cmd *c = f->cmd;
    uint64_t after = resume_after(f, b);
    struct collect_options o = {.batch = f->what->batch,
                                .after = after,
                                .output = f->output,
                                .progress = f->progress,
                                .stop_blocked = f->what->stop_blocked,
                                .blocked_after = f->what->blocked_after,
                                .event = on_event,
                                .idle = on_idle,
                                .waiting = on_waiting,
                                .drained = f->what->drained ? is_drained : NULL,
                                .ctx = f};
    int64_t began = clock_mono_ms();
    start_progress(f, after);
    if (f->output && f->what->opened)
        f->what->opened(f->what->ctx, f->output);
    if (c->ordered && f->output && !c->json)
        print_ordered(f);
    enum err e = collect(s, &o, r, &c->why);
    if (e == OK && f->output) // of jobs that came in meanwhile
        e = collect_inputs_patiently(&f->patience, f->what->batch, f->output);
    if (r->ended)
        progress_end(f->progress, clock_mono_ms());
    else
        progress_hide(f->progress);
    int status = status_of(c, r, e);
    if (f->output && e != ERR_IO && e != ERR_FULL && e != ERR_MISSING)
        finish_folder(f, b, r, &status);
    if ((e == OK || e == ERR_CANCELLED) && r->ended)
        sum_up(r, (double)(clock_mono_ms() - began) / 1000);
    if ((e == OK || e == ERR_CANCELLED) && r->ended && r->images_gone > 0)
        say_gone(r, b);
    return status;
}

int cmd_follow(struct cmd *c, struct session *s, const struct cmd_follow *what,
               struct collect_result *r)
{
    struct follow f = {.cmd = c, .what = what};
    struct collect_batch b = {0};
    *r = (struct collect_result){0};
    f.patience =
        (struct patience){.session = s, .endless = true, .told = on_waiting, .ctx = &f};
    enum err e = collect_status_patiently(&f.patience, what->batch, &b);
    collect_explain(e, what->batch, &c->why);
    if (e == OK && what->folder)
        e = open_folder(&f, &b);
    f.progress = e == OK ? progress_new(c->json ? NULL : stderr, (uint32_t)b.total) : NULL;
    if (e == OK && !f.progress)
        e = ERR_NOMEM;
    if (e == OK && (c->json || progress_drawn(f.progress)))
        f.limited = limited_new(s, told_limits, &f);
    int status = e == OK ? follow(&f, s, &b, r) : cmd_fail(c, e);
    limited_free(f.limited);
    progress_free(f.progress);
    output_free(f.output);
    collect_batch_free(&b);
    buf_free(&r->message);
    r->message = (struct buf){0};
    return status;
}

// --- watch and collect ----------------------------------------------------------------------

static bool read_after(struct cmd *c, uint64_t *after)
{
    struct span s = span_of(c->after);
    if (s.len > 2 && memcmp(s.ptr + s.len - 2, "-0", 2) == 0)
        s.len -= 2;
    *after = 0;
    return !c->after || text_uint(s, 0, UINT32_MAX, after) == OK;
}

int cmd_watch(struct cmd *c)
{
    struct session *s = NULL;
    struct collect_result r;
    struct cmd_follow f = {.batch = span_of(c->words.at[0])};
    if (!job_name_ok(f.batch))
        return cmd_say(EXIT_USAGE, "%.100s: no batch has such a name", c->words.at[0]);
    if (!read_after(c, &f.after))
        return cmd_say(EXIT_USAGE, "--after %.100s: must be an event's id, as 17-0", c->after);
    enum err e = cmd_connect(c, c->redis, c->queue, &s);
    if (e != OK)
        return cmd_fail(c, e);
    cmd_catch_signals(s);
    int status = cmd_follow(c, s, &f, &r);
    session_close(s);
    return status;
}

// DIR is made, for the lock is beside the batch's folder in it.
static int lock_output(struct cmd *c, struct folder_lock **lock)
{
    if (file_mkdirs(c->output) != OK)
        return cmd_say(EXIT_CANNOT, "%s: %s", c->output, strerror(errno));
    enum err e = folder_lock_take(c->output, c->words.at[0], "collected", FOLDER_LOCK_WAIT_MS,
                                  lock, &c->why);
    return e == OK ? 0 : cmd_fail(c, e);
}

static int collect_into(struct cmd *c, struct session *s)
{
    struct collect_result r;
    struct folder_lock *lock = NULL;
    char folder[4096];
    struct cmd_follow f = {.batch = span_of(c->words.at[0]), .folder = folder};
    int status = lock_output(c, &lock);
    if (status != 0)
        return status;
    snprintf(folder, sizeof folder, "%s/%s", c->output, c->words.at[0]);
    f.resume = access(folder, F_OK) == 0;
    cmd_catch_signals(s);
    status = cmd_follow(c, s, &f, &r);
    if (r.kept && r.ended)
        cmd_say(0, "images and manifest are in %s", folder);
    folder_lock_free(lock);
    return status;
}

int cmd_collect(struct cmd *c)
{
    struct session *s = NULL;
    if (!job_name_ok(span_of(c->words.at[0])))
        return cmd_say(EXIT_USAGE, "%.100s: no batch has such a name", c->words.at[0]);
    enum err e = cmd_connect(c, c->redis, c->queue, &s);
    if (e != OK)
        return cmd_fail(c, e);
    int status = collect_into(c, s);
    session_close(s);
    return status;
}
