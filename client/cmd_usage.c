// cmd_usage.c - genfarm usage: what was used, by user, model, lane or day, as the queue sums it
// up; or by batch, as the ledger's entries add up.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/cmd.h"
#include "client/usage_rows.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"

#define DAY_MS   86400000
#define MAX_DAYS 401

struct usage {
    struct cmd *cmd;
    enum { BY_USER, BY_LANE, BY_MODEL, BY_DAY, BY_BATCH } by; // parts of a field's name first
    int64_t day, since, until;                                // since 1970-01-01
    struct usage_rows rows;
    bool done;
    enum err err;
};

// --- Adding up ------------------------------------------------------------------------------

// ERR_NOMEM, with words where there are too many.
static enum err row_of(struct usage *u, struct span name, struct usage_row **out)
{
    if ((*out = usage_row(&u->rows, name)))
        return OK;
    if (u->rows.n == USAGE_MAX_ROWS && u->cmd->why.len == 0)
        buf_addf(&u->cmd->why, "there would be more than %d rows; ask for fewer days",
                 USAGE_MAX_ROWS);
    return ERR_NOMEM;
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
        if (parts[i].len == 0 || parts[i].len >= USAGE_MAX_NAME)
            return false;
    }
    parts[3] = field;
    return true;
}

static enum err add(struct usage *u, struct span field, struct span number)
{
    struct span parts[4];
    char day[CLOCK_RFC3339_SIZE];
    struct usage_row *r;
    int64_t v;
    if (!split(field, parts) || text_int(number, INT64_MIN, INT64_MAX, &v) != OK)
        return OK; // not ours: passed over
    clock_rfc3339(u->day * DAY_MS, day);
    enum err e = row_of(u, u->by == BY_DAY ? (struct span){day, 10} : parts[u->by], &r);
    for (size_t i = 0; e == OK && i < USAGE_FIGURES; i++)
        if (span_is(parts[3], usage_figures[i]))
            r->v[i] += v;
    return e;
}

// What jobs came to is no matter of the ledger.
static enum err add_call(void *ctx, const struct ledger_call *c)
{
    struct usage *u = ctx;
    const struct queue_figures *f = &c->figures;
    struct usage_row *r;
    if (!job_name_ok(c->batch))
        return OK;
    enum err e = row_of(u, c->batch, &r);
    if (e != OK)
        return e;
    r->v[USAGE_CALLS] += f->calls;
    r->v[USAGE_IMAGES] += f->images;
    r->v[USAGE_UNKNOWN] += f->unknown;
    r->v[USAGE_IN_TOKENS] += f->input_tokens;
    r->v[USAGE_OUT_TOKENS] += f->output_tokens;
    r->v[USAGE_BYTES] += f->bytes;
    r->v[USAGE_COST] += f->cost_micro;
    return OK;
}

static void on_usage(void *ctx, enum err e, const struct span *names, size_t n)
{
    struct usage *u = ctx;
    u->done = true;
    u->err = e;
    for (size_t i = 0; u->err == OK && i + 1 < n; i += 2)
        u->err = add(u, names[i], names[i + 1]);
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

// The ledger is bounded, and may be off: what the sums of the days have beyond it is said.
static enum err read_batches(struct usage *u, struct session *s)
{
    struct usage days = {.cmd = u->cmd, .by = BY_DAY, .since = u->since, .until = u->until};
    enum err e = u->cmd->only_batch ? OK : read_days(&days, s); // before: both only grow
    if (e == OK)
        e = cmd_ledger(u->cmd, s, u->since, u->until, add_call, u);
    int64_t missing = usage_sum(&days.rows, USAGE_CALLS) - usage_sum(&u->rows, USAGE_CALLS);
    if (e == OK && missing > 0)
        cmd_say(0, "%" PRId64 " calls of these days are not in the ledger, and in no row",
                missing);
    usage_free(&days.rows);
    return e;
}

// --- Showing --------------------------------------------------------------------------------

static bool has(const struct usage *u, size_t figure)
{
    return u->by != BY_BATCH || figure < USAGE_COMPLETED || figure > USAGE_CANCELLED;
}

static void print_json(const struct usage *u, const struct usage_row *r)
{
    struct json_object *o = json_object_new_object();
    json_put_cstr(o, u->cmd->by, r->name);
    for (size_t i = 0; i < USAGE_COST; i++)
        if (has(u, i))
            json_put_int(o, usage_figures[i], r->v[i]);
    json_put_usd(o, "cost_usd", r->v[USAGE_COST]);
    cmd_print(o);
}

static void print_csv(const struct usage *u, const struct usage_row *r)
{
    printf("%s", r->name); // a name, or a day: nothing to be quoted
    for (size_t i = 0; i < USAGE_COST; i++)
        if (has(u, i))
            printf(",%" PRId64, r->v[i]);
    printf(",%" PRId64 ".%06" PRId64 "\n", r->v[USAGE_COST] / 1000000,
           r->v[USAGE_COST] % 1000000);
}

static const size_t shown[] = {USAGE_CALLS, USAGE_IMAGES, USAGE_COMPLETED, USAGE_FAILED,
                               USAGE_UNKNOWN};
#define N_SHOWN (sizeof shown / sizeof *shown)

static void print_row(const struct usage *u, const struct usage_row *r)
{
    struct buf usd = {.max = 64};
    cmd_show_usd(&usd, r->v[USAGE_COST]);
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
    for (size_t i = 0; c->csv && i < USAGE_COST; i++)
        if (has(u, i))
            printf(",%s", usage_figures[i]);
    for (size_t i = 0; !c->csv && i < N_SHOWN; i++)
        if (has(u, shown[i]))
            printf(" %9s", usage_figures[shown[i]]);
    if (c->csv)
        puts(",cost_usd");
    else
        printf(" %12s\n", "cost");
}

static void print_all(const struct usage *u)
{
    const struct cmd *c = u->cmd;
    struct usage_row sum = {.name = "in all"};
    for (size_t k = 0; k < USAGE_FIGURES; k++)
        sum.v[k] = usage_sum(&u->rows, k);
    print_head(u);
    for (size_t i = 0; i < u->rows.n; i++) {
        const struct usage_row *r = u->rows.at[i];
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
    usage_free(&u.rows);
    return e == OK ? EXIT_DONE : cmd_fail(c, e);
}
