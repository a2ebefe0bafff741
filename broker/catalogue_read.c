// catalogue_read.c - a catalogue's JSON, into what catalogue.c looks at. Nothing is passed
// over: a price under a misspelt name would be no price, and calls without one are held back by
// no budget.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/catalogue_private.h"
#include "broker/limit.h"
#include "broker/members.h"
#include "common/json.h"
#include "common/text.h"

#define MAX_REFERENCES 100
#define MAX_TOKENS     1000000 // of one image
#define MAX_PRICE      1e6     // dollars for a million tokens
#define MAX_FACTOR     1000    // of a lane

struct reader {
    struct catalogue *catalogue;
    struct model *model; // the one being read
    size_t number;       // of that one
    struct buf *why;
};

static enum err wrong(const struct reader *r, const char *member, const char *what)
{
    buf_addf(r->why, "models.%zu%s%s: %s", r->number, *member ? "." : "", member, what);
    return ERR_FORMAT;
}

// --- Members --------------------------------------------------------------------------------

// `place` ends with a point, unless it is the document itself. `known` ends with NULL.
static enum err no_others(struct buf *why, const char *place, struct json_object *o,
                          const char *const *known)
{
    const char *other = members_other(o, known);
    if (!other)
        return OK;
    buf_add_str(why, place);
    text_show(why, span_of(other), 40);
    buf_add_str(why, ": is no member here; there may be");
    for (size_t i = 0; known[i]; i++)
        buf_addf(why, "%s %s", i ? "," : "", known[i]);
    return ERR_FORMAT;
}

static enum err no_other_members(const struct reader *r, const char *of, struct json_object *o,
                                 const char *const *known)
{
    char place[64];
    snprintf(place, sizeof place, "models.%zu.%s", r->number, of);
    return no_others(r->why, place, o, known);
}

// --- Names ----------------------------------------------------------------------------------

static enum err read_name(struct reader *r, struct json_object *o)
{
    if (!json_get_str(o, "name", &r->model->name) || !job_name_ok(r->model->name))
        return wrong(r, "name", "1 to 100 of A-Z a-z 0-9 . _ -");
    if (catalogue_find(r->catalogue, r->model->name))
        return wrong(r, "name", "another model has it, as its name or an alias");
    return OK;
}

// By a model before, or by this one.
static bool is_taken(const struct reader *r, struct span name)
{
    const struct model *m = r->model;
    for (size_t i = 0; i < m->n_aliases; i++)
        if (span_equal(name, m->aliases[i]))
            return true;
    return span_equal(name, m->name) || catalogue_find(r->catalogue, name);
}

static enum err read_aliases(struct reader *r, struct json_object *o)
{
    struct span all[CATALOGUE_MAX_LIST];
    struct model *m = r->model;
    size_t n;
    if (!members_list(o, "aliases", CATALOGUE_MAX_LIST, all, &n))
        return wrong(r, "aliases", "must be a list of names");
    for (size_t i = 0; i < n; i++) {
        char place[32];
        snprintf(place, sizeof place, "aliases.%zu", i);
        if (!job_name_ok(all[i]))
            return wrong(r, place, "1 to 100 of A-Z a-z 0-9 . _ -");
        if (is_taken(r, all[i]))
            return wrong(r, place, "a model has it already, as its name or an alias");
        m->aliases[m->n_aliases++] = all[i];
    }
    return OK;
}

// "2026-10-02"
static bool is_date(struct span s)
{
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint64_t y, m, d;
    if (s.len != 10 || s.ptr[4] != '-' || s.ptr[7] != '-' ||
        text_uint((struct span){s.ptr, 4}, 1970, 9999, &y) != OK ||
        text_uint((struct span){s.ptr + 5, 2}, 1, 12, &m) != OK ||
        text_uint((struct span){s.ptr + 8, 2}, 1, 31, &d) != OK)
        return false;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return d <= days[m - 1] + (m == 2 && leap);
}

