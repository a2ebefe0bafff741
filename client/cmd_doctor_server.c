// cmd_doctor_server.c - the Redis server: its version, what it keeps, its memory, replicas,
// clock.
//
// INFO tells most of it, CONFIG the rest; a user who may not ask is told so, which is no
// failure.
#include <stdlib.h>
#include <string.h>

#include "client/cmd_doctor.h"
#include "common/clock.h"
#include "common/redis.h"
#include "common/text.h"

#define TIMEOUT 5.0 // seconds

struct answer { // the strings of a reply, each ended by a NUL
    bool done;
    enum err err;
    struct buf text;
};

static void take(struct answer *a, const redisReply *r)
{
    if (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS)
        buf_add(&a->text, (struct span){r->str, (size_t)r->len});
    for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i < r->elements; i++)
        take(a, r->element[i]);
    if (r->type != REDIS_REPLY_ARRAY)
        buf_add_byte(&a->text, '\0');
}

static void on_answer(void *ctx, enum err e, const redisReply *r)
{
    struct answer *a = ctx;
    a->done = true;
    a->err = e;
    if (e == OK)
        take(a, r);
}

static enum err ask(struct doctor *d, struct answer *a, size_t argc, const struct span *argv)
{
    *a = (struct answer){.text = {.max = 1u << 20}};
    return session_finish(
        d->session, redis_call(session_redis(d->session), TIMEOUT, on_answer, a, argc, argv),
        &a->done, &a->err);
}

// The n-th string of an answer; "" when there is none.
static const char *string_at(const struct answer *a, size_t n)
{
    size_t at = 0;
    while (n-- > 0 && at < a->text.len)
        at += strlen(a->text.ptr + at) + 1;
    return at < a->text.len ? a->text.ptr + at : "";
}

// --- INFO and CONFIG ------------------------------------------------------------------------

// The value in a line "NAME:VALUE" of INFO; "" without one.
static struct span field(const char *info, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = info; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, n) == 0 && line[n] == ':')
            return (struct span){line + n + 1, strcspn(line + n + 1, "\r\n")};
    }
    return (struct span){"", 0};
}

static uint64_t number(const char *info, const char *name)
{
    uint64_t v;
    return text_uint(field(info, name), 0, UINT64_MAX, &v) == OK ? v : 0;
}

struct config {
    bool forbidden;
    char value[64]; // of the setting that was asked for; "": it does not tell
};

static const char *config(struct doctor *d, struct config *c, const char *name)
{
    struct answer a;
    struct span argv[] = {SPAN("CONFIG"), SPAN("GET"), span_of(name)};
    enum err e = c->forbidden ? ERR_DENIED : ask(d, &a, 3, argv);
    c->value[0] = '\0';
    if (e == OK)
        snprintf(c->value, sizeof c->value, "%s", string_at(&a, 1));
    if (!c->forbidden)
        buf_free(&a.text);
    c->forbidden = c->forbidden || e != OK;
    return c->value;
}

// --- Checks ---------------------------------------------------------------------------------

static void check_version(struct doctor *d)
{
    unsigned v = redis_version(session_redis(d->session));
    if (v == 0)
        doctor_say(d, DOCTOR_WARN, "redis",
                   "does not tell its version; 6.2 or newer is needed");
    else if (v < 70000)
        doctor_say(d, DOCTOR_WARN, "redis", "version %u.%u.%u works; 7.0 or newer is tested",
                   v / 10000, v / 100 % 100, v % 100);
    else
        doctor_say(d, DOCTOR_OK, "redis", "version %u.%u.%u", v / 10000, v / 100 % 100,
                   v % 100);
}

static void check_sync(struct doctor *d, const char *value)
{
    if (strcmp(value, "always") == 0)
        doctor_say(d, DOCTOR_OK, "appendfsync",
                   "always: what was acknowledged survives a kill");
    else if (strcmp(value, "everysec") == 0)
        doctor_say(
            d, DOCTOR_WARN, "appendfsync",
            "everysec: up to two seconds of acknowledged work are lost when the server is "
            "killed; set appendfsync always");
    else if (*value)
        doctor_say(
            d, DOCTOR_WARN, "appendfsync",
            "%s: half a minute of acknowledged work may be lost when the host fails; set "
            "appendfsync always",
            value);
    else
        doctor_say(d, DOCTOR_WARN, "appendfsync", "the server does not tell (CONFIG GET)");
}

