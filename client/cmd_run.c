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
#include <unistd.h>

#include "client/cmd.h"
#include "client/farm.h"
#include "client/sheet_live.h"
#include "common/file.h"

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
    bool no_room;             // was told
    bool draining;            // the batch is blocked: what is in flight is being finished
    struct buf broken;        // why the farm cannot go on; empty while it can
};

// --- Places ----------------------------------------------------------------------------------

static int name_places(struct run *r)
{
    struct cmd *c = r->cmd;
    char id[OUTPUT_BATCH_ID_SIZE], copy[MAX_PATH];
    output_batch_id(id);
    if (c->resume) {
        if (!realpath(c->resume, copy))
            return cmd_say(EXIT_CANNOT, "--resume %s: %s", c->resume, strerror(errno));
        snprintf(r->batch, sizeof r->batch, "%.100s", basename(copy));
        snprintf(r->dir, sizeof r->dir, "%s", dirname(copy));
    } else {
        snprintf(r->batch, sizeof r->batch, "%s", c->batch ? c->batch : id);
        if (file_mkdirs(c->output) != OK || !realpath(c->output, r->dir))
            return cmd_say(EXIT_CANNOT, "%s: %s", c->output, strerror(errno));
    }
    if (!job_name_ok(span_of(r->batch)))
        return cmd_say(EXIT_USAGE, "%s is not the folder of a batch", c->resume);
    snprintf(r->folder, sizeof r->folder, "%s/%s", r->dir, r->batch);
    snprintf(r->data, sizeof r->data, "%s/.genfarm/%s", r->dir, r->batch);
    snprintf(r->queue, sizeof r->queue, "run-%s", r->batch);
    if (!c->resume && access(r->folder, F_OK) == 0)
        return cmd_say(EXIT_USAGE, "%s is there already; --resume %s goes on with it",
                       r->folder, r->folder);
    if (c->resume && !c->redis_given && access(r->data, F_OK) != 0)
        return cmd_say(EXIT_USAGE,
                       "%s has no queue to go on with: the run had ended, or it was made with "
                       "--redis (then give the same here)",
                       r->folder);
    return 0;
}

// A missing key is told before anything is made.
static int check_key(const struct cmd *c)
{
    const char *google = getenv("GOOGLE_API_KEY"), *gemini = getenv("GEMINI_API_KEY");
    if (c->key_file || c->projects_file || (google && *google) || (gemini && *gemini))
        return 0;
    return cmd_say(EXIT_CANNOT, "no Gemini key: set GOOGLE_API_KEY or GEMINI_API_KEY, or give "
                                "--api-key-file or --projects; nothing was started");
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
    struct farm_options o = {.data = r->data,
                             .redis_url = c->redis_given ? c->redis : NULL,
                             .queue = r->queue,
                             .sink = r->dir,
                             .workers = (unsigned)c->workers,
                             .concurrency = c->concurrency,
                             .limit = c->limit,
                             .key_file = c->key_file,
                             .projects = c->projects_file,
                             .base_url = c->base_url,
                             .catalogue = c->catalogue_path,
                             .verify = c->verify};
    enum err e = farm_start(&o, &r->farm, &c->why);
    if (e == OK)
        e = cmd_connect(c, farm_url(r->farm), r->queue, &r->session);
    if (e == OK && c->resume)
        e = look_back(r);
    return e == OK ? farm_workers(r->farm, &c->why) : e;
}

// --- The run
// -------------------------------------------------------------------------------------

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
    snprintf(path, sizeof path, "%s/.genfarm", r->dir);
    rmdir(path); // when no other run is there
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

static int end(struct run *r, const struct collect_result *result, int status)
{
    if (result->ended && result->kept)
        return finish(r, result, status);
    if (r->broken.len)
        status = cmd_say(EXIT_CANNOT, "%s", buf_str(&r->broken));
    else if (status == EXIT_INTERRUPTED)
        cmd_say(
            0, "stopping: calls in flight are finished and kept (Ctrl-C again leaves at once)");
    if (!r->draining)
        drain(r);
    if (status == EXIT_QUOTA && result->code == CODE_BUDGET)
        cmd_say(0, "the budget has no room for one more call; raise it with --budget");
    cmd_say(0, "to go on: genfarm run --resume %s%s%s", r->folder,
            r->cmd->redis_given ? " --redis " : "", r->cmd->redis_given ? r->cmd->redis : "");
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

int cmd_run(struct cmd *c)
{
    struct run r = {.cmd = c, .broken = {.max = 4096}};
    int status = cmd_defaults(c);
    if (status == 0)
        status = check_key(c);
    if (status == 0)
        status = name_places(&r);
    if (status == 0 && c->words.n > 0)
        status = cmd_inputs(c, &r.inputs);
    if (status == 0 && r.inputs)
        status = cmd_check_budget(c, r.inputs);
    if (status == 0) {
        enum err e = start_farm(&r);
        status = e == OK ? with_farm(&r) : cmd_fail(c, e);
    }
    sheet_live_free(r.sheet); // before its loop goes
    session_close(r.session);
    farm_stop(r.farm);
    inputs_free(r.inputs);
    buf_free(&r.broken);
    return status;
}
