// cmd_run.c - genfarm run: a private farm, a batch, its end.
//
//   DIR/BATCH/             the results
//   DIR/.genfarm/BATCH/    the private Redis and the logs, until the batch has ended
#include <errno.h>
#include <ev.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cmd.h"
#include "client/farm.h"
#include "client/folder_lock.h"
#include "client/leftovers.h"
#include "client/output_files.h"
#include "client/sheet_live.h"
#include "common/file.h"
#include "common/secret.h"

#define MAX_PATH 4096
#define DRAIN_S  70 // the worker's grace and some

struct run {
    struct cmd *cmd;
    char dir[MAX_PATH], batch[JOB_MAX_NAME + 1], folder[MAX_PATH + 128], data[MAX_PATH + 160];
    char queue[JOB_MAX_NAME + 8];
    struct inputs *inputs; // NULL: resumed
    struct farm *farm;
    struct session *session;
    struct sheet_live *sheet; // NULL: none is wanted
    uint64_t seen;            // the batch's last event before our workers were there
    struct folder_lock *lock;
    bool over;         // there is nothing to do
    bool no_room;      // was told
    bool draining;     // the batch is blocked: what is in flight is being finished
    struct buf broken; // why the farm cannot go on; empty while it can
};

// --- Places ----------------------------------------------------------------------------------

static void name_places(struct run *r)
{
    const struct cmd *c = r->cmd;
    snprintf(r->folder, sizeof r->folder, "%s/%s", r->dir, r->batch);
    snprintf(r->data, sizeof r->data, "%s/.genfarm/%s", r->dir, r->batch);
    if (c->redis_given && c->queue_given)
        snprintf(r->queue, sizeof r->queue, "%s", c->queue);
    else
        snprintf(r->queue, sizeof r->queue, "run-%s", r->batch);
}

static int find_folder(struct run *r)
{
    const struct cmd *c = r->cmd;
    char copy[PATH_MAX];
    struct stat st;
    if (c->words.n > 0)
        return cmd_say(EXIT_USAGE, "--resume goes on with what the batch has, and takes no %s",
                       c->words.at[0]);
    if (!realpath(c->resume, copy) || stat(copy, &st) != 0)
        return cmd_say(EXIT_USAGE, "--resume %s: %s", c->resume, strerror(errno));
    snprintf(r->batch, sizeof r->batch, "%.100s", basename(copy));
    snprintf(r->dir, sizeof r->dir, "%s", dirname(copy));
    if (!S_ISDIR(st.st_mode) || !job_name_ok(span_of(r->batch)))
        return cmd_say(EXIT_USAGE, "--resume %s: is not the folder of a batch", c->resume);
    name_places(r);
    return 0;
}

static int make_output(struct run *r)
{
    const struct cmd *c = r->cmd;
    char id[OUTPUT_BATCH_ID_SIZE];
    output_batch_id(id);
    snprintf(r->batch, sizeof r->batch, "%s", c->batch ? c->batch : id);
    if (file_mkdirs(c->output) != OK || !realpath(c->output, r->dir))
        return cmd_say(EXIT_CANNOT, "%s: %s", c->output, strerror(errno));
    name_places(r);
    return 0;
}

static int lock_folder(struct run *r)
{
    enum err e =
        folder_lock_take(r->dir, r->batch, "run", FOLDER_LOCK_WAIT_MS, &r->lock, &r->cmd->why);
    return e == OK ? 0 : cmd_fail(r->cmd, e);
}

static int check_new(struct run *r)
{
    if (access(r->folder, F_OK) == 0)
        return cmd_say(EXIT_USAGE, "%s is there already; --resume %s goes on with it",
                       r->folder, r->folder);
    return 0;
}

