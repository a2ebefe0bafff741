// provider_gemini_remote.c - one call about a batch: its parts may be several requests.
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "common/text.h"
#include "worker/provider_gemini_remote.h"

#define MAX_REPLY (8u << 20) // bytes of an answer that is no file
#define MAX_URL   4096u

void gemini_call_free(struct remote_call *c)
{
    if (!c->told)
        keyring_tell(c->words.keys, c->words.key, KEY_MUTE);
    rows_free(c->rows);
    buf_free(&c->body);
    buf_free(&c->reply);
    buf_free(&c->upload_url);
    buf_free(&c->token);
    gemini_words_free(&c->words);
    free(c);
}

struct remote_call *gemini_call_new(struct provider *p, struct keyring *k, remote_done *done,
                                    void *ctx)
{
    struct remote_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    *c = (struct remote_call){.gemini = (struct gemini *)p,
                              .words = {.keys = k, .key = keyring_take(k)},
                              .body = {.max = MAX_URL},
                              .reply = {.max = MAX_REPLY},
                              .upload_url = {.max = MAX_URL},
                              .token = {.max = MAX_URL},
                              .done = done,
                              .ctx = ctx};
    return c;
}

static enum err on_data(void *ctx, long status, const char *bytes, size_t n)
{
    struct remote_call *c = ctx;
    if (status != 200) {
        gemini_refusal(&c->words, bytes, n);
        return OK;
    }
    if (c->rows)
        return rows_feed(c->rows, bytes, n);
    buf_add(&c->reply, (struct span){bytes, n});
    return c->reply.err;
}

static void on_header(void *ctx, struct span name, struct span value)
{
    struct remote_call *c = ctx;
    if (!span_is_case(name, "x-goog-upload-url"))
        return;
    buf_clear(&c->upload_url);
    buf_add(&c->upload_url, value);
}

void gemini_malformed(struct remote_reply *r)
{
    r->why.code = CODE_BAD_RESPONSE;
    r->why.retry = RETRY_YES;
    r->why.message = SPAN("the answer about a batch is not of the form that was expected");
}

static void read_reply(struct remote_call *c, struct remote_reply *r, struct json_object **doc)
{
    struct span text = buf_span(&c->reply);
    if (text_trim(text).len > 0 && json_read(text, doc, NULL) != OK)
        gemini_malformed(r);
    else
        c->answered(c, *doc, r);
}

static void on_done(void *ctx, const struct http_end *end)
{
    struct remote_call *c = ctx;
    struct json_object *doc = NULL;
    struct remote_reply r = {.good = -1};
    enum err e = OK;
    r.why.sent = end->sent;
    c->http = NULL;
    c->goes_on = false;
    if (end->err != OK || end->status != 200)
        gemini_failed(&c->words, &r.why, end, &doc);
    else if (c->rows && (e = rows_end(c->rows)) != OK)
        gemini_unreadable(&r.why, e);
    else
        read_reply(c, &r, &doc);
    r.gone = end->err == OK && end->status == 404;
    if (c->goes_on) {
        json_object_put(doc);
        return;
    }
    gemini_redact(&c->words, &r.why);
    gemini_judge_key(&c->words, &r.why, end->status);
    c->told = true;
    c->done(c->ctx, &r);
    json_object_put(doc);
    gemini_call_free(c);
}

static bool may_send(void *ctx)
{
    const struct remote_call *c = ctx;
    return !c->may_send || c->may_send(c->ctx);
}

// A host may begin with the name of another, or that may stand before an @.
static bool below(const char *base_url, const char *url)
{
    size_t n = strlen(base_url);
    return strncmp(url, base_url, n) == 0 && url[n] == '/';
}

enum err gemini_call_begin(struct remote_call *c, const char *method, const char *url,
                           const char *path, const char *const extra[], double timeout)
{
    const struct gemini *g = c->gemini;
    const char *headers[12] = {NULL};
    struct buf whole = {.max = MAX_URL}, key = {.max = SECRET_MAX + 64};
    size_t n = 0;
    if (!url) {
        buf_add_str(&whole, g->base_url);
        buf_add_str(&whole, path);
    } else {
        buf_add_str(&whole, url);
    }
    if (below(g->base_url, buf_str(&whole))) {
        gemini_key_header(&c->words, &key);
        headers[n++] = buf_str(&key);
    }
    headers[n++] = "Expect:";
    for (size_t i = 0; extra && extra[i] && n < 11; i++)
        headers[n++] = extra[i];
    struct http_hooks hooks = {
        .data = on_data, .done = on_done, .header = on_header, .may_send = may_send};
    struct http_request r = {.url = buf_str(&whole),
                             .headers = headers,
                             .body = buf_span(&c->body),
                             .timeout = timeout,
                             .method = method};
    if (c->lines && url) {
        r.from_file = true;
        r.fd = spool_fd(c->lines);
        r.size = spool_bytes(c->lines);
    }
    enum err e = whole.err ? whole.err : key.err ? key.err : c->body.err;
    if (e == OK)
        e = http_post(g->http, &r, &hooks, c, &c->http);
    secret_free(&key);
    buf_free(&whole);
    return e;
}

enum err gemini_call_start(struct remote_call *c, const char *method, const char *path,
                           const char *const extra[], double timeout, struct remote_call **out)
{
    enum err e = c ? gemini_call_begin(c, method, NULL, path, extra, timeout) : ERR_NOMEM;
    if (e == OK)
        *out = c;
    else if (c)
        gemini_call_free(c);
    return e;
}

bool gemini_name_ok(struct span s, const char *kind)
{
    size_t n = strlen(kind);
    if (s.len <= n || s.len >= REMOTE_NAME || memcmp(s.ptr, kind, n) != 0)
        return false;
    for (size_t i = n; i < s.len; i++)
        if (!((s.ptr[i] >= 'a' && s.ptr[i] <= 'z') || (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') ||
              (s.ptr[i] >= '0' && s.ptr[i] <= '9') || s.ptr[i] == '-' || s.ptr[i] == '_'))
            return false;
    return true;
}

void gemini_take_nothing(struct remote_call *c, struct json_object *doc, struct remote_reply *r)
{
    (void)c, (void)doc, (void)r;
}
