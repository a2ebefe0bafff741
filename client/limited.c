// limited.c - see limited.h. One look: the workers, then the limiter, group by group, all asked
// at once.
#include "client/limited.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "broker/queue.h"
#include "common/clock.h"
#include "common/text.h"

#define LATE_MS   20000 // by which a worker may be late to tell that it is over
#define MAX_GROUP (2 * JOB_MAX_NAME + 32)

struct seen {
    struct limited *all;
    char name[MAX_GROUP], reason[64], code[32];
    bool blocked; // as a worker says; the earliest `until_ms` of theirs
    bool open;    // a worker says that it is not
    struct limited_group shown;
};

struct limited {
    struct session *session;
    void (*told)(void *ctx);
    void *ctx;
    bool under_way, freed, done;
    enum err err;
    size_t n, n_shown, workers;
    uint64_t flight, concurrency;
    const struct limited_group *list[LIMITED_GROUPS];
    struct seen groups[LIMITED_GROUPS];
    struct remotes remotes;
};

struct limited *limited_new(struct session *s, void (*told)(void *ctx), void *ctx)
{
    struct limited *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->session = s;
    l->told = told;
    l->ctx = ctx;
    return l;
}

// Answers that are under way still come, and find it.
void limited_free(struct limited *l)
{
    if (l && l->under_way)
        l->freed = true;
    else
        free(l);
}

// Copies, cut, what came from outside, so that it cannot steer a terminal.
static void take_word(char *out, size_t size, struct span s)
{
    size_t n = s.len < size - 1 ? s.len : size - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = s.ptr[i] > ' ' && s.ptr[i] <= '~' ? s.ptr[i] : '?';
    out[n] = '\0';
}

// --- What was seen --------------------------------------------------------------------------

// Model and lane, behind the project.
static const char *what_of(const char *group)
{
    const char *slash = strchr(group, '/');
    return slash ? slash + 1 : group;
}

// Every project's group of that model and lane is limited, too.
static bool is_limiting(const struct limited *l, const struct seen *g)
{
    for (size_t i = 0; i < l->n; i++)
        if (!l->groups[i].reason[0] &&
            strcmp(what_of(l->groups[i].name), what_of(g->name)) == 0)
            return false;
    return true;
}

// A code may end in what kind of quota it is about: "quota_exhausted/daily".
static void take_block(struct seen *g)
{
    static const struct {
        const char *kind, *shown;
    } kinds[] = {{"daily", "daily quota"}, {"none", "no quota"}, {"credits", "no credits"}};
    char *slash = strchr(g->code, '/');
    snprintf(g->reason, sizeof g->reason, "blocked");
    for (size_t i = 0; slash && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(slash + 1, kinds[i].kind) == 0)
            snprintf(g->reason, sizeof g->reason, "%s", kinds[i].shown);
    if (slash)
        *slash = '\0';
    if (strcmp(g->reason, "daily quota") == 0)
        g->code[0] = '\0';
}

static void sum_up(struct limited *l)
{
    l->n_shown = 0;
    for (size_t i = 0; i < l->n; i++) {
        struct seen *g = &l->groups[i];
        if (!g->reason[0] && g->blocked && !g->open)
            take_block(g);
        else
            g->code[0] = '\0';
    }
    for (size_t i = 0; i < l->n; i++) {
        struct seen *g = &l->groups[i];
        if (!g->reason[0])
            continue;
        g->shown = (struct limited_group){g->name, g->reason, g->code, g->shown.until_ms,
                                          is_limiting(l, g)};
        l->list[l->n_shown++] = &g->shown;
    }
}

static void answered(struct limited *l)
{
    l->under_way = false;
    if (l->freed) {
        free(l);
        return;
    }
    sum_up(l);
    l->done = true;
    if (l->told)
        l->told(l->ctx);
}

// --- The workers ----------------------------------------------------------------------------

// Takes what is before the first `c`, or all.
static struct span cut(struct span *left, char c)
{
    const char *at = left->len ? memchr(left->ptr, c, left->len) : NULL;
    struct span part = {left->ptr, at ? (size_t)(at - left->ptr) : left->len};
    size_t gone = part.len + (at != NULL);
    left->ptr += gone;
    left->len -= gone;
    return part;
}

static struct seen *find(struct limited *l, struct span name)
{
    for (size_t i = 0; i < l->n; i++)
        if (span_is(name, l->groups[i].name))
            return &l->groups[i];
    if (l->n == LIMITED_GROUPS || name.len == 0 || name.len >= MAX_GROUP)
        return NULL;
    struct seen *g = &l->groups[l->n++];
    *g = (struct seen){.all = l};
    take_word(g->name, sizeof g->name, name);
    return g;
}

