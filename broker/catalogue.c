// catalogue.c - the catalogue's JSON, checked once and then only looked at.
#include "broker/catalogue.h"

#include <errno.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/limit.h"
#include "common/file.h"
#include "common/json.h"
#include "common/text.h"

#define MAX_FILE (1u << 20)
#define MAX_LIST 64 // sizes, ratios or aliases of a model

// Spans are borrowed from the document, which lives as long as the catalogue.
struct model {
    struct span name, retires, default_size;
    struct span aliases[MAX_LIST], ratios[MAX_LIST], sizes[MAX_LIST];
    int64_t tokens[MAX_LIST]; // of an image of each size
    size_t n_aliases, n_ratios, n_sizes;
    bool priced;
    double input, text, image; // dollars for a million tokens
    struct json_object *tiers; // of names and limits; NULL: none
    double lanes[JOB_LANES];   // factors on all prices; 0: the lane is not priced
};

struct catalogue {
    struct json_object *document;
    struct span by_default;
    struct model *models;
    size_t n;
};

// --- Reading --------------------------------------------------------------------------------

static enum err wrong(struct buf *why, size_t model, const char *what)
{
    if (why)
        buf_addf(why, "models.%zu.%s", model, what);
    return ERR_FORMAT;
}

static struct span span_of_string(struct json_object *o)
{
    return (struct span){json_object_get_string(o), (size_t)json_object_get_string_len(o)};
}

// A list of strings; absent is an empty one.
static bool read_list(struct json_object *m, const char *name, struct span *out, size_t *n)
{
    struct json_object *list;
    *n = 0;
    if (!json_object_object_get_ex(m, name, &list))
        return true;
    if (!json_object_is_type(list, json_type_array) ||
        json_object_array_length(list) > MAX_LIST)
        return false;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *s = json_object_array_get_idx(list, i);
        if (!json_object_is_type(s, json_type_string))
            return false;
        out[(*n)++] = span_of_string(s);
    }
    return true;
}

static bool read_sizes(struct json_object *o, struct model *m)
{
    struct json_object *sizes;
    if (!json_object_object_get_ex(o, "sizes", &sizes))
        return true;
    if (!json_object_is_type(sizes, json_type_object) ||
        json_object_object_length(sizes) > MAX_LIST)
        return false;
    json_object_object_foreach(sizes, name, tokens)
    {
        int64_t n = json_object_get_int64(tokens);
        if (!json_object_is_type(tokens, json_type_int) || n < 1 || n > 1000000)
            return false;
        m->sizes[m->n_sizes] = span_of(name);
        m->tokens[m->n_sizes++] = n;
    }
    return true;
}

static bool read_number(struct json_object *o, const char *name, double max, double *out)
{
    struct json_object *v;
    if (!json_object_object_get_ex(o, name, &v))
        return false;
    if (!json_object_is_type(v, json_type_int) && !json_object_is_type(v, json_type_double))
        return false;
    *out = json_object_get_double(v);
    return *out >= 0 && *out <= max;
}

static bool read_prices(struct json_object *o, struct model *m)
{
    struct json_object *price, *lanes;
    if (!json_object_object_get_ex(o, "price", &price))
        return true; // not known, which is told when somebody asks
    if (!read_number(price, "input", 1e6, &m->input) ||
        !read_number(price, "text", 1e6, &m->text) ||
        !read_number(price, "image", 1e6, &m->image))
        return false;
    m->priced = true;
    m->lanes[JOB_STANDARD] = 1;
    if (!json_object_object_get_ex(o, "lanes", &lanes))
        return true;
    for (int lane = JOB_STANDARD; lane < JOB_LANES; lane++) {
        const char *name = job_lane_name((enum job_lane)lane);
        struct json_object *there;
        m->lanes[lane] = 0;
        if (json_object_object_get_ex(lanes, name, &there) &&
            !read_number(lanes, name, 1000, &m->lanes[lane]))
            return false;
    }
    return true;
}

static bool limit_ok(struct json_object *text)
{
    struct buf spec = {.max = 4096};
    bool ok = json_object_is_type(text, json_type_string) &&
              limit_spec(span_of_string(text), &spec, NULL) == OK;
    buf_free(&spec);
    return ok;
}

static bool read_tiers(struct json_object *o, struct model *m)
{
    if (!json_object_object_get_ex(o, "tiers", NULL))
        return true;
    if (!json_get(o, "tiers", json_type_object, &m->tiers))
        return false;
    json_object_object_foreach(m->tiers, name, limit)
    {
        if (!job_name_ok(span_of(name)) || !limit_ok(limit))
            return false;
    }
    return true;
}

