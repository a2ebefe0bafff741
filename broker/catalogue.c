// catalogue.c - see catalogue.h. The document is checked once, by catalogue_read.c, and then
// only looked at.
#include "broker/catalogue.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/catalogue_private.h"
#include "common/file.h"
#include "common/json.h"
#include "common/text.h"

#define MAX_FILE (1u << 20)

extern const unsigned char catalogue_builtin[];
extern const size_t catalogue_builtin_len;

static enum err read_path(const char *path, struct catalogue *c, struct buf *why)
{
    struct buf file = {.max = MAX_FILE};
    errno = 0;
    enum err e = file_read(path, &file);
    if (e == OK)
        e = catalogue_read(c, buf_span(&file), why);
    else
        buf_add_str(why, e == ERR_TOOBIG || !errno ? err_text(e) : strerror(errno));
    buf_free(&file);
    return e;
}

static enum err open_text(const char *path, struct catalogue *c, struct buf *why)
{
    struct buf words = {.max = 1024};
    if (!path)
        return catalogue_read(
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

struct span model_size(const struct model *m, size_t i)
{
    return i < m->n_sizes ? m->sizes[i] : SPAN("");
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

enum err model_image_tokens(const struct model *m, struct span size, int64_t *tokens)
{
    if (!size.len)
        size = m->default_size;
    for (size_t i = 0; i < m->n_sizes; i++)
        if (span_equal(size, m->sizes[i])) {
            *tokens = m->tokens[i];
            return OK;
        }
    return ERR_MISSING;
}

enum err model_worst(const struct model *m, const struct job *j, size_t prompt_bytes,
                     int64_t *micro)
{
    struct model_usage u = {.input_tokens = (int64_t)prompt_bytes,
                            .text_tokens = CATALOGUE_WORST_TEXT};
    if (model_image_tokens(m, j->image_size, &u.image_tokens) != OK)
        return ERR_MISSING;
    u.image_tokens *= CATALOGUE_WORST_IMAGES;
    return model_cost(m, j->lane, &u, micro);
}

// Four bytes of English are a token; rounded up, and never less than one.
// Source: Gemini API documentation, "Understand and count tokens".
enum err model_estimate(const struct model *m, const struct job *j, size_t prompt_bytes,
                        int64_t *micro)
{
    struct model_usage u = {.input_tokens = (int64_t)(prompt_bytes / 4 + 1)};
    if (model_image_tokens(m, j->image_size, &u.image_tokens) != OK)
        return ERR_MISSING;
    return model_cost(m, j->lane, &u, micro);
}

static void add_size(struct buf *why, struct span size)
{
    buf_add_str(why, "the catalogue has no tokens, which make the price, of size ");
    text_show(why, size, 32);
    buf_add_str(why, " of");
}

void catalogue_unpriced(const struct catalogue *c, const struct job *j, struct buf *why)
{
    const struct model *m = catalogue_find(c, j->model);
    int64_t tokens;
    if (!m)
        buf_add_str(why, "the catalogue has no");
    else if (!m->priced)
        buf_add_str(why, "the catalogue has no price of");
    else if (model_image_tokens(m, j->image_size, &tokens) != OK)
        add_size(why, j->image_size);
    else
        buf_addf(why, "the catalogue has no price of lane %s of", job_lane_name(j->lane));
    buf_add_str(why, " model ");
    text_show(why, j->model, JOB_MAX_NAME);
}
