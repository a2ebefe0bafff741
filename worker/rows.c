// rows.c - see rows.h.
#include "worker/rows.h"

#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "worker/answer.h"
#include "worker/judge.h"
#include "worker/spool.h"

struct rows {
    struct spool_place *place;
    rows_told *told;
    void *ctx;
    struct answer *answer; // of the line that is arriving; NULL: it has not begun
    uint64_t length;       // of it
    bool skip;             // it cannot be read
    enum err err;          // the first failure of this host
    unsigned bad;
};

struct rows *rows_new(struct spool_place *place, rows_told *told, void *ctx)
{
    struct rows *r = calloc(1, sizeof *r);
    if (r)
        *r = (struct rows){.place = place, .told = told, .ctx = ctx};
    return r;
}

void rows_free(struct rows *r)
{
    if (!r)
        return;
    answer_free(r->answer);
    free(r);
}

unsigned rows_bad(const struct rows *r)
{
    return r->bad;
}

// An error of a row has a number of google.rpc.Code, or an HTTP status.
static long status_of(int64_t code)
{
    static const short statuses[] = {500, 499, 500, 400, 504, 404, 409, 403, 429,
                                     400, 409, 400, 501, 500, 503, 500, 401};
    const int64_t n = sizeof statuses / sizeof *statuses;
    if (code > 0 && code < n)
        return statuses[code];
    return code >= 400 && code < 600 ? (long)code : 500;
}

// False: it has neither an answer nor an error.
static bool judge(struct rows *r, struct json_object *doc, struct provider_result *out)
{
    struct json_object *part;
    int64_t code = 0;
    if (json_get(doc, "response", json_type_object, &part)) {
        judge_answer(out, r->answer, part);
        return true;
    }
    if (!json_get(doc, "error", json_type_object, &part))
        return false;
    json_get_int(part, "code", &code);
    judge_refusal(out, status_of(code), doc, SPAN(""), 0);
    return true;
}

static bool tell(struct rows *r, struct json_object *doc)
{
    struct provider_result out = {.sent = true};
    struct span key;
    if (!json_get_str(doc, "key", &key) || !judge(r, doc, &out))
        return false;
    r->told(r->ctx, key, &out);
    for (unsigned i = 0; i < out.n_images; i++)
        spool_free(out.images[i].spool);
    return true;
}

static bool is_local(enum err e)
{
    return e == ERR_FULL || e == ERR_IO || e == ERR_MISSING || e == ERR_NOMEM;
}

static enum err end_line(struct rows *r)
{
    struct json_object *doc = NULL;
    enum err e = r->skip ? ERR_FORMAT : r->answer ? answer_end(r->answer, &doc) : OK;
    if (e == OK && r->answer && !tell(r, doc))
        e = ERR_FORMAT;
    r->bad += e != OK;
    answer_free(r->answer);
    r->answer = NULL;
    r->length = 0;
    r->skip = false;
    return is_local(e) ? e : OK;
}

static bool is_blank(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != ' ' && bytes[i] != '\t' && bytes[i] != '\r')
            return false;
    return true;
}

// A part of a line, without its end.
static enum err add(struct rows *r, const char *bytes, size_t n)
{
    if (r->skip || (!r->answer && is_blank(bytes, n)))
        return OK;
    if (!r->answer && !(r->answer = answer_new(r->place)))
        return ERR_NOMEM;
    r->length += n;
    enum err e = r->length > ROWS_MAX_LINE ? ERR_TOOBIG : answer_feed(r->answer, bytes, n);
    if (is_local(e))
        return e;
    r->skip = e != OK;
    return OK;
}

enum err rows_feed(struct rows *r, const char *bytes, size_t n)
{
    enum err e = r->err;
    while (e == OK && n > 0) {
        const char *end = memchr(bytes, '\n', n);
        size_t k = end ? (size_t)(end - bytes) : n;
        e = add(r, bytes, k);
        if (e == OK && end)
            e = end_line(r);
        k += end != NULL;
        bytes += k;
        n -= k;
    }
    return r->err = e;
}

enum err rows_end(struct rows *r)
{
    return r->err = r->err ? r->err : end_line(r);
}