static enum err read_retires(struct reader *r, struct json_object *o)
{
    if (!json_object_object_get_ex(o, "retires", NULL))
        return OK;
    struct span *date = &r->model->retires;
    if (!json_get_str(o, "retires", date) || (date->len && !is_date(*date)))
        return wrong(r, "retires", "must be a date as \"2026-10-02\", or \"\"");
    return OK;
}

// --- What it can do -------------------------------------------------------------------------

static enum err read_ratios(struct reader *r, struct json_object *o)
{
    if (!members_list(o, "ratios", CATALOGUE_MAX_LIST, r->model->ratios, &r->model->n_ratios))
        return wrong(r, "ratios", "must be a list as [\"1:1\"]");
    return OK;
}

static bool read_tokens(struct model *m, struct json_object *sizes)
{
    if (json_object_object_length(sizes) > CATALOGUE_MAX_LIST)
        return false;
    json_object_object_foreach(sizes, name, tokens)
    {
        int64_t n = json_object_get_int64(tokens);
        if (!json_object_is_type(tokens, json_type_int) || n < 1 || n > MAX_TOKENS)
            return false;
        m->sizes[m->n_sizes] = span_of(name);
        m->tokens[m->n_sizes++] = n;
    }
    return true;
}

static enum err read_sizes(struct reader *r, struct json_object *o)
{
    struct model *m = r->model;
    struct json_object *sizes;
    int64_t tokens;
    if (!members_get(o, "sizes", json_type_object, &sizes) || (sizes && !read_tokens(m, sizes)))
        return wrong(r, "sizes", "must be an object of sizes and their image tokens");
    if (!json_object_object_get_ex(o, "default_size", NULL))
        return OK;
    if (!json_get_str(o, "default_size", &m->default_size) || !m->default_size.len ||
        model_image_tokens(m, m->default_size, &tokens) != OK)
        return wrong(r, "default_size", "must be one of the sizes");
    return OK;
}

static enum err read_references(struct reader *r, struct json_object *o)
{
    int64_t n;
    if (json_object_object_get_ex(o, "references", NULL) &&
        (!json_get_int(o, "references", &n) || n < 0 || n > MAX_REFERENCES))
        return wrong(r, "references", "must be how many pictures may be given, 0 to 100");
    return OK;
}

// --- Prices and limits ----------------------------------------------------------------------

// Absent: not known, which is told when somebody asks.
static enum err read_price(struct reader *r, struct json_object *o)
{
    static const char *const known[] = {"input", "text", "image", NULL};
    struct model *m = r->model;
    double *const to[] = {&m->input, &m->text, &m->image};
    struct json_object *price;
    if (!members_get(o, "price", json_type_object, &price))
        return wrong(r, "price", "must be an object of dollars for a million tokens");
    if (!price)
        return OK;
    for (size_t i = 0; known[i]; i++)
        if (!members_number(price, known[i], MAX_PRICE, to[i])) {
            char place[32];
            snprintf(place, sizeof place, "price.%s", known[i]);
            return wrong(r, place, "must be dollars for a million tokens, 0 to 1000000");
        }
    enum err e = no_other_members(r, "price.", price, known);
    if (e == OK && !m->default_size.len)
        return wrong(r, "default_size",
                     "must be there, and sizes: of its tokens the price is made");
    m->priced = true;
    return e;
}

static enum err read_lanes(struct reader *r, struct json_object *o)
{
    const char *known[JOB_LANES + 1] = {0};
    struct model *m = r->model;
    struct json_object *lanes;
    if (!members_get(o, "lanes", json_type_object, &lanes))
        return wrong(r, "lanes", "must be an object of lanes and factors");
    m->lanes[JOB_STANDARD] = lanes ? 0 : 1;
    for (int lane = JOB_STANDARD; lanes && lane < JOB_LANES; lane++) {
        char place[32];
        known[lane] = job_lane_name((enum job_lane)lane);
        if (!json_object_object_get_ex(lanes, known[lane], NULL))
            continue;
        snprintf(place, sizeof place, "lanes.%s", known[lane]);
        if (!members_number(lanes, known[lane], MAX_FACTOR, &m->lanes[lane]) ||
            m->lanes[lane] <= 0)
            return wrong(r, place, "must be a factor of the price, above 0, 1000 at most");
    }
    return lanes ? no_other_members(r, "lanes.", lanes, known) : OK;
}