// A folder whose batch has ended, and a queue that is of no use any more.
static int say_over(struct run *r, const struct output_files *n)
{
    r->over = true;
    farm_remove(r->data);
    if (n->missing == 0 && n->completed == n->total)
        return cmd_say(EXIT_DONE, "%s is complete: %lld of %lld jobs, nothing is left to do",
                       r->folder, (long long)n->completed, (long long)n->total);
    cmd_say(0, "%s has ended: %lld of %lld jobs completed, nothing is left to go on with",
            r->folder, (long long)n->completed, (long long)n->total);
    if (n->completed < n->total)
        cmd_say(0, "to try the failed ones again: genfarm run %s/failed.jsonl", r->folder);
    if (n->missing > 0)
        return cmd_say(EXIT_CANNOT,
                       "%lld images are missing or broken in %s/images, the first one %s, and "
                       "the queue that knew them is gone; what was asked is in manifest.jsonl",
                       (long long)n->missing, r->folder, n->first);
    return EXIT_JOBS;
}

// Another's server may know where images are, or have had failed jobs opened again.
static int check_resumed(struct run *r)
{
    const struct cmd *c = r->cmd;
    struct output_files n;
    bool queue = c->redis_given || access(r->data, F_OK) == 0;
    if (output_files_look(r->folder, &n) != OK)
        n = (struct output_files){0};
    if (n.complete && (n.missing == 0 || !queue))
        return say_over(r, &n);
    if (n.over && !queue)
        return say_over(r, &n);
    if (n.missing > 0)
        cmd_say(0, "%lld images are missing or broken in %s/images, the first one %s",
                (long long)n.missing, r->folder, n.first);
    if (!queue)
        return cmd_say(EXIT_USAGE,
                       "%s has no queue to go on with: it is not the folder of a run, or it "
                       "was made with --redis (then give the same here)",
                       r->folder);
    return 0;
}

// --- Options ---------------------------------------------------------------------------------

// A missing key is told before anything is made.
static int check_key(struct run *r)
{
    const struct cmd *c = r->cmd;
    const char *google = getenv("GOOGLE_API_KEY"), *gemini = getenv("GEMINI_API_KEY");
    if (c->key_file && secret_exposed(c->key_file))
        cmd_say(0, "%s: others than its owner may read it; chmod 600", c->key_file);
    if (c->key_file || c->projects_file || (google && *google) || (gemini && *gemini))
        return 0;
    return cmd_say(EXIT_CANNOT, "no Gemini key: set GOOGLE_API_KEY or GEMINI_API_KEY, or give "
                                "--api-key-file or --projects; nothing was started");
}

static struct farm_options farm_options_of(const struct run *r)
{
    const struct cmd *c = r->cmd;
    return (struct farm_options){.data = r->data,
                                 .redis_url = c->redis_given ? c->redis : NULL,
                                 .queue = r->queue[0] ? r->queue : "default",
                                 .sink = r->dir,
                                 .lock = folder_lock_fd(r->lock),
                                 .workers = (unsigned)c->workers,
                                 .concurrency = c->concurrency,
                                 .limit = c->limit,
                                 .key_file = c->key_file,
                                 .projects = c->projects_file,
                                 .base_url = c->base_url,
                                 .gemini_ca = c->gemini_ca,
                                 .redis_ca = c->ca_file,
                                 .catalogue = c->catalogue_path,
                                 .verify = c->verify};
}

static int check_options(struct run *r)
{
    struct farm_options o = farm_options_of(r);
    o.sink = "."; // nothing is made there
    enum err e = farm_check(&o, &r->cmd->why);
    if (e == ERR_FORMAT)
        return cmd_say(EXIT_USAGE, "%s; nothing was started", buf_str(&r->cmd->why));
    return e == OK ? 0 : cmd_fail(r->cmd, e);
}

static enum err look_back(struct run *r)
{
    struct collect_batch b = {0};
    enum err e = collect_status(r->session, span_of(r->batch), &b);
    r->seen = (uint64_t)b.last_event;
    collect_batch_free(&b);
    return e == ERR_MISSING ? OK : e; // not submitted yet: told later, in words
}

