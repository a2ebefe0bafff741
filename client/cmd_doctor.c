// cmd_doctor.c - genfarm doctor: what would go wrong, told before it does.
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cmd.h"
#include "common/json.h"
#include "common/redis.h"

struct doctor {
    struct cmd *cmd;
    struct session *session;
    unsigned bad, doubtful;
};

enum verdict { GOOD, DOUBTFUL, BAD };

static void say(struct doctor *d, enum verdict v, const char *what, const char *finding)
{
    static const char *const names[] = {"ok", "warning", "bad"};
    d->bad += v == BAD;
    d->doubtful += v == DOUBTFUL;
    if (!d->cmd->json) {
        printf("%-8s %-16s %s\n", names[v], what, finding);
        return;
    }
    struct json_object *o = json_object_new_object();
    struct buf line = {.max = 8192};
    json_put_cstr(o, "check", what);
    json_put_cstr(o, "verdict", names[v]);
    json_put_cstr(o, "finding", finding);
    if (o)
        json_write(&line, o);
    printf("%s\n", buf_str(&line));
    json_object_put(o);
    buf_free(&line);
}

// --- Redis
// ---------------------------------------------------------------------------------------

struct setting {
    bool done;
    enum err err;
    char value[128];
};

static void on_setting(void *ctx, enum err e, const redisReply *r)
{
    struct setting *s = ctx;
    s->done = true;
    s->err = e;
    if (e == OK && r && r->type == REDIS_REPLY_ARRAY && r->elements == 2 &&
        r->element[1]->type == REDIS_REPLY_STRING)
        snprintf(s->value, sizeof s->value, "%s", r->element[1]->str);
    else if (e == OK)
        s->err = ERR_MISSING;
}

static enum err get(struct doctor *d, const char *name, struct setting *s)
{
    struct span argv[] = {SPAN("CONFIG"), SPAN("GET"), span_of(name)};
    *s = (struct setting){0};
    enum err e = redis_call(session_redis(d->session), 5., on_setting, s, 3, argv);
    while (e == OK && !s->done)
        ev_run(session_loop(d->session), EVRUN_ONCE);
    return e == OK ? s->err : e;
}

static const struct check {
    const char *name, *want;
    enum verdict otherwise;
    const char *why;
} checks[] = {
    {"appendonly", "yes", BAD, "a restart of the server loses all jobs; set appendonly yes"},
    {"appendfsync", "always", DOUBTFUL,
     "the last two seconds of work may be lost when the server is killed; set appendfsync "
     "always"},
    {"maxmemory-policy", "noeviction", BAD,
     "the server may throw jobs away; set maxmemory-policy noeviction"},
};

static void check_settings(struct doctor *d)
{
    struct setting s;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        char text[256];
        if (get(d, checks[i].name, &s) != OK) {
            say(d, DOUBTFUL, checks[i].name,
                "the server does not tell (CONFIG is not allowed)");
            continue;
        }
        bool good = strcmp(s.value, checks[i].want) == 0;
        snprintf(text, sizeof text, "%s%s%s", s.value, good ? "" : ": ",
                 good ? "" : checks[i].why);
        say(d, good ? GOOD : checks[i].otherwise, checks[i].name, text);
    }
}

struct sinks {
    bool done;
    enum err err;
    size_t n, redis;
};

static void on_workers(void *ctx, enum err e, const struct queue_worker *w, size_t n)
{
    struct sinks *s = ctx;
    s->done = true;
    s->err = e;
    s->n = e == OK ? n : 0;
    for (size_t i = 0; e == OK && i < n; i++)
        s->redis += span_is(w[i].sink, "redis");
}

static void check_workers(struct doctor *d)
{
    struct sinks s = {0};
    char text[160];
    enum err e = queue_workers(session_queue(d->session), on_workers, &s);
    while (e == OK && !s.done)
        ev_run(session_loop(d->session), EVRUN_ONCE);
    if (e != OK || s.err != OK) {
        say(d, BAD, "workers", err_text(e != OK ? e : s.err));
        return;
    }
    snprintf(text, sizeof text, "%zu on queue %s", s.n, d->cmd->queue);
    say(d, s.n ? GOOD : DOUBTFUL, "workers", text);
    if (s.redis > 0)
        say(d, DOUBTFUL, "sink",
            "images go through Redis, and so through its append-only file; a shared folder "
            "(--sink dir:PATH) spares that");
}

static void check_redis(struct doctor *d)
{
    char text[64];
    enum err e = cmd_connect(d->cmd, d->cmd->redis, d->cmd->queue, &d->session);
    if (e != OK) {
        say(d, BAD, "redis", buf_str(&d->cmd->why));
        return;
    }
    unsigned v = redis_version(session_redis(d->session));
    snprintf(text, sizeof text, "version %u.%u.%u", v / 10000, v / 100 % 100, v % 100);
    say(d, v == 0 ? DOUBTFUL : GOOD, "redis", v ? text : "does not tell its version");
    check_settings(d);
    check_workers(d);
}

// --- The rest
// ------------------------------------------------------------------------------------

static void check_key(struct doctor *d)
{
    const char *google = getenv("GOOGLE_API_KEY"), *gemini = getenv("GEMINI_API_KEY");
    bool have_google = google && *google, have_gemini = gemini && *gemini;
    if (have_google && have_gemini && strcmp(google, gemini) != 0)
        say(d, DOUBTFUL, "key",
            "GOOGLE_API_KEY and GEMINI_API_KEY differ; the first one is used");
    else if (have_google || have_gemini)
        say(d, GOOD, "key", have_google ? "GOOGLE_API_KEY is set" : "GEMINI_API_KEY is set");
    else
        say(d, DOUBTFUL, "key", "none in this environment; workers need one");
    const char *base = getenv("GOOGLE_GEMINI_BASE_URL");
    if (base && *base)
        say(d, DOUBTFUL, "endpoint", "GOOGLE_GEMINI_BASE_URL replaces the public endpoint");
}

static void check_models(struct doctor *d)
{
    char text[256];
    enum err e = catalogue_open(d->cmd->catalogue_path, &d->cmd->catalogue, &d->cmd->why);
    if (e != OK) {
        say(d, BAD, "catalogue", buf_str(&d->cmd->why));
        return;
    }
    struct span name = catalogue_default(d->cmd->catalogue);
    const struct model *m = catalogue_find(d->cmd->catalogue, name);
    struct span retires = m ? model_retires(m) : SPAN("");
    snprintf(text, sizeof text, "the default is %.*s%s%.*s", (int)name.len, name.ptr,
             retires.len ? ", which retires " : "", (int)retires.len, retires.ptr);
    say(d, retires.len ? DOUBTFUL : GOOD, "models", text);
}

int cmd_doctor(struct cmd *c)
{
    struct doctor d = {.cmd = c};
    check_redis(&d);
    check_key(&d);
    check_models(&d);
    session_close(d.session);
    if (d.bad > 0)
        return cmd_say(EXIT_CANNOT, "%u bad, %u warnings", d.bad, d.doubtful);
    cmd_say(0, "%u warnings", d.doubtful);
    return EXIT_DONE;
}
