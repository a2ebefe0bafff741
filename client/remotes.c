// remotes.c - see remotes.h.
#include "client/remotes.h"

#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/json.h"

static void take_word(char *out, size_t size, struct span s)
{
    size_t n = s.len < size - 1 ? s.len : size - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = s.ptr[i] > ' ' && s.ptr[i] <= '~' ? s.ptr[i] : '?';
    out[n] = '\0';
}

static int64_t bounded(int64_t n, int64_t most)
{
    return n < 0 ? 0 : n > most ? most : n;
}

static void take(struct remotes_one *to, const struct operation *o)
{
    const struct {
        char *to;
        size_t size;
        struct span from;
    } words[] = {
        {to->op, sizeof to->op, o->op},          {to->state, sizeof to->state, o->state},
        {to->name, sizeof to->name, o->name},    {to->batch, sizeof to->batch, o->batch},
        {to->model, sizeof to->model, o->model}, {to->project, sizeof to->project, o->project}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        take_word(words[i].to, words[i].size, words[i].from);
    to->since_ms = bounded(o->made_ms > 0 ? o->made_ms : o->created_ms, clock_wall_ms());
    to->jobs = bounded(o->jobs, QUEUE_MAX_JOBS);
}

void remotes_take(struct remotes *r, const struct operation *o, size_t n)
{
    r->n = n < REMOTES_MAX ? n : REMOTES_MAX;
    for (size_t i = 0; i < r->n; i++)
        take(&r->list[i], &o[i]);
}

static bool is_of(const struct remotes_one *o, const char *batch, const char *project)
{
    return (!batch || strcmp(o->batch, batch) == 0) &&
           (!project || strcmp(o->project, project) == 0);
}

struct remotes_sum remotes_sum(const struct remotes *r, const char *batch, const char *project)
{
    struct remotes_sum s = {0};
    for (size_t i = 0; i < r->n; i++) {
        const struct remotes_one *o = &r->list[i];
        if (!is_of(o, batch, project))
            continue;
        s.batches++;
        s.jobs += o->jobs;
        if (s.since_ms == 0 || o->since_ms < s.since_ms)
            s.since_ms = o->since_ms;
    }
    return s;
}

// Of today the time, else the day, too.
static void show_since(struct buf *out, int64_t since_ms)
{
    time_t at = (time_t)(since_ms / 1000);
    bool recent = clock_wall_ms() - since_ms < 12 * 3600 * 1000;
    struct tm tm;
    char text[32];
    if (localtime_r(&at, &tm) &&
        strftime(text, sizeof text, recent ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &tm))
        buf_addf(out, " since %s", text);
}

void remotes_show(struct buf *out, const struct remotes_sum *s)
{
    if (s->batches == 0)
        return;
    buf_addf(out, "%lld job%s in %zu remote batch%s", (long long)s->jobs,
             s->jobs == 1 ? "" : "s", s->batches, s->batches == 1 ? "" : "es");
    show_since(out, s->since_ms);
}

static bool is_first_of_project(const struct remotes *r, const char *batch, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (is_of(&r->list[k], batch, r->list[i].project))
            return false;
    return is_of(&r->list[i], batch, NULL);
}

void remotes_show_projects(struct buf *out, const struct remotes *r, const char *batch)
{
    for (size_t i = 0; i < r->n; i++) {
        if (!is_first_of_project(r, batch, i))
            continue;
        struct remotes_sum s = remotes_sum(r, batch, r->list[i].project);
        buf_add_str(out, "  ");
        remotes_show(out, &s);
        buf_addf(out, " (project %s)\n", r->list[i].project);
    }
}

static void put_since(struct json_object *o, int64_t since_ms)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(since_ms, text);
    json_put_cstr(o, "since", text);
}

struct json_object *remotes_sum_json(const struct remotes_sum *s)
{
    if (s->batches == 0)
        return NULL;
    struct json_object *o = json_object_new_object();
    json_put_int(o, "batches", (int64_t)s->batches);
    json_put_int(o, "jobs", s->jobs);
    put_since(o, s->since_ms);
    return o;
}

struct json_object *remotes_json(const struct remotes *r, const char *batch)
{
    struct json_object *all = json_object_new_array();
    for (size_t i = 0; all && i < r->n; i++) {
        const struct remotes_one *one = &r->list[i];
        if (!is_of(one, batch, NULL))
            continue;
        struct json_object *o = json_object_new_object();
        json_put_cstr(o, "operation", one->op);
        json_put_cstr(o, "state", one->state);
        json_put_cstr(o, "name", one->name);
        json_put_cstr(o, "project", one->project);
        json_put_cstr(o, "model", one->model);
        json_put_int(o, "jobs", one->jobs);
        put_since(o, one->since_ms);
        json_object_array_add(all, o);
    }
    return all;
}
