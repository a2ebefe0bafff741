// main.c - genfarm: one table of commands.
#include <ev.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cmd.h"
#include "common/json.h"
#include "common/secret.h"

#define PATIENCE_S 60.0 // with a server that is there and cannot answer yet

static const struct command commands[] = {
    {"run", "INPUT... ", "The whole farm on this machine: submits, works, saves, sums up",
     CMD_INPUT | CMD_FARM | CMD_OUTPUT | CMD_JSON | CMD_CONNECT | CMD_FOLLOW, 1, 1000, cmd_run},
    {"submit", "INPUT... ", "Puts a batch into the queue and prints its id",
     CMD_INPUT | CMD_SUBMIT | CMD_CONNECT, 1, 1000, cmd_submit},
    {"watch", "BATCH ", "Shows a batch's events as they happen, until it ends",
     CMD_WATCH | CMD_JSON | CMD_CONNECT | CMD_FOLLOW, 1, 1, cmd_watch},
    {"collect", "BATCH ", "Waits for a batch and saves each image as it completes",
     CMD_OUTPUT | CMD_JSON | CMD_CONNECT | CMD_FOLLOW, 1, 1, cmd_collect},
    {"status", "[BATCH] ", "Counts, cost and what limits the farm now", CMD_JSON | CMD_CONNECT,
     0, 1, cmd_status},
    {"list", "", "The newest batches of the queue", CMD_JSON | CMD_CONNECT, 0, 0, cmd_list},
    {"workers", "", "The workers of the queue", CMD_JSON | CMD_CONNECT, 0, 0, cmd_workers},
    {"cancel", "BATCH [ID...] ", "Cancels a batch, or some of its jobs", CMD_CONNECT, 1, 1000,
     cmd_cancel},
    {"retry", "BATCH [ID...] ", "Opens failed and cancelled jobs again",
     CMD_RETRY | CMD_BUDGET | CMD_CONNECT, 1, 1000, cmd_retry},
    {"dead", "[LETTER...] ", "Dead letters: jobs that killed workers, and malformed input",
     CMD_DEAD | CMD_JSON | CMD_CONNECT, 0, 1000, cmd_dead},
    {"pause", "[BATCH] ", "Holds back a batch, or the whole queue", CMD_CONNECT, 0, 1,
     cmd_pause},
    {"resume", "[BATCH] ", "Lets a paused batch or queue go on", CMD_BUDGET | CMD_CONNECT, 0, 1,
     cmd_resume},
    {"preview", "INPUT... ", "Sends nothing: shows prompts, requests and the cost estimate",
     CMD_INPUT | CMD_JSON | CMD_CONNECT, 1, 1000, cmd_preview},
    {"sheet", "DIR ", "Draws a contact sheet of a batch's folder", CMD_SHEET, 1, 1, cmd_sheet},
    {"usage", "", "Calls, images, tokens and cost by user, model, lane, day or batch",
     CMD_USAGE | CMD_JSON | CMD_CONNECT, 0, 0, cmd_usage},
    {"quota", "[set ACCOUNT SPEC | clear ACCOUNT | ACCOUNT...] ",
     "Shows, sets or clears what users and projects may use by day and month",
     CMD_JSON | CMD_CONNECT, 0, 100, cmd_quota},
    {"limits", "[set GROUP SPEC | clear GROUP | GROUP...] ",
     "Shows, sets or clears a model's farm-wide limits", CMD_CATALOGUE | CMD_JSON | CMD_CONNECT,
     0, 100, cmd_limits},
    {"doctor", "", "Checks the server, its settings, the key and the models",
     CMD_DOCTOR | CMD_JSON | CMD_CONNECT, 0, 0, cmd_doctor},
    {"fsck", "", "Checks the queue's invariants, on a live queue",
     CMD_FSCK | CMD_JSON | CMD_CONNECT, 0, 0, cmd_fsck},
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

int cmd_say(int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("genfarm: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return status;
}

int cmd_fail(const struct cmd *c, enum err e)
{
    if (e == ERR_CANCELLED)
        return cmd_say(EXIT_INTERRUPTED, "interrupted");
    return cmd_say(e == ERR_LIMIT ? EXIT_QUOTA : EXIT_CANNOT, "%s",
                   c->why.len ? buf_str(&c->why) : err_text(e));
}

int cmd_end(const struct cmd *c, enum err e)
{
    return e == OK ? EXIT_DONE : cmd_fail(c, e);
}

void cmd_print(struct json_object *o)
{
    struct buf line = {.max = 16u << 20};
    if (o)
        json_write(&line, o);
    json_object_put(o);
    if (line.len && !line.err)
        puts(buf_str(&line));
    buf_free(&line);
}

void cmd_show_usd(struct buf *out, int64_t micro)
{
    buf_addf(out, "$%lld.%04lld", (long long)(micro / 1000000),
             (long long)(micro / 100 % 10000));
}

void cmd_free(struct cmd *c)
{
    catalogue_free(c->catalogue);
    buf_free(&c->why);
}

enum err cmd_connect(struct cmd *c, const char *url, const char *queue, struct session **out)
{
    unsigned groups = c->command->groups;
    struct session_options o = {.redis = span_of(url),
                                .queue = span_of(queue),
                                .ca_file = c->ca_file,
                                .patience = groups & CMD_DOCTOR              ? 0
                                            : groups & CMD_FOLLOW || c->wait ? -1
                                                                             : PATIENCE_S,
                                .told = cmd_waiting};
    return session_open(&o, out, &c->why);
}

int cmd_connected(struct cmd *c, int (*act)(struct cmd *c, struct session *s))
{
    struct session *s = NULL;
    enum err e = cmd_connect(c, c->redis, c->queue, &s);
    if (e != OK)
        return cmd_fail(c, e);
    int status = act(c, s);
    session_close(s);
    return status;
}

void cmd_waiting(void *ctx, enum err e, const char *words)
{
    (void)ctx;
    if (e == OK)
        cmd_say(0, "going on");
    else
        cmd_say(0, "waiting: %s", words);
}

// --- Signals --------------------------------------------------------------------------------

static void on_signal(struct ev_loop *loop, ev_signal *w, int revents)
{
    (void)loop, (void)revents;
    struct session *s = w->data;
    if (session_interrupted(s))
        _exit(EXIT_INTERRUPTED);
    session_interrupt(s);
}

void cmd_catch_signals(struct session *s)
{
    static ev_signal watchers[2]; // for the process's life
    static const int numbers[2] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        ev_signal_init(&watchers[i], on_signal, numbers[i]);
        watchers[i].data = s;
        ev_signal_start(session_loop(s), &watchers[i]);
        ev_unref(session_loop(s));
    }
}

// --- Commands -------------------------------------------------------------------------------

static void help(FILE *out)
{
    fputs("usage: genfarm COMMAND [options]\n\n", out);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-9s %-14s %s\n", commands[i].name, commands[i].words,
                commands[i].help);
    fputs(
        "\ngenfarm COMMAND --help tells more. Exit status: 0 all succeeded, 1 could not run,\n"
        "2 bad usage or input, 3 some jobs failed, were cancelled, or refused when they were\n"
        "pushed, 4 refused by a quota, a budget or --max-queue, 130 interrupted.\n",
        out);
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int run(const struct command *command, int argc, char *argv[])
{
    struct cmd c = {.command = command, .why = {.max = 65536}};
    enum err e = cmd_read(&c, argc, argv);
    int status = EXIT_DONE;
    if (e != OK)
        status = cmd_say(EXIT_USAGE, "%s", buf_str(&c.why));
    else if (c.help)
        cmd_help(stdout, command);
    else
        status = command->run(&c);
    cmd_free(&c);
    if (fflush(stdout) != 0 && status == EXIT_DONE)
        status = cmd_say(EXIT_CANNOT, "cannot write to stdout");
    return status;
}

int main(int argc, char *argv[])
{
    const char *word = argc > 1 ? argv[1] : "";
    signal(SIGPIPE, SIG_IGN);
    secret_hide_arguments(argc, argv);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        const struct command *about = argc > 2 ? find(argv[2]) : NULL;
        if (about) {
            cmd_help(stdout, about);
            return EXIT_DONE;
        }
        help(stdout);
        return EXIT_DONE;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        printf("genfarm %s\n", GENFARM_VERSION);
        return EXIT_DONE;
    }
    const struct command *command = find(word);
    if (command && command->groups & (CMD_FARM | CMD_DOCTOR)) // which have keys
        secret_no_dumps();
    if (command)
        return run(command, argc - 1, argv + 1);
    if (word[0])
        return cmd_say(EXIT_USAGE, "%s: no such command; see genfarm --help", word);
    help(stderr);
    return EXIT_USAGE;
}
