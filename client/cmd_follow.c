// cmd_follow.c - see cmd_follow.h.
#include "client/cmd_follow.h"

#include <errno.h>

#include "client/cmd_summary.h"
#include "client/collect_resume.h"
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
    struct trail after;       // the last event that is known already
    char last_id[32];
    int64_t told_ms;
};

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
                e->type == EVENT_REOPENED || (e->type == EVENT_STEP && e->code != CODE_OK);
    if (!tell)
        return;
    struct buf id = {.max = 4096}, message = {.max = 4096}, step = {.max = 256};
    text_show(&id, e->type == EVENT_BLOCKED || e->type == EVENT_UNBLOCKED ? e->group : e->id,
              80);
    text_show(&message, e->message, 160);
    progress_hide(f->progress);
    if (e->type == EVENT_REOPENED)
        buf_addf(&id, "%lld jobs", (long long)e->jobs);
    if (e->type == EVENT_STEP)
        text_show(&step, e->step, 40);
    fprintf(stderr, "%s %s", step.len ? buf_str(&step) : event_name(e->type), buf_str(&id));
    if (e->type != EVENT_UNBLOCKED && e->type != EVENT_REOPENED)
        fprintf(stderr, ": %s%s%s", code_name(e->code), message.len ? ": " : "",
                buf_str(&message));
    fputc('\n', stderr);
    buf_free(&id);
    buf_free(&message);
    buf_free(&step);
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

// --- Following ------------------------------------------------------------------------------

static enum err resume(struct follow *f, const struct collect_batch *b)
{
    struct buf lost = {.max = 1024};
    enum err e = collect_resume(&f->patience, f->what->batch, b, f->output, &f->after, &lost,
                                &f->cmd->why);
    if (lost.len)
        cmd_say(0, "%s", buf_str(&lost));
    buf_free(&lost);
    return e;
}

static enum err open_folder(struct follow *f, const struct collect_batch *b)
{
    struct output_options o = {.folder = f->what->folder,
                               .batch = f->what->batch,
                               .total = (uint32_t)b->total,
                               .resume = f->what->resume,
                               .nonce = span_of(b->nonce)};
    errno = 0;
    enum err e = output_open(&o, &f->output, &f->cmd->why);
    if (e == OK)
        e = resume(f, b);
    if (e == OK)
        e = collect_inputs_patiently(&f->patience, f->what->batch, f->output);
    if (e != OK && f->cmd->why.len == 0)
        file_explain(&f->cmd->why, e, errno, o.folder, NULL);
    return e;
}

static void start_progress(struct follow *f)
{
    struct output_counts n = output_counts(f->output);
    progress_start_from(f->progress, n.completed, n.failed, n.cancelled, n.cost_micro);
}

static bool is_drained(void *ctx)
{
    const struct follow *f = ctx;
    return f->what->drained(f->what->ctx);
}

static struct collect_options options_of(struct follow *f)
{
    return (struct collect_options){.batch = f->what->batch,
                                    .after = f->after,
                                    .output = f->output,
                                    .progress = f->progress,
                                    .stop_blocked = f->what->stop_blocked,
                                    .blocked_after = f->what->blocked_after,
                                    .event = on_event,
                                    .idle = on_idle,
                                    .waiting = on_waiting,
                                    .drained = f->what->drained ? is_drained : NULL,
                                    .ctx = f};
}

// What the folder has from before.
static void start(struct follow *f)
{
    if (!f->output)
        return;
    if (f->after.number > 0) // else every event is told
        start_progress(f);
    if (f->what->opened)
        f->what->opened(f->what->ctx, f->output);
    if (f->cmd->ordered && !f->cmd->json)
        print_ordered(f);
}

static int finish(struct follow *f, const struct collect_batch *b, struct collect_result *r,
                  enum err e, double seconds)
{
    bool over = r->ended && (e == OK || e == ERR_CANCELLED);
    if (r->ended)
        progress_end(f->progress, clock_mono_ms());
    else
        progress_hide(f->progress);
    int status = cmd_summary_status(f->cmd, r, e);
    if (f->output && e != ERR_IO && e != ERR_FULL && e != ERR_MISSING)
        finish_folder(f, b, r, &status);
    if (over)
        cmd_summary_say(r, b, seconds);
    return status;
}

static int follow(struct follow *f, struct session *s, const struct collect_batch *b,
                  struct collect_result *r)
{
    struct collect_options o = options_of(f);
    int64_t began = clock_mono_ms();
    start(f);
    enum err e = collect(s, &o, r, &f->cmd->why);
    if (e == OK && f->output) // of jobs that came in meanwhile
        e = collect_inputs_patiently(&f->patience, f->what->batch, f->output);
    return finish(f, b, r, e, (double)(clock_mono_ms() - began) / 1000);
}

static void free_all(struct follow *f, struct collect_batch *b, struct collect_result *r)
{
    limited_free(f->limited);
    progress_free(f->progress);
    output_free(f->output);
    collect_batch_free(b);
    buf_free(&r->message);
    r->message = (struct buf){0};
}

static enum err prepare(struct follow *f, struct session *s, struct collect_batch *b)
{
    struct cmd *c = f->cmd;
    enum err e = collect_status_patiently(&f->patience, f->what->batch, b);
    collect_explain(e, f->what->batch, &c->why);
    if (e == OK && f->what->folder)
        e = open_folder(f, b);
    if (e != OK)
        return e;
    f->progress = progress_new(c->json ? NULL : stderr, (uint32_t)b->total);
    if (f->progress && (c->json || progress_drawn(f->progress)))
        f->limited = limited_new(s, told_limits, f);
    return f->progress ? OK : ERR_NOMEM;
}

int cmd_follow(struct cmd *c, struct session *s, const struct cmd_follow *what,
               struct collect_result *r)
{
    struct follow f = {.cmd = c, .what = what, .after = {.number = what->after}};
    struct collect_batch b = {0};
    *r = (struct collect_result){0};
    f.patience =
        (struct patience){.session = s, .endless = true, .told = on_waiting, .ctx = &f};
    enum err e = prepare(&f, s, &b);
    int status = e == OK ? follow(&f, s, &b, r) : cmd_fail(c, e);
    free_all(&f, &b, r);
    return status;
}