static enum err read_model(struct json_object *o, size_t i, struct model *m, struct buf *why)
{
    struct json_object *there;
    if (!json_object_is_type(o, json_type_object))
        return wrong(why, i, ": not an object");
    if (!json_get_str(o, "name", &m->name) || !job_name_ok(m->name))
        return wrong(why, i, "name: 1 to 100 of A-Z a-z 0-9 . _ -");
    if (json_object_object_get_ex(o, "retires", &there) &&
        !json_get_str(o, "retires", &m->retires))
        return wrong(why, i, "retires: must be a date as \"2026-10-02\", or \"\"");
    if (!read_list(o, "aliases", m->aliases, &m->n_aliases))
        return wrong(why, i, "aliases: must be a list of names");
    if (!read_list(o, "ratios", m->ratios, &m->n_ratios))
        return wrong(why, i, "ratios: must be a list as [\"1:1\"]");
    if (!read_sizes(o, m))
        return wrong(why, i, "sizes: must be an object of sizes and their image tokens");
    if (!read_tiers(o, m))
        return wrong(why, i, "tiers: must be an object of names and limits as \"rpm=600\"");
    if (!read_prices(o, m))
        return wrong(why, i,
                     "price, lanes: must be numbers (input, text, image; standard, "
                     "flex, priority, batch)");
    if (json_object_object_get_ex(o, "default_size", &there) &&
        !json_get_str(o, "default_size", &m->default_size))
        return wrong(why, i, "default_size: must be one of the sizes");
    return OK;
}

static enum err read_models(struct catalogue *c, struct buf *why)
{
    struct json_object *list;
    if (!json_get(c->document, "models", json_type_array, &list)) {
        buf_add_str(why, "\"models\" must be a list");
        return ERR_FORMAT;
    }
    c->n = json_object_array_length(list);
    c->models = calloc(c->n + 1, sizeof *c->models);
    if (!c->models)
        return ERR_NOMEM;
    for (size_t i = 0; i < c->n; i++) {
        enum err e = read_model(json_object_array_get_idx(list, i), i, &c->models[i], why);
        if (e != OK)
            return e;
    }
    return OK;
}

static enum err read_all(struct catalogue *c, struct span text, struct buf *why)
{
    enum err e = json_read(text, &c->document, why);
    if (e != OK)
        return e;
    if (!json_object_is_type(c->document, json_type_object)) {
        buf_add_str(why, "the catalogue must be an object");
        return ERR_FORMAT;
    }
    if ((e = read_models(c, why)) != OK)
        return e;
    if (!json_get_str(c->document, "default", &c->by_default) ||
        !catalogue_find(c, c->by_default)) {
        buf_add_str(why, "\"default\" must be the name of one of the models");
        return ERR_FORMAT;
    }
    return OK;
}

extern const unsigned char catalogue_builtin[];
extern const size_t catalogue_builtin_len;

static enum err read_path(const char *path, struct catalogue *c, struct buf *why)
{
    struct buf file = {.max = MAX_FILE};
    errno = 0;
    enum err e = file_read(path, &file);
    if (e == OK)
        e = read_all(c, buf_span(&file), why);
    else
        buf_add_str(why, e == ERR_TOOBIG || !errno ? err_text(e) : strerror(errno));
    buf_free(&file);
    return e;
}

static enum err open_text(const char *path, struct catalogue *c, struct buf *why)
{
    struct buf words = {.max = 1024};
    if (!path)
        return read_all(
            c, (struct span){(const char *)catalogue_builtin, catalogue_builtin_len}, why);
    enum err e = read_path(path, c, &words);
    if (e != OK)
        buf_addf(why, "catalogue %.500s: %s", path, buf_str(&words));
    buf_free(&words);
    return e;
}

enum err catalogue_open(const char *path, struct catalogue **out, struct buf *why)
{
    struct buf unwanted = {.max = 1024};
    struct catalogue *c = calloc(1, sizeof *c);
    if (!c)
        return ERR_NOMEM;
    enum err e = open_text(path, c, why ? why : &unwanted);
    buf_free(&unwanted);
    if (e != OK) {
        catalogue_free(c);
        return e;
    }
    *out = c;
    return OK;
}

void catalogue_free(struct catalogue *c)
{
    if (!c)
        return;
    json_object_put(c->document);
    free(c->models);
    free(c);
}

