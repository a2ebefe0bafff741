// cmd_calls.c - genfarm usage --calls: the ledger, a line for each call, in pieces of bounded
// size; the lines of a day add up to what genfarm usage says of it.
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#include "client/cmd.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/json.h"

#define PIECE 500

enum kind { TEXT, NUMBER, COUNT32, COUNT16, COUNT8, USD, TIME, HEX };

static const struct column {
    const char *name;
    enum kind kind;
    size_t offset;
} columns[] = {
#define C(name, kind, member)                            \
    {                                                    \
        name, kind, offsetof(struct ledger_call, member) \
    }
    // clang-format off
    C("ts", TIME, ts_ms),
    C("call", HEX, call_id),
    C("batch", TEXT, batch),
    C("index", NUMBER, index),
    C("id", TEXT, id),
    C("run", NUMBER, run),
    C("attempt", NUMBER, attempt),
    C("user", TEXT, user),
    C("provider", TEXT, provider),
    C("project", TEXT, project),
    C("model", TEXT, model),
    C("operation", TEXT, operation),
    C("lane", TEXT, lane),
    C("endpoint", TEXT, endpoint),
    C("outcome", TEXT, outcome),
    C("calls", COUNT8, figures.calls),
    C("unknown", COUNT8, figures.unknown),
    C("images", COUNT16, figures.images),
    C("in_tokens", COUNT32, figures.input_tokens),
    C("out_tokens", COUNT32, figures.output_tokens),
    C("bytes", COUNT32, figures.bytes),
    C("bytes_sent", NUMBER, bytes_sent),
    C("bytes_received", NUMBER, bytes_received),
    C("latency_ms", NUMBER, latency_ms),
    C("cost_usd", USD, figures.cost_micro),
// clang-format on
#undef C
};
#define N_COLUMNS (sizeof columns / sizeof *columns)

static int64_t number(const struct column *col, const void *at)
{
    switch (col->kind) {
    case COUNT32: return *(const uint32_t *)at;
    case COUNT16: return *(const uint16_t *)at;
    case COUNT8: return *(const uint8_t *)at;
    case TEXT:
    case HEX: return 0;
    case NUMBER:
    case USD:
    case TIME: break;
    }
    return *(const int64_t *)at;
}

// Texts, and what is shown as one; empty: nothing is known.
static struct span text(const struct column *col, const void *at,
                        char room[static CLOCK_RFC3339_SIZE])
{
    const struct span *s = at;
    room[0] = '\0';
    if (col->kind == TEXT)
        return *s;
    if (col->kind == HEX && s->len == QUEUE_CALL_ID)
        digest_hex((const uint8_t *)s->ptr, s->len, room);
    else if (col->kind == TIME)
        clock_rfc3339(*(const int64_t *)at, room);
    return span_of(room);
}

static bool is_text(enum kind k)
{
    return k == TEXT || k == HEX || k == TIME;
}

static void print_json(const struct ledger_call *c)
{
    char room[CLOCK_RFC3339_SIZE];
    struct json_object *o = json_object_new_object();
    for (size_t i = 0; i < N_COLUMNS; i++) {
        const struct column *col = &columns[i];
        const void *at = (const char *)c + col->offset;
        if (is_text(col->kind))
            json_put_str(o, col->name, text(col, at, room));
        else if (col->kind == USD)
            json_put_usd(o, col->name, number(col, at));
        else
            json_put_int(o, col->name, number(col, at));
    }
    cmd_print(o);
}

// RFC 4180: quoted where it must be.
static void print_text(struct span s)
{
    bool quote = false;
    for (size_t i = 0; i < s.len; i++)
        quote = quote || s.ptr[i] == ',' || s.ptr[i] == '"' || (unsigned char)s.ptr[i] < ' ';
    if (quote)
        putchar('"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"')
            putchar('"');
        putchar(s.ptr[i]);
    }
    if (quote)
        putchar('"');
}

static void print_csv(const struct ledger_call *c)
{
    char room[CLOCK_RFC3339_SIZE];
    for (size_t i = 0; i < N_COLUMNS; i++) {
        const struct column *col = &columns[i];
        const void *at = (const char *)c + col->offset;
        int64_t v = number(col, at);
        if (i > 0)
            putchar(',');
        if (is_text(col->kind))
            print_text(text(col, at, room));
        else if (col->kind == USD)
            printf("%" PRId64 ".%06" PRId64, v / 1000000, v % 1000000);
        else
            printf("%" PRId64, v);
    }
    putchar('\n');
}

// --- Reading --------------------------------------------------------------------------------

struct reading {
    const char *batch; // only entries of this one; NULL: all
    cmd_ledger_entry *each;
    void *ctx;
    int64_t day, next; // of the entry that is asked for
    int64_t lost, unreadable;
    size_t n; // of the last piece
    bool done;
    enum err err;
};

static void on_page(void *ctx, enum err e, const struct ledger_page *p)
{
    struct reading *k = ctx;
    k->done = true;
    k->err = e;
    if (e != OK)
        return;
    if (p->first > k->next)
        cmd_say(0, "%" PRId64 " calls of this day are kept no longer", p->first - k->next);
    for (size_t i = 0; k->err == OK && i < p->n; i++) {
        struct ledger_call c;
        if (ledger_read(&c, p->entries[i]) != OK)
            k->unreadable++;
        else if (!k->batch || span_is(c.batch, k->batch))
            k->err = k->each(k->ctx, &c);
    }
    k->lost = p->lost;
    k->n = p->n;
    k->next = p->first + (int64_t)p->n;
}

static enum err read_day(struct reading *k, struct session *s)
{
    enum err e = OK;
    k->next = 0;
    do {
        k->done = false;
        e = queue_calls(session_queue(s), k->day, k->next, PIECE, on_page, k);
        e = session_finish(s, e, &k->done, &k->err);
    } while (e == OK && k->n == PIECE && !ferror(stdout));
    return e;
}

enum err cmd_ledger(const struct cmd *c, struct session *s, int64_t since, int64_t until,
                    cmd_ledger_entry *each, void *ctx)
{
    struct reading k = {.batch = c->only_batch, .each = each, .ctx = ctx};
    enum err e = OK;
    for (k.day = since; e == OK && k.day <= until; k.day++)
        e = read_day(&k, s);
    if (e == OK && k.lost > 0)
        cmd_say(0, "%" PRId64 " calls could not be entered", k.lost);
    if (e == OK && k.unreadable > 0)
        cmd_say(0, "%" PRId64 " entries could not be read", k.unreadable);
    return e;
}

static enum err print(void *ctx, const struct ledger_call *c)
{
    const struct cmd *cmd = ctx;
    if (cmd->csv)
        print_csv(c);
    else
        print_json(c);
    return OK;
}

int cmd_calls(struct cmd *c, int64_t since, int64_t until)
{
    struct session *s;
    enum err e = cmd_connect(c, c->redis, c->queue, &s);
    if (e != OK)
        return cmd_fail(c, e);
    for (size_t i = 0; c->csv && i < N_COLUMNS; i++)
        printf("%s%s", columns[i].name, i + 1 < N_COLUMNS ? "," : "\n");
    e = cmd_ledger(c, s, since, until, print, c);
    session_close(s);
    return e == OK ? EXIT_DONE : cmd_fail(c, e);
}
