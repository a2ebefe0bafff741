// cmd_usage.c - genfarm usage: what was used, by user, model, lane or day, as the queue sums it
// up; or by batch, as the ledger's entries add up.
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

enum {
    CALLS,
    IMAGES,
    COMPLETED,
    FAILED,
    CANCELLED,
    UNKNOWN,
    IN_TOKENS,
    OUT_TOKENS,
    BYTES,
    COST,
    N_FIGURES
};
static const char *const figures[N_FIGURES] = {
    [CALLS] = "calls",         [IMAGES] = "images",
    [COMPLETED] = "completed", [FAILED] = "failed",
    [CANCELLED] = "cancelled", [UNKNOWN] = "unknown",
    [IN_TOKENS] = "in_tokens", [OUT_TOKENS] = "out_tokens",
    [BYTES] = "bytes",         [COST] = "cost"};

struct row {
    char name[MAX_NAME];
    int64_t v[N_FIGURES];
};

struct usage {
    struct cmd *cmd;
    enum { BY_USER, BY_LANE, BY_MODEL, BY_DAY, BY_BATCH } by; // parts of a field's name first
    int64_t day, since, until;                                // since 1970-01-01
    struct row *rows;                                         // by name
    size_t n;
    bool done;
    enum err err;
};

// --- Adding up ------------------------------------------------------------------------------

// The place of the name among the rows, or where it belongs; *there: which of both.
static size_t find(const struct usage *u, struct span name, bool *there)
{
    size_t low = 0, high = u->n;
    *there = false;
    while (low < high && !*there) {
        size_t mid = (low + high) / 2;
        const char *is = u->rows[mid].name;
        size_t len = strlen(is), least = len < name.len ? len : name.len;
        int order = memcmp(name.ptr, is, least);
        if (order == 0)
            order = (name.len > len) - (name.len < len);
        *there = order == 0;
        if (order > 0)
            low = mid + 1;
        else
            high = mid;
    }
    return high;
}