static enum err start_farm(struct run *r)
{
    struct cmd *c = r->cmd;
    struct farm_options o = farm_options_of(r);
    enum err e = farm_start(&o, &r->farm, &c->why);
    if (e == OK)
        e = cmd_connect(c, farm_url(r->farm), r->queue, &r->session);
    if (e == OK && c->resume)
        e = look_back(r);
    if (e == OK && c->resume && !c->redis_given) // all its workers were ours
        e = leftovers_end(r->session);
    return e == OK ? farm_workers(r->farm, &c->why) : e;
}

// --- The run --------------------------------------------------------------------------------

static void look(void *ctx)
{
    struct run *r = ctx;
    if (r->broken.len == 0 && !r->draining && farm_look(r->farm, &r->broken) != OK)
        session_interrupt(r->session);
    if (farm_no_room(r->farm) && !r->no_room)
        cmd_say(0,
                "%s: no room left, so that the private redis-server ended; free some room "
                "there, and the run goes on",
                r->dir);
    r->no_room = farm_no_room(r->farm);
}

static void begin_sheet(void *ctx, const struct output *o)
{
    struct run *r = ctx;
    if (!r->cmd->no_sheet)
        r->sheet = sheet_live_new(r->session, o);
}

static void add_to_sheet(void *ctx, const struct output *o, uint32_t index)
{
    struct run *r = ctx;
    if (r->sheet)
        sheet_live_take(r->sheet, o, index);
}

static void end_sheet(struct run *r)
{
    struct sheet_result made;
    struct buf why = {.max = 1024};
    if (!r->sheet)
        return;
    if (sheet_live_end(r->sheet, &made, &why) == OK)
        cmd_say(0, "contact sheet: %s/contact_sheet.png", r->folder);
    else
        cmd_say(0, "no contact sheet: %s", buf_str(&why));
    r->sheet = NULL;
    buf_free(&why);
}

// The workers' notes of what they stored, of no use once the batch has ended.
static void clean_up(struct run *r)
{
    char path[MAX_PATH + 160];
    snprintf(path, sizeof path, "%s/.records", r->folder);
    farm_remove(path);
}

static void drain(struct run *r)
{
    bool never = false;
    session_go_on(r->session);
    farm_drain(r->farm);
    for (int left = DRAIN_S * 20; left > 0 && farm_running(r->farm); left--)
        if (session_wait_for(r->session, &never, 0.05) == ERR_CANCELLED)
            return; // Ctrl-C once more
}

static int finish(struct run *r, const struct collect_result *result, int status)
{
    farm_drain(r->farm);
    end_sheet(r);
    farm_forget(r->farm);
    r->farm = NULL;
    clean_up(r);
    cmd_say(0, "images and manifest: %s", r->folder);
    if (result->failed + result->cancelled > 0)
        cmd_say(0, "to try the failed ones again: genfarm run %s/failed.jsonl", r->folder);
    return status;
}

// What there is of a batch that has not ended.
static void sum_up(struct run *r)
{
    struct collect_batch b = {0};
    struct buf cost = {.max = 64};
    if (collect_status(r->session, span_of(r->batch), &b) == OK) {
        cmd_show_usd(&cost, b.cost_micro);
        cmd_say(0, "%lld completed, %lld failed, %lld cancelled, %lld left of %lld; %s",
                (long long)b.completed, (long long)b.failed, (long long)b.cancelled,
                (long long)(b.total - b.completed - b.failed - b.cancelled), (long long)b.total,
                buf_str(&cost));
    }
    buf_free(&cost);
    collect_batch_free(&b);
}

static void say_how_to_go_on(const struct run *r, bool budget)
{
    const struct cmd *c = r->cmd;
    struct buf line = {.max = 3 * MAX_PATH};
    buf_addf(&line, "to go on: genfarm run --resume %s", r->folder);
    if (c->redis_given)
        buf_addf(&line, " --redis %s", c->redis);
    if (c->redis_given && c->queue_given)
        buf_addf(&line, " --queue %s", c->queue);
    if (budget)
        buf_add_str(&line, " --budget N, N being more dollars than before");
    cmd_say(0, "%s", buf_str(&line));
    buf_free(&line);
}

