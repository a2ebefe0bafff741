// settings.c - see settings.h. The table is what --help shows.
#include "worker/settings.h"

#include <stdlib.h>
#include <string.h>

#include "broker/job.h"
#include "broker/request.h"
#include "broker/tier.h"
#include "common/secret.h"
#include "common/text.h"
#include "worker/worker.h"

#define DEFAULT_BASE "https://generativelanguage.googleapis.com"

static void fill_table(struct settings *s, struct opt *table, size_t room)
{
    const struct opt all[] = {
        {.type = OPT_GROUP, .help = "Where work comes from"},
        {"redis", 0, OPT_STR, &s->redis, "URL", "redis://127.0.0.1:6379/0",
         "GENFARM_REDIS_URL,REDIS_URL",
         "the server (redis://, rediss://, unix://, redis+sentinel://, redis+cluster://)", 0,
         0},
        {"redis-ca", 0, OPT_STR, &s->ca_file, "FILE", NULL, NULL,
         "certificates to trust over TLS (the system's)", 0, 0},
        {"queue", 0, OPT_STRS, &s->queues, "NAME", NULL, "GENFARM_QUEUE",
         "work on this queue (default: default); may be given several times", 0, 0},
        {.type = OPT_GROUP, .help = "How much"},
        {"concurrency", 0, OPT_UINT, &s->concurrency, "N", "8", NULL, "calls in flight", 1,
         10000},
        {"limit", 0, OPT_STR, &s->limit, "SPEC", NULL, NULL,
         "farm-wide limit of each model, set where none is and nobody cleared it: req=100/1s, "
         "rpm=600, or a tier of the catalogue",
         0, 0},
        {"project", 0, OPT_STR, &s->project, "NAME", "default", NULL,
         "whose limits these are: workers with keys of one project share a name", 0, 0},
        {"lease", 0, OPT_SECONDS, &s->lease, "SECONDS", "30", NULL,
         "after how long without a word its jobs go to others; below 12, an outage of Redis "
         "for a moment may be taken for that",
         2, 3600},
        {"grace", 0, OPT_SECONDS, &s->grace, "SECONDS", "60", NULL,
         "on SIGTERM or SIGINT, how long calls in flight may take to end", 0, 86400},
        {"max-batches", 0, OPT_UINT, &s->max_batches, "N", "50", NULL,
         "of lane batch: batches under way at the provider, of the whole queue; 0: none are "
         "made here",
         0, 100},
        {"batch-bytes", 0, OPT_BYTES, &s->batch_bytes, "BYTES", "256M", NULL,
         "what the answers of one batch may come to: large ones cannot be fetched", 1 << 20,
         4e9},
        {.type = OPT_GROUP, .help = "Where images go"},
        {"sink", 0, OPT_STR, &s->sink, "SINK", "redis", NULL,
         "redis, or dir:PATH, a folder that the client sees too", 0, 0},
        {"max-stored", 0, OPT_BYTES, &s->max_stored, "BYTES", "1G", NULL,
         "what the redis sink may hold before images of ended batches that nobody fetched go, "
         "and then new calls wait",
         1 << 20, 1e15},
        {"keep", 0, OPT_SECONDS, &s->keep, "TIME", "7d", NULL,
         "how long the redis sink keeps images nobody fetches after their batch has ended", 1,
         86400. * 365},
        {"keep-bytes", 0, OPT_BYTES, &s->keep_bytes, "BYTES", NULL, NULL,
         "what those may come to, the oldest batch's going first (--max-stored)", 1 << 20,
         1e15},
        {"ledger", 0, OPT_BYTES, &s->ledger, "BYTES", "256M", NULL,
         "what the ledger of calls may take in Redis before the oldest go; 0: enter none", 0,
         1e15},
        {"spool", 0, OPT_STR, &s->spool, "DIR", NULL, NULL,
         "where answers land while they arrive (the sink's folder, else TMPDIR)", 0, 0},
        {"verify", 0, OPT_STR, &s->verify, "HOW", "full", NULL,
         "how far an image is checked before it counts: full (decoded), crc, none", 0, 0},
        {.type = OPT_GROUP, .help = "The provider"},
        {"api-key-file", 0, OPT_STR, &s->key_file, "FILE", NULL, NULL,
         "the Gemini key (else GOOGLE_API_KEY, then GEMINI_API_KEY)", 0, 0},
        {"projects", 0, OPT_STR, &s->projects_file, "FILE", NULL, NULL,
         "several projects, each with its keys, limits and weight (see genfarm-worker(1))", 0,
         0},
        {"gemini-base-url", 0, OPT_STR, &s->base_url, "URL", DEFAULT_BASE,
         "GOOGLE_GEMINI_BASE_URL", "the Gemini endpoint", 0, 0},
        {"gemini-ca", 0, OPT_STR, &s->gemini_ca, "FILE", NULL, NULL,
         "certificates to trust there (the system's)", 0, 0},
        {"catalogue", 0, OPT_STR, &s->catalogue, "FILE", NULL, NULL,
         "models and prices, instead of the built-in ones", 0, 0},
        {.type = OPT_GROUP, .help = "Logs"},
        {"log-level", 0, OPT_STR, &s->log_level, "LEVEL", "info", NULL,
         "error, warn, info or debug", 0, 0},
        {"log-file", 0, OPT_STR, &s->log_dir, "DIR", NULL, NULL,
         "also to a file in this folder, with the time in its name", 0, 0},
        {"check", 0, OPT_FLAG, &s->dry, NULL, NULL, NULL,
         "only say whether it could run with these options and files", 0, 0},
        {"help", 'h', OPT_FLAG, &s->help, NULL, NULL, NULL, "show this", 0, 0},
        {"version", 'V', OPT_FLAG, &s->version, NULL, NULL, NULL, "show the version", 0, 0},
        {0}};
    memcpy(table, all, sizeof all < room ? sizeof all : room);
}