// Its beginning of a transaction stays in the file, and is run at the start after next: seen
// with Redis 7.0.15, described in valkey's pull request 4342.
static void check_cut(struct doctor *d, const char *value)
{
    if (strcmp(value, "yes") == 0)
        doctor_say(
            d, DOCTOR_WARN, "aof-load-truncated",
            "yes: where the server was killed while it wrote, a later start may do half of "
            "something; set aof-load-truncated no, and when it then refuses to start, mend "
            "the file with redis-check-aof --fix");
    else if (*value)
        doctor_say(d, DOCTOR_OK, "aof-load-truncated", "%s", value);
}

// Where the server takes no writes for that (stop-writes-on-bgsave-error), it does not even
// answer PING, and nobody comes here.
static void check_snapshots(struct doctor *d, const char *info)
{
    struct span last = field(info, "rdb_last_bgsave_status");
    if (last.len && !span_is(last, "ok"))
        doctor_say(d, DOCTOR_WARN, "snapshots",
                   "the last one failed: is the server's disk full, or its folder read-only?");
}

static void check_persistence(struct doctor *d, const char *info, struct config *c)
{
    if (!field(info, "aof_enabled").len)
        return;
    if (number(info, "aof_enabled") == 0) {
        doctor_say(d, DOCTOR_FAIL, "appendonly",
                   "no: a restart of the server loses jobs; set appendonly yes");
        return;
    }
    if (!span_is(field(info, "aof_last_write_status"), "ok"))
        doctor_say(d, DOCTOR_FAIL, "appendonly",
                   "the append-only file cannot be written: is the server's disk full?");
    else
        doctor_say(d, DOCTOR_OK, "appendonly", "yes");
    check_sync(d, config(d, c, "appendfsync"));
    check_cut(d, config(d, c, "aof-load-truncated"));
    if (strcmp(config(d, c, "no-appendfsync-on-rewrite"), "yes") == 0)
        doctor_say(
            d, DOCTOR_WARN, "appendfsync",
            "nothing is synced while the file is rewritten; set no-appendfsync-on-rewrite "
            "no");
}

static void check_headroom(struct doctor *d, const char *info)
{
    uint64_t used = number(info, "used_memory"), most = number(info, "maxmemory");
    uint64_t host = number(info, "total_system_memory");
    bool bounded = most > 0;
    if (!bounded)
        most = host;
    uint64_t percent = most ? (uint64_t)((double)used / (double)most * 100) : 0;
    enum verdict v = bounded && percent >= 100   ? DOCTOR_FAIL
                     : !bounded || percent >= 80 ? DOCTOR_WARN
                                                 : DOCTOR_OK;
    doctor_say(d, v, "memory", "%llu of %llu MiB used (%llu %%)%s",
               (unsigned long long)(used >> 20), (unsigned long long)(most >> 20),
               (unsigned long long)percent,
               !bounded         ? " of the host: set maxmemory well below that, or the system "
                                  "kills the server when memory ends"
               : percent >= 100 ? ": submitting and claiming are refused until there is room"
               : percent >= 80  ? ": soon submitting and claiming are refused; raise maxmemory"
                                : "");
}

static void check_memory(struct doctor *d, const char *info)
{
    struct span policy = field(info, "maxmemory_policy");
    if (!policy.len)
        return;
    bool good = span_is(policy, "noeviction");
    doctor_say(d, good ? DOCTOR_OK : DOCTOR_FAIL, "maxmemory-policy", "%.*s%s", (int)policy.len,
               policy.ptr,
               good ? "" : ": the server may throw jobs away; set maxmemory-policy noeviction");
    check_headroom(d, info);
}

static uint64_t worst_lag(const char *info, uint64_t replicas)
{
    uint64_t worst = 0, lag;
    for (uint64_t i = 0; i < replicas && i < 64; i++) {
        char name[16];
        snprintf(name, sizeof name, "slave%llu", (unsigned long long)i);
        struct span line = field(info, name);
        const char *at = line.len ? memmem(line.ptr, line.len, "lag=", 4) : NULL;
        if (!at)
            continue;
        struct span digits = {at + 4, strspn(at + 4, "0123456789")};
        if (text_uint(digits, 0, UINT32_MAX, &lag) == OK && lag > worst)
            worst = lag;
    }
    return worst;
}

