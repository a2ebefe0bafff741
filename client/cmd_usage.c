// cmd_usage.c - genfarm usage: what was used, by user, model, lane or day.
#include <ev.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/cmd.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"

#define DAY_MS   86400000
#define MAX_ROWS 10000
#define MAX_DAYS 401
#define MAX_NAME 128

static const char *const figures[] = {"calls",     "images",  "completed", "failed",
                                      "cancelled", "unknown", "in_tokens", "out_tokens",
                                      "bytes",     "cost"};
#define N_FIGURES (sizeof figures / sizeof *figures)
#define COST      (N_FIGURES - 1)

struct row {
    char name[MAX_NAME];
    int64_t v[N_FIGURES];
};

struct usage {
    struct cmd *cmd;
    enum { BY_USER, BY_LANE, BY_MODEL, BY_DAY } by; // parts of a field's name, in their order
    int64_t day, since, until;                      // since 1970-01-01
    struct row *rows;
    size_t n;
    bool done;
    enum err err;
};

// --- Adding up ------------------------------------------------------------------------------

static struct row *row_of(struct usage *u, struct span name)
{
    for (size_t i = 0; i < u->n; i++)
        if (span_is(name, u->rows[i].name))
            return &u->rows[i];
    if (u->n == MAX_ROWS)
        return NULL;
    struct row *more = realloc(u->rows, (u->n + 1) * sizeof *more);
    if (!more)
        return NULL;
    u->rows = more;
    more[u->n] = (struct row){0};
    snprintf(more[u->n].name, MAX_NAME, "%.*s", (int)name.len, name.ptr);
    return &more[u->n++];
}

// USER/LANE/MODEL/WHAT into its parts.
static bool split(struct span field, struct span parts[4])
{
    for (int i = 0; i < 3; i++) {
        const char *slash = memchr(field.ptr, '/', field.len);
        if (!slash)
            return false;
        parts[i] = (struct span){field.ptr, (size_t)(slash - field.ptr)};
        field = (struct span){slash + 1, field.len - parts[i].len - 1};
        if (parts[i].len == 0 || parts[i].len >= MAX_NAME)
            return false;
    }
    parts[3] = field;
    return true;
}

static bool add(struct usage *u, struct span field, struct span number)
{
    struct span parts[4];
    char day[CLOCK_RFC3339_SIZE];
    int64_t v;
    if (!split(field, parts) || text_int(number, INT64_MIN, INT64_MAX, &v) != OK)
        return true; // not ours: passed over
    clock_rfc3339(u->day * DAY_MS, day);
    struct row *r = row_of(u, u->by == BY_DAY ? (struct span){day, 10} : parts[u->by]);
    for (size_t i = 0; r && i < N_FIGURES; i++)
        if (span_is(parts[3], figures[i]))
            r->v[i] += v;
    return r != NULL;
}

static void on_usage(void *ctx, enum err e, const struct span *names, size_t n)
{
    struct usage *u = ctx;
    u->done = true;
    u->err = e;
    for (size_t i = 0; u->err == OK && i + 1 < n; i += 2)
        if (!add(u, names[i], names[i + 1]))
            u->err = ERR_NOMEM;
}

static enum err read_days(struct usage *u, struct session *s)
{
    enum err e = OK;
    for (u->day = u->since; e == OK && u->day <= u->until; u->day++) {
        u->done = false;
        e = queue_usage(session_queue(s), u->day, on_usage, u);
        if (e == OK)
            e = session_wait(s, &u->done);
        e = e == OK ? u->err : e;
    }
    return e;
}

// --- Showing --------------------------------------------------------------------------------

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static void print_json(const struct cmd *c, const struct row *r)
{
    struct json_object *o = json_object_new_object();
    json_put_cstr(o, c->by, r->name);
    for (size_t i = 0; i < COST; i++)
        json_put_int(o, figures[i], r->v[i]);
    json_put_usd(o, "cost_usd", r->v[COST]);
    cmd_print(o);
}

static void print_csv(const struct row *r)
{
    printf("%s", r->name); // a name, or a day: nothing to be quoted
    for (size_t i = 0; i < COST; i++)
        printf(",%" PRId64, r->v[i]);
    printf(",%" PRId64 ".%06" PRId64 "\n", r->v[COST] / 1000000, r->v[COST] % 1000000);
}