#define TABLE 33

void settings_help(FILE *out)
{
    struct settings none = {0};
    struct opt table[TABLE];
    fill_table(&none, table, sizeof table);
    fputs(
        "usage: genfarm-worker [options]\n\n"
        "Takes jobs from a genfarm queue, has their images made and stores them, until it is\n"
        "told to stop. Run as many as you like, on as many hosts as you like.\n\n",
        out);
    opt_help(out, table);
    fputs("\nSIGTERM or SIGINT drains: nothing new is taken, calls in flight end within "
          "--grace,\n"
          "the rest goes back. A second one leaves at once; other workers find its jobs when "
          "the\n"
          "lease has ended. Exit status: 0 drained, 1 could not run, 2 bad usage, 130 left at\n"
          "once.\n",
          out);
}

// --- Projects and keys ----------------------------------------------------------------------

static enum err read_key(const struct settings *s, struct buf *key, struct buf *why)
{
    struct buf reason = {.max = 1024};
    enum err e = secret_read(key, s->key_file, request_key_names, &reason);
    if (e != OK && s->key_file)
        buf_addf(why, "--api-key-file %s", buf_str(&reason));
    else if (e == ERR_MISSING)
        buf_addf(why, "no Gemini key: set GOOGLE_API_KEY or GEMINI_API_KEY, or give "
                      "--api-key-file or --projects");
    else if (e != OK)
        buf_addf(why, "GOOGLE_API_KEY or GEMINI_API_KEY: %s", buf_str(&reason));
    buf_free(&reason);
    return e;
}

// --limit is for those that say nothing themselves.
static void fill_limits(struct projects *all, struct span limit)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->at[i].limit.len == 0) {
            all->at[i].limit.max = 1024;
            buf_add(&all->at[i].limit, limit);
        }
}

static enum err read_limit(const struct settings *s, struct buf *limit, struct buf *why)
{
    struct buf reason = {.max = 1024};
    enum err e = tier_spec(span_of(s->limit), limit, &reason);
    if (e != OK)
        buf_addf(why, "--limit %s: %s", s->limit, reason.len ? buf_str(&reason) : err_text(e));
    buf_free(&reason);
    return e == OK ? OK : ERR_FORMAT;
}

