// cmd.h - what the genfarm commands share: options, connection, words for people.
#ifndef CLIENT_CMD_H
#define CLIENT_CMD_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/catalogue.h"
#include "broker/job.h"
#include "broker/ledger.h"
#include "client/input.h"
#include "client/quota.h"
#include "client/session.h"
#include "common/opt.h"

enum {
    EXIT_DONE = 0,
    EXIT_CANNOT = 1,
    EXIT_USAGE = 2,
    EXIT_JOBS = 3,
    EXIT_QUOTA = 4,
    EXIT_INTERRUPTED = 130
};

enum cmd_group { // of options
    CMD_CONNECT = 1,
    CMD_INPUT = 2, // files, and what jobs are made of them
    CMD_OUTPUT = 4,
    CMD_FARM = 8, // of run
    CMD_WATCH = 16,
    CMD_JSON = 32,
    CMD_SHEET = 64,
    CMD_FSCK = 128,
    CMD_BUDGET = 1024,
    CMD_USAGE = 2048,
    CMD_RETRY = 256,
    CMD_DEAD = 512,
    CMD_SUBMIT = 8192,
    CMD_DOCTOR = 4096,
    CMD_CATALOGUE = 16384,
    CMD_FOLLOW = 32768, // no options: waits for a server that is busy for as long as it takes
};

struct cmd;
struct limited;
struct command {
    const char *name, *words, *help; // words: "INPUT..."
    unsigned groups;
    unsigned least, most; // words wanted
    int (*run)(struct cmd *c);
};

struct cmd {
    const struct command *command;
    struct opt_strs words;
    bool help;
    // CMD_CONNECT
    const char *redis, *ca_file, *queue;
    bool redis_given, queue_given; // by flag or environment
    // CMD_INPUT
    const char *format, *batch, *on_unknown, *catalogue_path;
    const char *texts[16]; // values of the jobs' options, as they stand in the table
    const char *by;        // of CMD_USAGE
    uint64_t days;
    bool csv, calls;
    const char *day, *since, *until; // YYYY-MM-DD, of UTC
    const char *budget_text;
    const char *project;    // whose quota is looked at; NULL: of the workers there are
    struct quota_need need; // of the inputs
    int64_t budget;         // millionths of USD; 0: not given
    bool skip_bad;
    uint64_t count;
    double keep;
    // CMD_OUTPUT, CMD_FARM, CMD_WATCH, CMD_SHEET
    const char *output, *resume, *limit, *key_file, *projects_file, *base_url, *gemini_ca,
        *verify, *after;
    bool ordered, json, no_sheet, repair;
    // CMD_SUBMIT
    uint32_t was_in; // jobs that the batch had before; set by cmd_submit_inputs()
    uint64_t max_queue, max_queue_bytes;
    bool wait;
    // CMD_RETRY, CMD_DEAD
    const char *code, *export;
    const char *only_batch; // of CMD_USAGE, too
    bool retry, drop, all;
    uint64_t workers, concurrency, columns, cell;
    // made of them
    struct catalogue *catalogue;
    bool queue_paused;       // of status and list
    struct limited *limited; // of status; NULL: not looked yet
    struct job defaults;
    struct buf why;
};

// Says it on stderr, after "genfarm: ", and returns the status.
int cmd_say(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cmd_fail(const struct cmd *c, enum err e); // says c->why or the error's text
int cmd_end(const struct cmd *c, enum err e);  // EXIT_DONE, or as cmd_fail()
void cmd_print(struct json_object *o);         // one line on stdout; takes it. NULL: no memory
void cmd_show_usd(struct buf *out, int64_t micro); // "$1.0387"
MUST_USE enum err cmd_read(struct cmd *c, int argc, char *const argv[]);
void cmd_help(FILE *out, const struct command *command);
void cmd_free(struct cmd *c);
MUST_USE enum err cmd_connect(struct cmd *c, const char *url, const char *queue,
                              struct session **out);
// Does it connected as the options say. The exit status.
int cmd_connected(struct cmd *c, int (*act)(struct cmd *c, struct session *s));
// Says that it waits for the server, or for room, and with OK that it goes on: see patience.h.
void cmd_waiting(void *ctx, enum err e, const char *words);
void cmd_catch_signals(
    struct session *s); // Ctrl-C interrupts the session; again: leaves at once

// --- cmd_jobs.c ------------------------------------------------------------------------------

// Catalogue, and the defaults from the options. Says what is wrong; 0 or an exit status.
int cmd_defaults(struct cmd *c);
// Reads all words as inputs and checks every job. 0, or an exit status: then nothing may be
// sent.
int cmd_inputs(struct cmd *c, struct inputs **out);
// The options that are kept with a batch, as JSON.
void cmd_describe(const struct cmd *c, const struct inputs *in, struct buf *out);
struct span cmd_user(const struct cmd *c); // on whose behalf; empty: nobody was named

// --- cmd_submit.c ---------------------------------------------------------------------------

// Puts the batch, the options kept with it and all of the jobs into the queue. 0, or an exit
// status.
int cmd_submit_inputs(struct cmd *c, struct session *s, const struct inputs *in,
                      struct span batch);

// --- cmd_need.c ------------------------------------------------------------------------------

void cmd_need(struct cmd *c, const struct inputs *in); // reckons c->need
// Says how many calls there are, and what they cost: the estimate, and at worst.
void cmd_show_need(const struct cmd *c);
// Whether the batch's budget allows a call at all, and, connected, whether its user and its
// project may use what it asks for. Says what does not; 0 or an exit status: then nothing may
// be submitted.
int cmd_check_budget(const struct cmd *c);
int cmd_check_accounts(struct cmd *c, struct session *s);
// What a batch of so many jobs may cost from now on; it goes on with it.
MUST_USE enum err cmd_set_budget(struct session *s, struct span batch, int64_t micro,
                                 int64_t jobs);

MUST_USE enum err cmd_count_workers(struct session *s, size_t *n); // of the queue

int cmd_run(struct cmd *c);
int cmd_submit(struct cmd *c);
int cmd_watch(struct cmd *c);
int cmd_collect(struct cmd *c);
int cmd_status(struct cmd *c);
int cmd_list(struct cmd *c);
int cmd_workers(struct cmd *c);
int cmd_cancel(struct cmd *c);
int cmd_retry(struct cmd *c);
int cmd_pause(struct cmd *c);
int cmd_resume(struct cmd *c);
int cmd_preview(struct cmd *c);
int cmd_sheet(struct cmd *c);
int cmd_doctor(struct cmd *c);
int cmd_fsck(struct cmd *c);
int cmd_dead(struct cmd *c);
int cmd_limits(struct cmd *c);
int cmd_usage(struct cmd *c);
int cmd_quota(struct cmd *c);

// --- cmd_calls.c -----------------------------------------------------------------------------

typedef enum err cmd_ledger_entry(void *ctx, const struct ledger_call *c); // not OK: no more
// Tells each entry of the ledger of these days, since 1970-01-01; of c->only_batch alone, where
// that is given. Says what the ledger does not have any more.
MUST_USE enum err cmd_ledger(const struct cmd *c, struct session *s, int64_t since,
                             int64_t until, cmd_ledger_entry *each, void *ctx);
int cmd_calls(struct cmd *c, int64_t since, int64_t until);
#endif
