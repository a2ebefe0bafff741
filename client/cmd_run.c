// cmd_run.c - genfarm run: a private farm, a batch, its end.
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cmd_follow.h"
#include "client/cmd_run_place.h"
#include "client/cmd_summary.h"
#include "client/farm.h"
#include "client/folder_lock.h"
#include "client/leftovers.h"
#include "client/output_check.h"
#include "client/sheet_live.h"
#include "common/secret.h"

#define DRAIN_S 70 // the worker's grace and some

struct run {
    struct cmd *cmd;
    struct run_place at;
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

static int lock_folder(struct run *r)
{
    enum err e = folder_lock_take(r->at.dir, r->at.batch, "run", FOLDER_LOCK_WAIT_MS, &r->lock,
                                  &r->cmd->why);
    return e == OK ? 0 : cmd_fail(r->cmd, e);
}

static int check_resumed(struct run *r)
{
    return run_place_check_resumed(r->cmd, &r->at, &r->over);
}

static int check_new(struct run *r)
{
    return run_place_check_new(&r->at);
}

static int find_folder(struct run *r)
{
    return run_place_find(r->cmd, &r->at);
}

static int make_output(struct run *r)
{
    return run_place_make(r->cmd, &r->at);
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
    return (struct farm_options){.data = r->at.data,
                                 .redis_url = c->redis_given ? c->redis : NULL,
                                 .queue = r->at.queue[0] ? r->at.queue : "default",
                                 .sink = r->at.dir,
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
    struct span batch = span_of(r->at.batch);
    enum err e = collect_status(r->session, batch, &b);
    r->seen = (uint64_t)b.last_event;
    if (e == OK) // before anything is spent on another one
        e = output_check(r->at.folder, batch, span_of(b.nonce), true, &r->cmd->why);
    else if (e == ERR_MISSING)
        e = OK; // not submitted yet: told later, in words
    collect_batch_free(&b);
    return e;
}

static enum err start_farm(struct run *r)
{
    struct cmd *c = r->cmd;
    struct farm_options o = farm_options_of(r);
    enum err e = farm_start(&o, &r->farm, &c->why);
    if (e == OK)
        e = cmd_connect(c, farm_url(r->farm), r->at.queue, &r->session);
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
                r->at.dir);
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

// Large pictures, or many, take a while on a busy machine.
static void say_if_it_lasts(struct run *r)
{
    const bool *finished = sheet_live_finished(r->sheet);
    if (finished && session_wait_for(r->session, finished, 1.) != ERR_CANCELLED && !*finished)
        cmd_say(0, "drawing the contact sheet; Ctrl-C leaves it out");
}

static void end_sheet(struct run *r)
{
    struct sheet_result made;
    struct buf why = {.max = 1024};
    if (!r->sheet)
        return;
    say_if_it_lasts(r);
    if (sheet_live_end(r->sheet, &made, &why) == OK)
        cmd_say(0, "contact sheet: %s/contact_sheet.png", r->at.folder);
    else
        cmd_say(0, "no contact sheet: %s", buf_str(&why));
    r->sheet = NULL;
    buf_free(&why);
}

// The workers' notes of what they stored, of no use once the batch has ended.
static void clean_up(struct run *r)
{
    char path[sizeof r->at.folder + 16];
    snprintf(path, sizeof path, "%s/.records", r->at.folder);
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
    cmd_say(0, "images and manifest: %s", r->at.folder);
    if (result->failed + result->cancelled > 0)
        run_place_say_failed(&r->at);
    return status;
}

// What there is of a batch that has not ended.
static void sum_up(struct run *r)
{
    struct collect_batch b = {0};
    if (collect_status(r->session, span_of(r->at.batch), &b) == OK)
        cmd_summary_say_open(&b);
    collect_batch_free(&b);
}

static void say_how_to_go_on(const struct run *r, bool budget)
{
    const struct cmd *c = r->cmd;
    struct buf line = {.max = 4 * RUN_PLACE_PATH};
    buf_addf(&line, "to go on: genfarm run --resume %s", r->at.folder);
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
    enum err e = collect_status(r->session, span_of(r->at.batch), &b);
    int64_t budget = r->cmd->budget ? r->cmd->budget : b.budget_micro, jobs = b.in;
    collect_batch_free(&b);
    if (e == ERR_MISSING || (e == OK && budget == 0))
        return OK;
    return e != OK ? e : cmd_set_budget(r->session, span_of(r->at.batch), budget, jobs);
}

static int follow(struct run *r)
{
    struct collect_result result = {0};
    struct cmd_follow f = {.batch = span_of(r->at.batch),
                           .folder = r->at.folder,
                           .resume = access(r->at.folder, F_OK) == 0,
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
        status = cmd_submit_inputs(r->cmd, r->session, r->inputs, span_of(r->at.batch));
    else if (r->cmd->resume && go_on(r) != OK)
        status = cmd_say(EXIT_CANNOT, "the batch's budget could not be set");
    if (status == 0)
        cmd_say(0, "batch %s: %s", r->at.batch, r->at.folder);
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