static enum err read_projects(struct settings *s, struct buf *why)
{
    struct buf limit = {.max = 1024}, key = {.max = SECRET_MAX};
    enum err e = s->limit ? read_limit(s, &limit, why) : OK;
    if (e != OK) {
        buf_free(&limit);
        return e;
    }
    if (s->projects_file && (s->key_file || strcmp(s->project, "default") != 0)) {
        buf_add_str(why, "--projects names projects and keys: --project and --api-key-file "
                         "do not go with it");
        e = ERR_FORMAT;
    } else if (s->projects_file) {
        buf_add_str(why, "--projects "); // whose sentence begins with the file
        e = projects_read(s->projects_file, &s->projects, why);
    } else if (!job_name_ok(span_of(s->project))) {
        buf_addf(why, "--project %s: 1 to 100 of A-Z a-z 0-9 . _ -", s->project);
        e = ERR_FORMAT;
    } else if ((e = read_key(s, &key, why)) == OK) {
        projects_one(&s->projects, s->project, &key, buf_span(&limit));
    }
    if (e == OK)
        fill_limits(&s->projects, buf_span(&limit));
    buf_free(&limit);
    secret_free(&key);
    return e;
}

// --- The rest -------------------------------------------------------------------------------

static enum err choose(const char *value, const char *option, const char *const *names,
                       const char *said, int *out, struct buf *why)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(value, names[i]) == 0) {
            *out = i;
            return OK;
        }
    buf_addf(why, "--%s %s: must be %s", option, value, said);
    return ERR_FORMAT;
}

static enum err read_sink(struct settings *s, struct buf *why)
{
    if (strncmp(s->sink, "dir:", 4) == 0 && s->sink[4])
        s->sink_dir = s->sink + 4;
    else if (strcmp(s->sink, "redis") != 0) {
        buf_addf(why, "--sink %s: must be redis or dir:PATH", s->sink);
        return ERR_FORMAT;
    }
    if (!s->spool)
        s->spool = s->sink_dir ? s->sink_dir : getenv("TMPDIR");
    if (!s->spool)
        s->spool = "/var/tmp";
    return OK;
}

static enum err check_queues(struct settings *s, struct buf *why)
{
    if (s->queues.n == 0)
        s->queues.at[s->queues.n++] = "default";
    if (s->queues.n > WORKER_MAX_QUEUES) {
        buf_addf(why, "--queue: %d queues at most", WORKER_MAX_QUEUES);
        return ERR_FORMAT;
    }
    for (size_t i = 0; i < s->queues.n; i++)
        if (!job_name_ok(span_of(s->queues.at[i]))) {
            buf_addf(why, "--queue %s: 1 to 100 of A-Z a-z 0-9 . _ -", s->queues.at[i]);
            return ERR_FORMAT;
        }
    return OK;
}

static enum err check_base_url(const struct settings *s, struct buf *why)
{
    if (strncmp(s->base_url, "https://", 8) == 0 || strncmp(s->base_url, "http://", 7) == 0)
        return OK;
    buf_addf(why, "--gemini-base-url %s: must begin with https:// or http://", s->base_url);
    return ERR_FORMAT;
}

static enum err interpret(struct settings *s, struct buf *why)
{
    static const char *const checks[] = {"none", "crc", "full", NULL};
    static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
    int check = 0, level = 0;
    enum err e = choose(s->verify, "verify", checks, "full, crc or none", &check, why);
    if (e == OK)
        e = choose(s->log_level, "log-level", levels, "error, warn, info or debug", &level,
                   why);
    if (e == OK)
        e = read_sink(s, why);
    if (e == OK)
        e = check_queues(s, why);
    if (e == OK)
        e = check_base_url(s, why);
    if (e == OK && redis_url_parse(span_of(s->redis), &s->url, why) != OK)
        e = ERR_FORMAT;
    s->check = (enum image_check)check;
    s->level = (enum log_level)level;
    return e;
}

enum err settings_read(struct settings *s, int argc, char *const argv[], struct buf *why)
{
    struct opt table[TABLE];
    struct opt_strs words = {0};
    *s = (struct settings){0};
    fill_table(s, table, sizeof table);
    if (opt_read(table, argc, argv, &words, why) != OK)
        return ERR_FORMAT;
    if (s->help || s->version)
        return OK;
    if (words.n > 0) {
        buf_addf(why, "%s: genfarm-worker takes options only", words.at[0]);
        return ERR_FORMAT;
    }
    enum err e = interpret(s, why);
    return e == OK ? read_projects(s, why) : e;
}

void settings_free(struct settings *s)
{
    redis_url_free(&s->url);
    projects_free(&s->projects);
}