static struct row *row_of(struct usage *u, struct span name)
{
    bool there;
    size_t at = find(u, name, &there);
    if (there)
        return &u->rows[at];
    if (u->n == MAX_ROWS) {
        buf_clear(&u->cmd->why);
        buf_addf(&u->cmd->why, "there would be more than %d rows; ask for fewer days",
                 MAX_ROWS);
        return NULL;
    }
    struct row *more = realloc(u->rows, (u->n + 1) * sizeof *more);
    if (!more)
        return NULL;
    u->rows = more;
    memmove(more + at + 1, more + at, (u->n++ - at) * sizeof *more);
    more[at] = (struct row){0};
    snprintf(more[at].name, MAX_NAME, "%.*s", (int)name.len, name.ptr);
    return &more[at];
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

// What jobs came to is no matter of the ledger.
static enum err add_call(void *ctx, const struct ledger_call *c)
{
    struct usage *u = ctx;
    const struct queue_figures *f = &c->figures;
    struct row *r = job_name_ok(c->batch) ? row_of(u, c->batch) : NULL;
    if (!r)
        return job_name_ok(c->batch) ? ERR_NOMEM : OK;
    r->v[CALLS] += f->calls;
    r->v[IMAGES] += f->images;
    r->v[UNKNOWN] += f->unknown;
    r->v[IN_TOKENS] += f->input_tokens;
    r->v[OUT_TOKENS] += f->output_tokens;
    r->v[BYTES] += f->bytes;
    r->v[COST] += f->cost_micro;
    return OK;
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

static int64_t sum_of(const struct usage *u, size_t figure)
{
    int64_t sum = 0;
    for (size_t i = 0; i < u->n; i++)
        sum += u->rows[i].v[figure];
    return sum;
}

// The ledger is bounded, and may be off: what the sums of the days have beyond it is said.
static enum err read_batches(struct usage *u, struct session *s)
{
    struct usage days = {.cmd = u->cmd, .by = BY_DAY, .since = u->since, .until = u->until};
    enum err e = u->cmd->only_batch ? OK : read_days(&days, s); // before: both only grow
    if (e == OK)
        e = cmd_ledger(u->cmd, s, u->since, u->until, add_call, u);
    int64_t missing = sum_of(&days, CALLS) - sum_of(u, CALLS);
    if (e == OK && missing > 0)
        cmd_say(0, "%" PRId64 " calls of these days are not in the ledger, and in no row",
                missing);
    free(days.rows);
    return e;
}

// --- Showing --------------------------------------------------------------------------------

static bool has(const struct usage *u, size_t figure)
{
    return u->by != BY_BATCH || figure < COMPLETED || figure > CANCELLED;
}

static void print_json(const struct usage *u, const struct row *r)
{
    struct json_object *o = json_object_new_object();
    json_put_cstr(o, u->cmd->by, r->name);
    for (size_t i = 0; i < COST; i++)
        if (has(u, i))
            json_put_int(o, figures[i], r->v[i]);
    json_put_usd(o, "cost_usd", r->v[COST]);
    cmd_print(o);
}

static void print_csv(const struct usage *u, const struct row *r)
{
    printf("%s", r->name); // a name, or a day: nothing to be quoted
    for (size_t i = 0; i < COST; i++)
        if (has(u, i))
            printf(",%" PRId64, r->v[i]);
    printf(",%" PRId64 ".%06" PRId64 "\n", r->v[COST] / 1000000, r->v[COST] % 1000000);
}

static const size_t shown[] = {CALLS, IMAGES, COMPLETED, FAILED, UNKNOWN};
#define N_SHOWN (sizeof shown / sizeof *shown)

static void print_row(const struct usage *u, const struct row *r)
{
    struct buf usd = {.max = 64};
    cmd_show_usd(&usd, r->v[COST]);
    printf("%-32s", r->name);
    for (size_t i = 0; i < N_SHOWN; i++)
        if (has(u, shown[i]))
            printf(" %9" PRId64, r->v[shown[i]]);
    printf(" %12s\n", buf_str(&usd));
    buf_free(&usd);
}

static void print_head(const struct usage *u)
{
    const struct cmd *c = u->cmd;
    if (c->json)
        return;
    printf(c->csv ? "%s" : "%-32s", c->by);
    for (size_t i = 0; c->csv && i < COST; i++)
        if (has(u, i))
            printf(",%s", figures[i]);
    for (size_t i = 0; !c->csv && i < N_SHOWN; i++)
        if (has(u, shown[i]))
            printf(" %9s", figures[shown[i]]);
    if (c->csv)
        puts(",cost_usd");
    else
        printf(" %12s\n", "cost");
}

static void print_all(const struct usage *u)
{
    const struct cmd *c = u->cmd;
    struct row sum = {.name = "in all"};
    print_head(u);
    for (size_t i = 0; i < u->n; i++) {
        const struct row *r = &u->rows[i];
        for (size_t k = 0; k < N_FIGURES; k++)
            sum.v[k] += r->v[k];
        if (c->json)
            print_json(u, r);
        else if (c->csv)
            print_csv(u, r);
        else
            print_row(u, r);
    }
    if (!c->json && !c->csv)
        print_row(u, &sum);
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

static int read_way(struct usage *u)
{
    static const char *const ways[] = {[BY_USER] = "user",
                                       [BY_LANE] = "lane",
                                       [BY_MODEL] = "model",
                                       [BY_DAY] = "day",
                                       [BY_BATCH] = "batch"};
    const struct cmd *c = u->cmd;
    unsigned by = BY_USER;
    while (by <= BY_BATCH && strcmp(c->by, ways[by]) != 0)
        by++;
    if (by > BY_BATCH)
        return cmd_say(EXIT_USAGE, "--by %.40s: must be user, model, lane, day or batch",
                       c->by);
    u->by = by;
    if (c->only_batch && !c->calls && by != BY_BATCH)
        return cmd_say(EXIT_USAGE, "--batch goes with --calls or --by batch");
    return 0;
}

int cmd_usage(struct cmd *c)
{
    struct usage u = {.cmd = c};
    struct session *s;
    int status = read_way(&u);
    if (status == 0)
        status = read_range(&u);
    if (status != 0)
        return status;
    if (c->calls)
        return cmd_calls(c, u.since, u.until);
    enum err e = cmd_connect(c, c->redis, c->queue, &s);
    if (e != OK)
        return cmd_fail(c, e);
    if (u.by == BY_BATCH)
        e = read_batches(&u, s);
    else
        e = read_days(&u, s);
    session_close(s);
    if (e == OK)
        print_all(&u);
    free(u.rows);
    return e == OK ? EXIT_DONE : cmd_fail(c, e);
}