static void check_replicas(struct doctor *d, const char *info, struct config *c)
{
    uint64_t n = number(info, "connected_slaves"), lag = worst_lag(info, n);
    if (!field(info, "connected_slaves").len)
        return;
    if (n == 0) {
        doctor_say(d, DOCTOR_OK, "replicas",
                   "none: the queue is as safe as this server's disk");
        return;
    }
    const char *least = config(d, c, "min-replicas-to-write");
    if (lag > 1)
        doctor_say(d, DOCTOR_WARN, "replicas",
                   "%llu, of which one is %llu s behind: a failover would lose as much",
                   (unsigned long long)n, (unsigned long long)lag);
    else if (strcmp(least, "0") == 0)
        doctor_say(d, DOCTOR_WARN, "replicas",
                   "%llu, but the server takes writes without them: a primary that is cut off "
                   "goes on, and what it took is lost; set min-replicas-to-write 1",
                   (unsigned long long)n);
    else
        doctor_say(d, DOCTOR_OK, "replicas", "%llu", (unsigned long long)n);
}

static void check_clients(struct doctor *d, const char *info, struct config *c)
{
    uint64_t n = number(info, "connected_clients"), most = number(info, "maxclients");
    if (most > 0 && n >= most / 10 * 8)
        doctor_say(d, DOCTOR_WARN, "clients", "%llu of at most %llu; raise maxclients",
                   (unsigned long long)n, (unsigned long long)most);
    const char *timeout = config(d, c, "timeout");
    if (*timeout && strcmp(timeout, "0") != 0)
        doctor_say(d, DOCTOR_WARN, "timeout",
                   "the server cuts connections that are idle for %s s; set timeout 0",
                   timeout);
}

// Against the middle of the question's way there and back.
static void check_clock(struct doctor *d)
{
    struct answer a;
    uint64_t seconds, micros;
    int64_t before = clock_wall_ms();
    enum err e = ask(d, &a, 1, (struct span[]){SPAN("TIME")});
    int64_t ours = before + (clock_wall_ms() - before) / 2;
    if (e == OK && text_uint(span_of(string_at(&a, 0)), 0, 1ull << 40, &seconds) == OK &&
        text_uint(span_of(string_at(&a, 1)), 0, 999999, &micros) == OK) {
        int64_t off = (int64_t)(seconds * 1000 + micros / 1000) - ours;
        bool good = off > -1000 && off < 1000;
        doctor_say(d, good ? DOCTOR_OK : DOCTOR_WARN, "clock", "the server's is %+.3f s off%s",
                   (double)off / 1000,
                   good ? ""
                        : ": the queue goes by the server's clock, and times will look wrong; "
                          "see to NTP on both");
    } else {
        doctor_say(d, DOCTOR_WARN, "clock", "the server does not tell its time (TIME)");
    }
    buf_free(&a.text);
}

void doctor_server(struct doctor *d)
{
    struct config c = {0};
    struct answer a;
    enum err e = cmd_connect(d->cmd, d->cmd->redis, d->cmd->queue, &d->session);
    if (e != OK) {
        doctor_say(d, DOCTOR_FAIL, "redis", "%s", buf_str(&d->cmd->why));
        return;
    }
    check_version(d);
    e = ask(d, &a, 1, (struct span[]){SPAN("INFO")});
    const char *info = e == OK ? string_at(&a, 0) : "";
    if (e != OK)
        doctor_say(d, DOCTOR_WARN, "info",
                   "memory, persistence and replicas were not checked: INFO: %s", err_text(e));
    check_snapshots(d, info);
    check_persistence(d, info, &c);
    check_memory(d, info);
    check_replicas(d, info, &c);
    check_clients(d, info, &c);
    if (c.forbidden)
        doctor_say(
            d, DOCTOR_WARN, "config",
            "this user may not ask for settings (CONFIG GET): what INFO does not tell was "
            "not checked");
    check_clock(d);
    buf_free(&a.text);
}