static const struct {
    const char *said, *shown;
} names[] = {
    {"probing", "circuit open"}, {"rpd", "daily quota"}, {"inflight", "calls in flight"}};

// The limiter's reasons are the whole farm's, whoever tells them.
static void take_reason(struct seen *g, struct span reason, int64_t until_ms)
{
    g->shown.until_ms = until_ms;
    take_word(g->reason, sizeof g->reason, reason);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_is(reason, names[i].said))
            snprintf(g->reason, sizeof g->reason, "%s", names[i].shown);
}

// Dimensions come and go with each slot; what has an end of its own is over then.
static int64_t late(struct span reason)
{
    bool ends = span_is(reason, "cooling") || span_is(reason, "spend") ||
                span_is(reason, "probing") || span_is(reason, "rpd");
    return ends ? 0 : LATE_MS;
}

static void take_line(struct limited *l, struct span line)
{
    struct span name = cut(&line, '\t'), reason = cut(&line, '\t'), code = cut(&line, '\t');
    uint64_t until = 0;
    struct seen *g = find(l, name);
    if (!g || text_uint(line, 0, INT64_MAX, &until) != OK)
        return;
    if (!span_is(reason, "blocked")) {
        g->open = true;
        if (reason.len && (int64_t)until + late(reason) > clock_wall_ms() &&
            (!g->reason[0] || (int64_t)until > g->shown.until_ms))
            take_reason(g, reason, (int64_t)until);
        return;
    }
    if (!g->blocked || (int64_t)until < g->shown.until_ms)
        g->shown.until_ms = (int64_t)until;
    g->blocked = true;
    take_word(g->code, sizeof g->code, code);
}

// Who may not see them sees none.
static void on_remotes(void *ctx, enum err e, const struct operation *o, size_t n)
{
    struct limited *l = ctx;
    if (e != OK && e != ERR_DENIED)
        l->err = e;
    remotes_take(&l->remotes, o, n);
    answered(l);
}

static uint64_t number(struct span s)
{
    uint64_t n = 0;
    return text_uint(s, 0, 1000000, &n) == OK ? n : 0;
}

static void on_workers(void *ctx, enum err e, const struct queue_worker *w, size_t n)
{
    struct limited *l = ctx;
    l->err = e;
    l->n = l->n_shown = 0;
    l->flight = l->concurrency = 0;
    l->workers = e == OK ? n : 0;
    for (size_t i = 0; e == OK && i < n && !l->freed; i++) {
        l->flight += number(w[i].flight);
        l->concurrency += number(w[i].concurrency);
        for (struct span left = w[i].limits; left.len > 0;)
            take_line(l, cut(&left, '\n'));
    }
    if (e != OK || l->freed || operation_list(session_queue(l->session), on_remotes, l) != OK)
        answered(l);
}

void limited_look(struct limited *l)
{
    if (l->under_way)
        return;
    l->done = false;
    l->err = queue_workers(session_queue(l->session), on_workers, l);
    l->under_way = l->err == OK;
}

enum err limited_wait(struct limited *l)
{
    limited_look(l);
    enum err e = l->under_way ? session_wait(l->session, &l->done) : l->err;
    return e == OK ? l->err : e;
}

// --- What is shown --------------------------------------------------------------------------

const struct limited_group *limited_at(const struct limited *l, size_t i)
{
    return i < l->n_shown ? l->list[i] : NULL;
}

const char *limited_name(const struct limited *l, size_t i)
{
    return i < l->n ? l->groups[i].name : NULL;
}

const struct limited_group *limited_worst(const struct limited *l)
{
    static const char *const order[] = {"blocked",      "no credits", "no quota", "daily quota",
                                        "circuit open", "spend",      "cooling"};
    const size_t others = sizeof order / sizeof *order;
    const struct limited_group *worst = NULL;
    size_t rank = others + 1;
    for (size_t i = 0; i < l->n_shown; i++) {
        size_t at = 0;
        while (at < others && strcmp(order[at], l->list[i]->reason) != 0)
            at++;
        if (l->list[i]->limiting && at < rank) {
            worst = l->list[i];
            rank = at;
        }
    }
    return worst;
}

const struct remotes *limited_remotes(const struct limited *l)
{
    return &l->remotes;
}

const char *limited_else(const struct limited *l)
{
    return l->workers == 0                                     ? "no workers"
           : l->concurrency > 0 && l->flight >= l->concurrency ? "concurrency"
           : l->remotes.n > 0                                  ? "remote batches"
                                                               : "nothing";
}