static void print_row(const struct row *r)
{
    struct buf usd = {.max = 64};
    cmd_show_usd(&usd, r->v[COST]);
    printf("%-32s %9" PRId64 " %9" PRId64 " %9" PRId64 " %8" PRId64 " %8" PRId64 " %12s\n",
           r->name, r->v[0], r->v[1], r->v[2], r->v[3], r->v[5], buf_str(&usd));
    buf_free(&usd);
}

static void print_head(const struct cmd *c)
{
    if (c->csv) {
        printf("%s", c->by);
        for (size_t i = 0; i < COST; i++)
            printf(",%s", figures[i]);
        puts(",cost_usd");
    } else if (!c->json) {
        printf("%-32s %9s %9s %9s %8s %8s %12s\n", c->by, "calls", "images", "completed",
               "failed", "unknown", "cost");
    }
}

static void print_all(struct usage *u)
{
    const struct cmd *c = u->cmd;
    struct row sum = {.name = "in all"};
    if (u->n)
        qsort(u->rows, u->n, sizeof *u->rows, by_name);
    print_head(c);
    for (size_t i = 0; i < u->n; i++) {
        const struct row *r = &u->rows[i];
        for (size_t k = 0; k < N_FIGURES; k++)
            sum.v[k] += r->v[k];
        if (c->json)
            print_json(c, r);
        else if (c->csv)
            print_csv(r);
        else
            print_row(r);
    }
    if (!c->json && !c->csv)
        print_row(&sum);
}

// --- Which days -----------------------------------------------------------------------------

static int read_day(const char *option, const char *text, int64_t *day)
{
    struct tm tm = {0};
    const char *end = text ? strptime(text, "%Y-%m-%d", &tm) : NULL;
    if (!text)
        return 0;
    if (!end || *end || tm.tm_year < 70)
        return cmd_say(EXIT_USAGE, "--%s %.40s: must be a day, as 2026-01-25", option, text);
    *day = timegm(&tm) / (DAY_MS / 1000);
    return 0;
}

static int read_range(struct usage *u)
{
    const struct cmd *c = u->cmd;
    int64_t today = clock_wall_ms() / DAY_MS;
    u->until = today;
    int status = read_day("until", c->until, &u->until);
    if (status == 0 && c->day && (status = read_day("day", c->day, &u->until)) == 0)
        u->since = u->until;
    else
        u->since = u->until - (int64_t)c->days + 1;
    if (status == 0)
        status = read_day("since", c->since, &u->since);
    if (status == 0 && c->day && (c->since || c->until))
        return cmd_say(EXIT_USAGE, "--day goes without --since and --until");
    if (status == 0 && c->since && u->since > u->until)
        return cmd_say(EXIT_USAGE, "--since %.40s is after %s", c->since,
                       c->until ? "--until" : "today");
    if (status == 0 && u->until > today)
        u->until = today;
    if (status == 0 && u->until - u->since >= MAX_DAYS)
        return cmd_say(EXIT_USAGE, "%d days at most are kept", MAX_DAYS);
    return status;
}

int cmd_usage(struct cmd *c)
{
    static const char *const ways[] = {
        [BY_USER] = "user", [BY_LANE] = "lane", [BY_MODEL] = "model", [BY_DAY] = "day"};
    struct usage u = {.cmd = c};
    struct session *s;
    unsigned by = 0;
    while (by <= BY_DAY && strcmp(c->by, ways[by]) != 0)
        by++;
    if (by > BY_DAY)
        return cmd_say(EXIT_USAGE, "--by %.40s: must be user, model, lane or day", c->by);
    u.by = by;
    int status = read_range(&u);
    if (status != 0)
        return status;
    if (c->calls)
        return cmd_calls(c, u.since, u.until);
    enum err e = cmd_connect(c, c->redis, c->queue, &s);
    if (e != OK)
        return cmd_fail(c, e);
    e = read_days(&u, s);
    session_close(s);
    if (e == OK)
        print_all(&u);
    free(u.rows);
    return e == OK ? EXIT_DONE : cmd_fail(c, e);
}
