// projects.c - see projects.h.
#include "broker/projects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/members.h"
#include "broker/tier.h"
#include "common/file.h"
#include "common/json.h"
#include "common/secret.h"

#define MAX_FILE (1u << 20) // bytes
#define MAX_SPEC 1024       // of a limit, as limit_spec() writes it

struct reader {
    struct projects *out;
    struct project *p; // the one that is being read
    struct buf *why;
};

static enum err wrong(struct reader *r, const char *what)
{
    buf_addf(r->why, "project %zu", r->out->n + 1);
    if (r->p->name[0])
        buf_addf(r->why, " (%s)", r->p->name);
    buf_addf(r->why, ": %s", what);
    return ERR_FORMAT;
}

// --- Keys -----------------------------------------------------------------------------------

static enum err read_secret(struct reader *r, struct project_key *key, const char *file)
{
    struct buf why = {.max = 2048};
    const char *const names[] = {file ? NULL : key->from, NULL};
    enum err e = secret_read(&key->secret, file, names, &why);
    if (e != OK)
        wrong(r, buf_str(&why));
    buf_free(&why);
    return e == ERR_FORMAT || e == ERR_RANGE ? ERR_MISSING : e;
}

static enum err read_key(struct reader *r, struct json_object *o)
{
    static const char *const names[] = {"env", "file", NULL};
    struct project *p = r->p;
    struct span env = {0}, file = {0};
    if (!json_object_is_type(o, json_type_object) || members_other(o, names) ||
        json_get_str(o, "env", &env) == json_get_str(o, "file", &file) ||
        (env.len ? env.len : file.len) == 0)
        return wrong(r, "keys: each must be {\"env\": NAME} or {\"file\": PATH}");
    if (p->n_keys == PROJECT_MAX_KEYS)
        return wrong(r, "keys: at most 16");
    struct project_key *key = &p->keys[p->n_keys++];
    key->from = strndup(env.len ? env.ptr : file.ptr, env.len ? env.len : file.len);
    key->in_env = env.len > 0;
    return key->from ? read_secret(r, key, file.len ? key->from : NULL) : ERR_NOMEM;
}

static bool key_is_known(const struct projects *all, const struct project *p)
{
    const struct buf *last = &p->keys[p->n_keys - 1].secret;
    for (const struct project *q = all->at; q <= p; q++)
        for (size_t i = 0; i < q->n_keys - (q == p); i++)
            if (span_equal(buf_span(last), buf_span(&q->keys[i].secret)))
                return true;
    return false;
}

static enum err read_keys(struct reader *r, struct json_object *o)
{
    struct json_object *keys;
    enum err e = OK;
    if (!json_get(o, "keys", json_type_array, &keys) || json_object_array_length(keys) == 0)
        return wrong(r, "keys: must be a list of one or more");
    for (size_t i = 0; e == OK && i < json_object_array_length(keys); i++) {
        e = read_key(r, json_object_array_get_idx(keys, i));
        if (e == OK && key_is_known(r->out, r->p)) // its quota would be counted twice
            e = wrong(r, "keys: one of them is there twice");
    }
    return e;
}

// --- Limits ---------------------------------------------------------------------------------

static enum err read_spec(struct reader *r, struct span text, struct buf *out)
{
    struct buf why = {.max = 1024};
    *out = (struct buf){.max = MAX_SPEC};
    enum err e = tier_spec(text, out, &why);
    if (e == ERR_FORMAT)
        wrong(r, buf_str(&why));
    buf_free(&why);
    return e;
}

static bool group_ok(struct span s)
{
    const char *slash = s.len ? memchr(s.ptr, '/', s.len) : NULL;
    size_t n = slash ? (size_t)(slash - s.ptr) : s.len;
    return job_name_ok((struct span){s.ptr, n}) &&
           (!slash || job_name_ok((struct span){slash + 1, s.len - n - 1}));
}

static enum err read_own_limits(struct reader *r, struct json_object *limits)
{
    struct project *p = r->p;
    json_object_object_foreach(limits, group, spec)
    {
        struct project_limit *l = &p->limits[p->n_limits++];
        if (!group_ok(span_of(group)) || !json_object_is_type(spec, json_type_string))
            return wrong(r, "limits: must be {MODEL or MODEL/LANE: \"rpm=600\"}");
        if (!(l->group = strdup(group)))
            return ERR_NOMEM;
        enum err e = read_spec(r, members_text(spec), &l->spec);
        if (e != OK)
            return e;
    }
    return OK;
}

static enum err read_limits(struct reader *r, struct json_object *o)
{
    struct json_object *limit, *limits;
    enum err e = OK;
    if (!members_get(o, "limit", json_type_string, &limit))
        return wrong(r, "limit: must be text, as \"rpm=600\"");
    if (limit)
        e = read_spec(r, members_text(limit), &r->p->limit);
    if (e != OK)
        return e;
    if (!members_get(o, "limits", json_type_object, &limits) ||
        (limits && json_object_object_length(limits) > PROJECT_MAX_LIMITS))
        return wrong(r, "limits: must be {MODEL or MODEL/LANE: \"rpm=600\"}, at most 64");
    return limits ? read_own_limits(r, limits) : OK;
}

// --- A project ------------------------------------------------------------------------------

