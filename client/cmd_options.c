// cmd_options.c - the options of the commands, in groups.
#include <stdlib.h>
#include <string.h>

#include "client/cmd.h"
#include "client/input.h"
#include "common/redis.h"
#include "common/text.h"

#define TABLE 64

struct builder {
    struct opt *table;
    size_t n;
};

static void add(struct builder *b, const struct opt *all, size_t n)
{
    memcpy(b->table + b->n, all, n * sizeof *all);
    b->n += n;
}
#define ADD(b, ...)                                  \
    do {                                             \
        const struct opt added[] = {__VA_ARGS__};    \
        add(b, added, sizeof added / sizeof *added); \
    } while (0)

static void connect_options(struct builder *b, struct cmd *c)
{
    ADD(b, {.type = OPT_GROUP, .help = "The farm"},
        {"redis", 0, OPT_STR, &c->redis, "URL", NULL, "GENFARM_REDIS_URL,REDIS_URL",
         "the server (redis://127.0.0.1:6379/0; run: one of its own), or redis+sentinel://, "
         "redis+cluster://",
         0, 0},
        {"redis-ca", 0, OPT_STR, &c->ca_file, "FILE", NULL, NULL,
         "certificates to trust over TLS (the system's)", 0, 0},
        {"queue", 0, OPT_STR, &c->queue, "NAME", NULL, "GENFARM_QUEUE",
         "the queue (default; run: run-BATCH, or with --redis what is given)", 0, 0});
}

// The names of struct job's members that have an option of their own, in the order of c->texts.
#define BUDGET_OPTION                                                                        \
    {                                                                                        \
        "budget", 0, OPT_STR, &c->budget_text, "USD", NULL, NULL,                            \
            "what the batch may cost at most; then it waits, and what is done is kept", 0, 0 \
    }