static int end(struct run *r, const struct collect_result *result, int status)
{
    bool budget = status == EXIT_QUOTA && result->code == CODE_BUDGET;
    if (result->ended && result->kept)
        return finish(r, result, status);
    if (r->broken.len)
        status = cmd_say(EXIT_CANNOT, "%s", buf_str(&r->broken));
    else if (status == EXIT_INTERRUPTED)
        cmd_say(
            0, "stopping: calls in flight are finished and kept (Ctrl-C again leaves at once)");
    if (!r->draining)
        drain(r);
    if (!r->broken.len)
        sum_up(r);
    if (budget)
        cmd_say(0, "the budget has no room for one more call");
    say_how_to_go_on(r, budget);
    return status;
}

// Nothing more can be sent: what is in flight ends, and is kept.
static bool drained(void *ctx)
{
    struct run *r = ctx;
    if (!r->draining)
        farm_drain(r->farm);
    r->draining = true;
    return !farm_running(r->farm);
}

// A budget holds the batch back until it is raised; trying it with the old one tells so at
// once.
static enum err go_on(struct run *r)
{
    struct collect_batch b = {0};
    struct session_value v = {0};
    enum err e = collect_status(r->session, span_of(r->batch), &b);
    int64_t budget = r->cmd->budget ? r->cmd->budget : b.budget_micro;
    collect_batch_free(&b);
    if (e == ERR_MISSING || (e == OK && budget == 0))
        return OK;
    return e != OK ? e
                   : session_value(r->session,
                                   queue_budget(session_queue(r->session), span_of(r->batch),
                                                budget, session_on_value, &v),
                                   &v);
}

static int follow(struct run *r)
{
    struct collect_result result = {0};
    struct cmd_follow f = {.batch = span_of(r->batch),
                           .folder = r->folder,
                           .resume = access(r->folder, F_OK) == 0,
                           .stop_blocked = true,
                           .blocked_after = r->seen,
                           .opened = begin_sheet,
                           .ended = add_to_sheet,
                           .idle = look,
                           .drained = drained,
                           .ctx = r};
    int status = cmd_follow(r->cmd, r->session, &f, &result);
    return end(r, &result, status);
}

static int with_farm(struct run *r)
{
    int status = 0;
    cmd_catch_signals(r->session);
    if (r->inputs)
        status = cmd_submit_inputs(r->cmd, r->session, r->inputs, span_of(r->batch));
    else if (r->cmd->resume && go_on(r) != OK)
        status = cmd_say(EXIT_CANNOT, "the batch's budget could not be set");
    if (status == 0)
        cmd_say(0, "batch %s: %s", r->batch, r->folder);
    return status == 0 ? follow(r) : status;
}

static int read_inputs(struct run *r)
{
    int status = cmd_inputs(r->cmd, &r->inputs);
    if (status != 0)
        return status;
    cmd_show_need(r->cmd);
    return cmd_check_budget(r->cmd);
}

static int start(struct run *r)
{
    enum err e = start_farm(r);
    return e == OK ? with_farm(r) : cmd_fail(r->cmd, e);
}

typedef int step(struct run *r); // 0, or the exit status
static step *const begun[] = {find_folder,   lock_folder, check_resumed, check_key,
                              check_options, start,       NULL};
static step *const fresh[] = {check_key, check_options, make_output, lock_folder,
                              check_new, read_inputs,   start,       NULL};

int cmd_run(struct cmd *c)
{
    struct run r = {.cmd = c, .broken = {.max = 4096}};
    int status = cmd_defaults(c);
    for (step *const *next = c->resume ? begun : fresh; status == 0 && !r.over && *next; next++)
        status = (*next)(&r);
    sheet_live_free(r.sheet); // before its loop goes
    session_close(r.session);
    farm_stop(r.farm);
    folder_lock_free(r.lock);
    inputs_free(r.inputs);
    buf_free(&r.broken);
    return status;
}