static enum err read_name(struct reader *r, struct json_object *o)
{
    struct span name;
    struct project *p = r->p;
    if (!json_get_str(o, "name", &name) || !job_name_ok(name))
        return wrong(r, "name: 1 to 100 of A-Z a-z 0-9 . _ -");
    memcpy(p->name, name.ptr, name.len);
    for (const struct project *q = r->out->at; q < p; q++)
        if (strcmp(q->name, p->name) == 0)
            return wrong(r, "the name is there twice");
    return OK;
}

static enum err read_project(struct reader *r, struct json_object *o)
{
    static const char *const names[] = {"name", "weight", "keys", "limit", "limits", NULL};
    int64_t weight = 1;
    if (!json_object_is_type(o, json_type_object))
        return wrong(r, "must be an object");
    enum err e = read_name(r, o);
    if (e == OK && members_other(o, names))
        e = wrong(r, "has members beside name, weight, keys, limit and limits");
    if (e == OK && json_object_object_get_ex(o, "weight", NULL) &&
        (!json_get_int(o, "weight", &weight) || weight < 1 || weight > PROJECT_MAX_WEIGHT))
        e = wrong(r, "weight: must be a number from 1 to 1000");
    r->p->weight = (unsigned)weight;
    if (e == OK)
        e = read_limits(r, o);
    return e == OK ? read_keys(r, o) : e;
}

static enum err read_all(struct reader *r, struct json_object *document)
{
    struct json_object *list;
    if (!json_get(document, "projects", json_type_array, &list) ||
        json_object_array_length(list) == 0 || json_object_array_length(list) > PROJECTS_MAX) {
        buf_add_str(r->why, "must be {\"projects\": [...]}, with 1 to 16 of them");
        return ERR_FORMAT;
    }
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        r->p = &r->out->at[i];
        enum err e = read_project(r, json_object_array_get_idx(list, i));
        r->out->n++; // even one that was half read: it is freed
        if (e != OK)
            return e;
    }
    return OK;
}

// --- The file -------------------------------------------------------------------------------

// Who may write it says whose money is spent.
static enum err check_mode(const char *path, struct buf *why)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        buf_add_str(why, strerror(errno));
        return file_err(errno);
    }
    if (st.st_mode & S_IWOTH) {
        buf_add_str(why, "everybody may write it; chmod o-w");
        return ERR_DENIED;
    }
    return OK;
}

enum err projects_read(const char *path, struct projects *out, struct buf *why)
{
    struct buf text = {.max = MAX_FILE}, what = {.max = 4096};
    struct json_object *document = NULL;
    struct reader r = {.out = out, .why = &what};
    *out = (struct projects){0};
    enum err e = check_mode(path, &what);
    if (e == OK && (e = file_read(path, &text)) != OK)
        buf_add_str(&what, e == ERR_TOOBIG ? err_text(e) : strerror(errno));
    if (e == OK)
        e = json_read(buf_span(&text), &document, &what);
    if (e == OK)
        e = read_all(&r, document);
    if (e != OK)
        buf_addf(why, "%s: %s", path, what.len ? buf_str(&what) : err_text(e));
    json_object_put(document);
    buf_free(&text);
    buf_free(&what);
    return e;
}

void projects_one(struct projects *out, const char *name, struct buf *key, struct span limit)
{
    struct project *p = &out->at[0];
    *out = (struct projects){.n = 1};
    strncpy(p->name, name, JOB_MAX_NAME);
    p->weight = 1;
    p->limit = (struct buf){.max = MAX_SPEC};
    buf_add(&p->limit, limit);
    p->keys[p->n_keys++].secret = *key;
    *key = (struct buf){.max = SECRET_MAX};
}

void projects_free(struct projects *all)
{
    for (struct project *p = all->at; p < all->at + all->n; p++) {
        buf_free(&p->limit);
        for (size_t i = 0; i < p->n_limits; i++) {
            free(p->limits[i].group);
            buf_free(&p->limits[i].spec);
        }
        for (size_t i = 0; i < p->n_keys; i++) {
            free(p->keys[i].from);
            secret_free(&p->keys[i].secret);
        }
    }
    all->n = 0;
}

void projects_forget(const struct projects *all)
{
    for (const struct project *p = all->at; p < all->at + all->n; p++)
        for (size_t i = 0; i < p->n_keys; i++)
            if (p->keys[i].in_env)
                secret_forget((const char *const[]){p->keys[i].from, NULL});
}

struct span project_limit(const struct project *p, struct span lane_model)
{
    const char *slash = lane_model.len ? memchr(lane_model.ptr, '/', lane_model.len) : NULL;
    size_t lane = slash ? (size_t)(slash - lane_model.ptr) : 0;
    struct span best = buf_span(&p->limit);
    for (size_t i = 0; slash && i < p->n_limits; i++) {
        const char *g = p->limits[i].group;
        size_t model = lane_model.len - lane - 1;
        if (strncmp(g, slash + 1, model) != 0)
            continue;
        if (g[model] == '/' && strlen(g + model + 1) == lane &&
            memcmp(g + model + 1, lane_model.ptr, lane) == 0)
            return buf_span(&p->limits[i].spec);
        if (g[model] == '\0')
            best = buf_span(&p->limits[i].spec);
    }
    return best;
}