static void job_options(struct builder *b, struct cmd *c)
{
    static const char *const all[][3] = {
        {"model", "NAME", "the model, or its alias (the catalogue's default)"},
        {"aspect-ratio", "W:H", "1:1, 16:9, ... (the model's own choice)"},
        {"image-size", "SIZE", "512, 1K, 2K or 4K, as the model allows"},
        {"negative", "TEXT", "what must not be in the picture"},
        {"seed", "N", "a seed, as far as the model honours it"},
        {"temperature", "T", "0 to 2"},
        {"user", "ID", "on whose behalf; users share the farm fairly"},
        {"priority", "P", "high, normal or low"},
        {"lane", "LANE",
         "standard, flex (cheaper, slower), priority, or batch (half the price, within a day)"},
        {"max-attempts", "N", "calls that may fail before a job does (5)"},
        {"timeout", "SECONDS", "for one call (180; 600 at 4K)"},
        {"deadline", "SECONDS",
         "for a job in all, from its submission; a call under way ends then, too (none)"},
        {"batch-deadline", "TIME",
         "of lane batch: after so long what is missing goes standard (never)"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ADD(b, {all[i][0], 0, OPT_STR, &c->texts[i], all[i][1], NULL,
                i == 0 ? "GEMINI_MODEL" : NULL, all[i][2], 0, 0});
    ADD(b,
        {"dedupe", 0, OPT_MAYBE, &c->texts[sizeof all / sizeof *all], "TIME", NULL, NULL,
         "make identical requests once: those under way or done within this time (1d)", 0, 0});
}

static void input_options(struct builder *b, struct cmd *c)
{
    ADD(b, {.type = OPT_GROUP, .help = "Jobs"},
        {"format", 0, OPT_STR, &c->format, "NAME", NULL, NULL,
         "of the inputs: json, jsonl, ndjson, csv, tsv, txt (by the file's name)", 0, 0},
        {"batch", 0, OPT_STR, &c->batch, "ID", NULL, NULL, "a name for the batch", 0, 0},
        {"count", 0, OPT_UINT, &c->count, "N", "1", NULL, "images of each prompt", 1,
         JOB_MAX_SAMPLES},
        {"skip-bad", 0, OPT_FLAG, &c->skip_bad, NULL, NULL, NULL,
         "go on without bad entries, which are written to BATCH.rejects.jsonl (genfarm without "
         "--batch)",
         0, 0});
    job_options(b, c);
    ADD(b,
        {"on-unknown", 0, OPT_STR, &c->on_unknown, "HOW", "retry", NULL,
         "retry or fail a call whose answer was lost and may be billed", 0, 0},
        BUDGET_OPTION,
        {"project", 0, OPT_STR, &c->project, "NAME", NULL, NULL,
         "the project whose quota is looked at before (those of the workers there are)", 0, 0},
        {"keep", 0, OPT_SECONDS, &c->keep, "TIME", "7d", NULL,
         "how long the queue remembers the batch after its end", 60, 86400. * 365},
        {"catalogue", 0, OPT_STR, &c->catalogue_path, "FILE", NULL, NULL,
         "models and prices, instead of the built-in ones", 0, 0});
}

static void submit_options(struct builder *b, struct cmd *c)
{
    ADD(b, {.type = OPT_GROUP, .help = "A full farm"},
        {"max-queue", 0, OPT_UINT, &c->max_queue, "N", NULL, NULL,
         "refuse when the queue would have more jobs that are not over", 1, 1e12},
        {"max-queue-bytes", 0, OPT_BYTES, &c->max_queue_bytes, "SIZE", NULL, NULL,
         "refuse when the inputs of its batches would have more", 1, 1e15},
        {"wait", 0, OPT_FLAG, &c->wait, NULL, NULL, NULL,
         "for room in the queue or the server's memory, and for the server, as long as it "
         "takes",
         0, 0});
}

static void provider_options(struct builder *b, struct cmd *c)
{
    ADD(b,
        {"api-key-file", 0, OPT_STR, &c->key_file, "FILE", NULL, NULL,
         "the Gemini key (else GOOGLE_API_KEY, then GEMINI_API_KEY)", 0, 0},
        {"projects", 0, OPT_STR, &c->projects_file, "FILE", NULL, NULL,
         "several projects, each with its keys, limits and weight (see genfarm-worker(1))", 0,
         0},
        {"gemini-base-url", 0, OPT_STR, &c->base_url, "URL", NULL, "GOOGLE_GEMINI_BASE_URL",
         "the Gemini endpoint", 0, 0},
        {"gemini-ca", 0, OPT_STR, &c->gemini_ca, "FILE", NULL, NULL,
         "certificates to trust there (the system's)", 0, 0});
}

static void doctor_options(struct builder *b, struct cmd *c)
{
    ADD(b, {.type = OPT_GROUP, .help = "The provider"},
        {"model", 0, OPT_STR, &c->texts[0], "NAME", NULL, "GEMINI_MODEL",
         "the model to look at, beside those in use (the catalogue's default)", 0, 0},
        {"catalogue", 0, OPT_STR, &c->catalogue_path, "FILE", NULL, NULL,
         "models and prices, instead of the built-in ones", 0, 0});
    provider_options(b, c);
}

static void farm_options(struct builder *b, struct cmd *c)
{
    ADD(b, {.type = OPT_GROUP, .help = "Workers"},
        {"workers", 0, OPT_UINT, &c->workers, "N", "1", NULL, "worker processes", 1, 64},
        {"concurrency", 0, OPT_UINT, &c->concurrency, "N", "8", NULL,
         "calls in flight, of each worker", 1, 10000},
        {"limit", 0, OPT_STR, &c->limit, "SPEC", NULL, NULL,
         "farm-wide limit of each model, set where none is and nobody cleared it: rpm=600, "
         "req=100/1s; another one that is in force stays, and the worker's log says so",
         0, 0});
    provider_options(b, c);
    ADD(b,
        {"verify", 0, OPT_STR, &c->verify, "HOW", NULL, NULL,
         "how far images are checked: full, crc, none (full)", 0, 0},
        {"resume", 0, OPT_STR, &c->resume, "BATCH_DIR", NULL, NULL,
         "finish a run that was interrupted", 0, 0},
        {"no-sheet", 0, OPT_FLAG, &c->no_sheet, NULL, NULL, NULL, "make no contact sheet", 0,
         0});
}

static void usage_options(struct builder *b, struct cmd *c)
{
    ADD(b,
        {"by", 0, OPT_STR, &c->by, "WHAT", "model", NULL, "user, model, lane, day or batch", 0,
         0},
        {"calls", 0, OPT_FLAG, &c->calls, NULL, NULL, NULL,
         "the ledger instead of sums: a line for each call, as JSON Lines or CSV", 0, 0},
        {"batch", 0, OPT_STR, &c->only_batch, "ID", NULL, NULL,
         "with --calls or --by batch: only this one", 0, 0},
        {"days", 0, OPT_UINT, &c->days, "N", "30", NULL,
         "that are looked at, today among them (days begin at midnight UTC)", 1, 400},
        {"day", 0, OPT_STR, &c->day, "YYYY-MM-DD", NULL, NULL, "only this day", 0, 0},
        {"since", 0, OPT_STR, &c->since, "YYYY-MM-DD", NULL, NULL, "the first day", 0, 0},
        {"until", 0, OPT_STR, &c->until, "YYYY-MM-DD", NULL, NULL, "the last day (today)", 0,
         0},
        {"csv", 0, OPT_FLAG, &c->csv, NULL, NULL, NULL, "comma-separated values on stdout", 0,
         0});
}

static void dead_options(struct builder *b, struct cmd *c)
{
    ADD(b,
        {"batch", 0, OPT_STR, &c->only_batch, "ID", NULL, NULL, "only those of this batch", 0,
         0},
        {"all", 0, OPT_FLAG, &c->all, NULL, NULL, NULL, "with --drop: all there are", 0, 0},
        {"retry", 0, OPT_FLAG, &c->retry, NULL, NULL, NULL,
         "open their jobs again, and take them out", 0, 0},
        {"export", 0, OPT_STR, &c->export, "FILE", NULL, NULL,
         "write their inputs as JSON Lines, to be corrected and submitted", 0, 0},
        {"drop", 0, OPT_FLAG, &c->drop, NULL, NULL, NULL,
         "take them out; with --export: when FILE is safe on the disk", 0, 0});
}

static void fill(struct cmd *c, const struct command *command, struct opt *table)
{
    struct builder b = {table, 0};
    memset(table, 0, TABLE * sizeof *table);
    if (command->groups & CMD_INPUT)
        input_options(&b, c);
    if (command->groups & CMD_SUBMIT)
        submit_options(&b, c);
    if (command->groups & CMD_FARM)
        farm_options(&b, c);
    if (command->groups & (CMD_OUTPUT | CMD_WATCH | CMD_JSON))
        ADD(&b, {.type = OPT_GROUP, .help = "Results"});
    if (command->groups & CMD_OUTPUT)
        ADD(&b,
            {"output", 'o', OPT_STR, &c->output, "DIR", "genfarm-output", NULL,
             "where DIR/BATCH is made", 0, 0},
            {"ordered", 0, OPT_FLAG, &c->ordered, NULL, NULL, NULL,
             "print results on stdout in input order", 0, 0});
    if (command->groups & CMD_WATCH)
        ADD(&b, {"after", 0, OPT_STR, &c->after, "EVENT_ID", NULL, NULL,
                 "begin after this event", 0, 0});
    if (command->groups & CMD_JSON)
        ADD(&b,
            {"json", 0, OPT_FLAG, &c->json, NULL, NULL, NULL, "JSON Lines on stdout", 0, 0});
    if (command->groups & CMD_SHEET)
        ADD(&b,
            {"output", 'o', OPT_STR, &c->output, "FILE", NULL, NULL,
             "the PNG to write (DIR/contact_sheet.png)", 0, 0},
            {"columns", 0, OPT_UINT, &c->columns, "N", "0", NULL,
             "cells in a row (0: by itself)", 0, 100},
            {"cell", 0, OPT_UINT, &c->cell, "PIXELS", NULL, NULL,
             "longest side of a picture (192; less for more than 100 pictures)", 32, 1024});
    if (command->groups & CMD_USAGE)
        usage_options(&b, c);
    if (command->groups & CMD_BUDGET)
        ADD(&b, BUDGET_OPTION);
    if (command->groups & CMD_FSCK)
        ADD(&b,
            {"repair", 0, OPT_FLAG, &c->repair, NULL, NULL, NULL,
             "put right what can be; batches with lost jobs are held back meanwhile", 0, 0});
    if (command->groups & (CMD_RETRY | CMD_DEAD))
        ADD(&b, {.type = OPT_GROUP, .help = "Which, and what is done to them"},
            {"code", 0, OPT_STR, &c->code, "CODE,...", NULL, NULL,
             "only what ended with one of these error codes", 0, 0});
    if (command->groups & CMD_DEAD)
        dead_options(&b, c);
    if (command->groups & CMD_DOCTOR)
        doctor_options(&b, c);
    if (command->groups & CMD_CATALOGUE)
        ADD(&b, {"catalogue", 0, OPT_STR, &c->catalogue_path, "FILE", NULL, NULL,
                 "models and prices, instead of the built-in ones", 0, 0});
    if (command->groups & CMD_CONNECT)
        connect_options(&b, c);
    ADD(&b, {"help", 'h', OPT_FLAG, &c->help, NULL, NULL, NULL, "show this", 0, 0});
}

void cmd_help(FILE *out, const struct command *command)
{
    struct cmd none = {0};
    struct opt table[TABLE];
    fill(&none, command, table);
    fprintf(out, "usage: genfarm %s %s[options]\n\n%s.\n\n", command->name, command->words,
            command->help);
    opt_help(out, table);
}

// Before anything is tried: what can never be a server is bad usage.
static enum err check_url(const char *url, struct buf *why)
{
    struct redis_url u = {0};
    enum err e = redis_url_parse(span_of(url), &u, why);
    redis_url_free(&u);
    return e;
}

static enum err check_words(struct cmd *c)
{
    const struct command *command = c->command;
    if (c->words.n >= (c->resume ? 0 : command->least) && c->words.n <= command->most)
        return OK;
    buf_addf(&c->why, "%s wants %s; see genfarm %s --help", command->name,
             command->words[0] ? command->words : "no words", command->name);
    return ERR_FORMAT;
}

static enum err check_budget(struct cmd *c)
{
    if (!c->budget_text ||
        (text_usd(span_of(c->budget_text), &c->budget) == OK && c->budget > 0))
        return OK;
    buf_addf(&c->why, "--budget %.40s: must be dollars above zero, as 25 or 1.50",
             c->budget_text);
    return ERR_FORMAT;
}

static enum err check_queue(struct cmd *c)
{
    if (job_name_ok(span_of(c->queue)))
        return OK;
    buf_addf(&c->why, "--queue %s: 1 to 100 of A-Z a-z 0-9 . _ -", c->queue);
    return ERR_FORMAT;
}

enum err cmd_read(struct cmd *c, int argc, char *const argv[])
{
    struct opt table[TABLE];
    fill(c, c->command, table);
    enum err e = opt_read(table, argc, argv, &c->words, &c->why);
    if (e != OK || c->help)
        return e;
    c->redis_given = c->redis != NULL;
    c->queue_given = c->queue != NULL;
    if (!c->queue)
        c->queue = "default";
    if (!c->redis)
        c->redis = "redis://127.0.0.1:6379/0";
    e = check_budget(c);
    if (e == OK)
        e = check_words(c);
    if (e == OK && c->command->groups & CMD_CONNECT)
        e = check_url(c->redis, &c->why);
    return e == OK ? check_queue(c) : e;
}
