// answer.c - see answer.h. The splitter is json.h's; this decides what is diverted, and where
// to.
#include "worker/answer.h"

#include <stdlib.h>

#include "common/json.h"
#include "worker/base64.h"
#include "worker/spool.h"

#define PIECE 8192 // digits that are decoded at once

struct answer {
    struct spool_place *place;
    struct json_split *split;
    struct json_object *doc;
    struct base64 digits;   // of the image that is arriving
    struct spool *arriving; // also in `spools`
    struct {
        int number; // of its placeholder
        struct spool *spool;
    } spools[ANSWER_MAX_SPOOLS];
    unsigned n_spools;
    int diverted;      // strings so far that have a placeholder
    bool failed_spool; // no memory for a spool, or too many
};

static bool either(const char *name, const char *camel, const char *snake)
{
    return span_is(span_of(name), camel) || span_is(span_of(name), snake);
}

static enum json_divert ask(void *ctx, const char *parent, const char *key)
{
    struct answer *a = ctx;
    if (either(key, "thoughtSignature", "thought_signature")) {
        a->diverted++;
        return JSON_DROP;
    }
    if (!span_is(span_of(key), "data") || !either(parent, "inlineData", "inline_data"))
        return JSON_KEEP;
    a->digits = (struct base64){0};
    a->arriving =
        a->n_spools < ANSWER_MAX_SPOOLS ? spool_new(a->place, ANSWER_MAX_IMAGE) : NULL;
    a->failed_spool = !a->arriving;
    if (a->arriving) {
        a->spools[a->n_spools].number = a->diverted;
        a->spools[a->n_spools++].spool = a->arriving;
    }
    a->diverted++;
    return JSON_DIVERT;
}

static enum err decode(struct answer *a, const char *bytes, size_t n)
{
    uint8_t out[3 * (PIECE + 3) / 4];
    while (n > 0) {
        size_t k = n < PIECE ? n : PIECE, got = 0;
        enum err e = base64_feed(&a->digits, bytes, k, out, &got);
        if (e == OK)
            e = spool_add(a->arriving, out, got);
        if (e != OK)
            return e;
        bytes += k;
        n -= k;
    }
    return OK;
}

static enum err data(void *ctx, const char *bytes, size_t n, bool last)
{
    struct answer *a = ctx;
    if (a->failed_spool)
        return a->n_spools == ANSWER_MAX_SPOOLS ? ERR_TOOBIG : ERR_NOMEM;
    enum err e = decode(a, bytes, n);
    if (e == OK && last)
        e = base64_end(&a->digits);
    return e == OK && last ? spool_end(a->arriving) : e;
}

struct answer *answer_new(struct spool_place *place)
{
    struct answer *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->place = place;
    struct json_split_hooks hooks = {ask, data, a};
    a->split = json_split_new(&hooks, ANSWER_MAX_STRING, ANSWER_MAX_KEPT);
    if (!a->split) {
        free(a);
        return NULL;
    }
    return a;
}

void answer_free(struct answer *a)
{
    if (!a)
        return;
    for (unsigned i = 0; i < a->n_spools; i++)
        spool_free(a->spools[i].spool);
    json_object_put(a->doc);
    json_split_free(a->split);
    free(a);
}

enum err answer_feed(struct answer *a, const char *bytes, size_t n)
{
    return json_split_feed(a->split, bytes, n);
}

enum err answer_end(struct answer *a, struct json_object **doc)
{
    enum err e = json_split_take(a->split, &a->doc);
    *doc = a->doc;
    return e;
}

struct spool *answer_take(struct answer *a, struct json_object *value)
{
    int number = json_split_placeholder(value);
    for (unsigned i = 0; number >= 0 && i < a->n_spools; i++)
        if (a->spools[i].number == number) {
            struct spool *s = a->spools[i].spool;
            a->spools[i].spool = NULL;
            return s;
        }
    return NULL;
}