// --- Looking --------------------------------------------------------------------------------

struct span catalogue_default(const struct catalogue *c)
{
    return c->by_default;
}

static bool is_in(struct span s, const struct span *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (span_equal(s, list[i]))
            return true;
    return false;
}

const struct model *catalogue_find(const struct catalogue *c, struct span name)
{
    for (size_t i = 0; i < c->n; i++)
        if (span_equal(name, c->models[i].name) ||
            is_in(name, c->models[i].aliases, c->models[i].n_aliases))
            return &c->models[i];
    return NULL;
}

const struct model *catalogue_at(const struct catalogue *c, size_t i)
{
    return i < c->n ? &c->models[i] : NULL;
}

struct span model_tier(const struct model *m, struct span name)
{
    char text[JOB_MAX_NAME + 1];
    struct span limit = SPAN("");
    if (!m->tiers || name.len > JOB_MAX_NAME)
        return limit;
    snprintf(text, sizeof text, "%.*s", (int)name.len, name.ptr);
    json_get_str(m->tiers, text, &limit);
    return limit;
}

struct span model_name(const struct model *m)
{
    return m->name;
}

struct span model_retires(const struct model *m)
{
    return m->retires;
}

static enum err cannot(struct buf *why, const struct model *m, const char *what,
                       struct span asked, const struct span *list, size_t n)
{
    if (!why)
        return ERR_RANGE;
    buf_addf(why, "\"%s\" ", what);
    text_show(why, asked, 32);
    buf_addf(why, " is not possible with %.*s:", (int)m->name.len, m->name.ptr);
    for (size_t i = 0; i < n; i++)
        buf_addf(why, "%s %.*s", i ? "," : "", (int)list[i].len, list[i].ptr);
    return ERR_RANGE;
}

enum err model_check(const struct model *m, const struct job *j, struct buf *why)
{
    if (j->image_size.len && m->n_sizes && !is_in(j->image_size, m->sizes, m->n_sizes))
        return cannot(why, m, "image_size", j->image_size, m->sizes, m->n_sizes);
    if (j->aspect_ratio.len && m->n_ratios && !is_in(j->aspect_ratio, m->ratios, m->n_ratios))
        return cannot(why, m, "aspect_ratio", j->aspect_ratio, m->ratios, m->n_ratios);
    return OK;
}

// --- Money ----------------------------------------------------------------------------------

// A price in dollars for a million tokens is one in millionths of a dollar for each token.
enum err model_cost(const struct model *m, enum job_lane lane, const struct model_usage *u,
                    int64_t *micro)
{
    if (!m->priced || (unsigned)lane >= JOB_LANES || m->lanes[lane] <= 0)
        return ERR_MISSING;
    if (u->input_tokens < 0 || u->text_tokens < 0 || u->image_tokens < 0)
        return ERR_RANGE;
    double cost = (double)u->input_tokens * m->input + (double)u->text_tokens * m->text +
                  (double)u->image_tokens * m->image;
    cost *= m->lanes[lane];
    if (!(cost < 1e15))
        return ERR_RANGE;
    *micro = (int64_t)ceil(cost - 1e-6); // an exact sum is not raised by its rounding error
    return OK;
}

static bool size_tokens(const struct model *m, struct span size, int64_t *tokens)
{
    if (!size.len)
        size = m->default_size;
    for (size_t i = 0; i < m->n_sizes; i++)
        if (span_equal(size, m->sizes[i])) {
            *tokens = m->tokens[i];
            return true;
        }
    return false;
}

enum err model_worst(const struct model *m, const struct job *j, size_t prompt_bytes,
                     int64_t *micro)
{
    struct model_usage u = {.input_tokens = (int64_t)prompt_bytes,
                            .text_tokens = CATALOGUE_WORST_TEXT};
    if (!size_tokens(m, j->image_size, &u.image_tokens))
        return ERR_MISSING;
    return model_cost(m, j->lane, &u, micro);
}

// Four bytes of English are a token; rounded up, and never less than one.
// Source: Gemini API documentation, "Understand and count tokens".
enum err model_estimate(const struct model *m, const struct job *j, size_t prompt_bytes,
                        int64_t *micro)
{
    struct model_usage u = {.input_tokens = (int64_t)(prompt_bytes / 4 + 1)};
    if (!size_tokens(m, j->image_size, &u.image_tokens))
        return ERR_MISSING;
    return model_cost(m, j->lane, &u, micro);
}