static enum err check_limit(struct span name, struct json_object *text)
{
    struct buf spec = {.max = 4096};
    enum err e = job_name_ok(name) && json_object_is_type(text, json_type_string)
                     ? limit_spec(members_text(text), &spec, NULL)
                     : ERR_FORMAT;
    buf_free(&spec);
    return e;
}

static enum err read_tiers(struct reader *r, struct json_object *o)
{
    enum err e = members_get(o, "tiers", json_type_object, &r->model->tiers) ? OK : ERR_FORMAT;
    if (e == OK && r->model->tiers) {
        json_object_object_foreach(r->model->tiers, name, limit)
        {
            if (e == OK)
                e = check_limit(span_of(name), limit);
        }
    }
    if (e == OK || e == ERR_NOMEM)
        return e;
    return wrong(r, "tiers", "must be an object of names and limits as \"rpm=600\"");
}

// --- All of it ------------------------------------------------------------------------------

// In this order: prices need sizes.
static const struct {
    const char *names[3];
    enum err (*read)(struct reader *r, struct json_object *model);
} parts[] = {
    {{"name"}, read_name},
    {{"aliases"}, read_aliases},
    {{"retires"}, read_retires},
    {{"ratios"}, read_ratios},
    {{"sizes", "default_size"}, read_sizes},
    {{"references"}, read_references},
    {{"price"}, read_price},
    {{"lanes"}, read_lanes},
    {{"tiers"}, read_tiers},
};
#define N_PARTS (sizeof parts / sizeof *parts)

static enum err read_model(struct reader *r, struct json_object *o)
{
    const char *known[2 * N_PARTS + 1] = {0};
    size_t n = 0;
    if (!json_object_is_type(o, json_type_object))
        return wrong(r, "", "not an object");
    for (size_t i = 0; i < N_PARTS; i++) {
        enum err e = parts[i].read(r, o);
        if (e != OK)
            return e;
        for (const char *const *name = parts[i].names; *name; name++)
            known[n++] = *name;
    }
    return no_other_members(r, "", o, known);
}

static enum err read_models(struct catalogue *c, struct buf *why)
{
    struct json_object *list;
    if (!json_get(c->document, "models", json_type_array, &list)) {
        buf_add_str(why, "\"models\" must be a list");
        return ERR_FORMAT;
    }
    size_t n = json_object_array_length(list);
    c->models = calloc(n + 1, sizeof *c->models);
    if (!c->models)
        return ERR_NOMEM;
    // c->n counts those that are whole: only these are found.
    for (size_t i = 0; i < n; i++) {
        struct reader r = {c, &c->models[i], i, why};
        enum err e = read_model(&r, json_object_array_get_idx(list, i));
        if (e != OK)
            return e;
        c->n++;
    }
    return OK;
}

enum err catalogue_read(struct catalogue *c, struct span text, struct buf *why)
{
    static const char *const known[] = {"default", "models", "sources", NULL};
    struct span sources[CATALOGUE_MAX_LIST];
    size_t n_sources;
    enum err e = json_read(text, &c->document, why);
    if (e != OK)
        return e;
    if (!json_object_is_type(c->document, json_type_object)) {
        buf_add_str(why, "the catalogue must be an object");
        return ERR_FORMAT;
    }
    if ((e = read_models(c, why)) != OK || (e = no_others(why, "", c->document, known)) != OK)
        return e;
    if (!members_list(c->document, "sources", CATALOGUE_MAX_LIST, sources, &n_sources)) {
        buf_add_str(why, "\"sources\" must be a list of texts: where its figures are from");
        return ERR_FORMAT;
    }
    if (!json_get_str(c->document, "default", &c->by_default) ||
        !catalogue_find(c, c->by_default)) {
        buf_add_str(why, "\"default\" must be the name of one of the models");
        return ERR_FORMAT;
    }
    return OK;
}
