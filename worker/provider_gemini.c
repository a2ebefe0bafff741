// provider_gemini.c - the Gemini API: one generateContent call an image.
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/request.h"
#include "common/log.h"
#include "common/secret.h"
#include "common/text.h"
#include "worker/answer.h"
#include "worker/judge.h"
#include "worker/keyring.h"
#include "worker/provider_gemini_private.h"

#define CONNECT_S   15.0
#define IDLE_S      150.0
#define MAX_MEMORY  (256ull << 20) // bytes of answers that find no room on the disk
#define MAX_REFUSAL 65536u         // bytes kept of an answer that is no 200

struct provider_call {
    struct gemini *gemini;
    struct http_call *http;
    struct answer *answer;
    struct buf body;
    struct gemini_words words;
    provider_may_send *may_send;
    provider_done *done;
    void *ctx;
};

static void call_free(struct provider_call *c)
{
    answer_free(c->answer);
    buf_free(&c->body);
    gemini_words_free(&c->words);
    free(c);
}

// --- What comes back ------------------------------------------------------------------------

static enum err on_data(void *ctx, long status, const char *bytes, size_t n)
{
    struct provider_call *c = ctx;
    if (status == 200)
        return answer_feed(c->answer, bytes, n);
    gemini_refusal(&c->words, bytes, n);
    return OK;
}

void gemini_refusal(struct gemini_words *w, const char *bytes, size_t n)
{
    w->refusal.max = MAX_REFUSAL;
    size_t room = MAX_REFUSAL - w->refusal.len;
    buf_add(&w->refusal, (struct span){bytes, n < room ? n : room});
}

void gemini_words_free(struct gemini_words *w)
{
    buf_free(&w->refusal);
    buf_free(&w->message);
    for (size_t i = 0; i < GEMINI_TEXTS; i++)
        buf_free(&w->clean[i]);
}

// A call that did not end in an answer. Whether it was billed is not known once it was sent.
static void broken(struct provider_result *r, const struct http_end *end)
{
    r->code = end->err == ERR_TIMEOUT ? CODE_TIMEOUT : CODE_NETWORK;
    r->retry = RETRY_YES;
    r->unknown = end->sent;
    r->withheld = end->err == ERR_LOST && !end->sent;
    r->message = end->err == ERR_LOST ? span_of(err_text(end->err)) : span_of(end->why);
}

// What the answer holds cannot be read; or this host has no room for it.
void gemini_unreadable(struct provider_result *r, enum err e)
{
    bool local = e == ERR_FULL || e == ERR_IO || e == ERR_MISSING || e == ERR_NOMEM;
    r->code = local ? CODE_STORAGE : CODE_BAD_RESPONSE;
    r->retry = RETRY_YES;
    r->unknown = true; // there was a 200: it may well be billed
    r->message = local
                     ? SPAN("no room for the answer while it arrived")
                     : SPAN("the answer was cut, or is no JSON of the form that was expected");
    r->reason = span_of(err_text(e));
}

static void refused(struct gemini_words *w, struct provider_result *r,
                    const struct http_end *end, struct json_object **doc)
{
    char shown[200];
    w->message.max = 4 * MAX_REFUSAL;
    text_redact(&w->refusal, keyring_secret(w->keys, w->key)); // before it is cut anywhere
    struct span raw = buf_span(&w->refusal);
    if (json_read(raw, doc, NULL) != OK)
        *doc = NULL;
    if (!*doc && raw.len == 0) {
        snprintf(shown, sizeof shown, "HTTP status %ld", end->status);
        buf_add_str(&w->message, shown);
    } else {
        text_show(&w->message, raw, sizeof shown);
    }
    judge_refusal(r, end->status, *doc, buf_span(&w->message), end->retry_after);
}

void gemini_failed(struct gemini_words *w, struct provider_result *r,
                   const struct http_end *end, struct json_object **doc)
{
    if (end->err == ERR_NET || end->err == ERR_TIMEOUT || end->err == ERR_LOST)
        broken(r, end);
    else if (end->err != OK)
        gemini_unreadable(r, end->err);
    else
        refused(w, r, end, doc);
}

static void answered(struct provider_call *c, struct provider_result *r)
{
    struct json_object *doc;
    enum err e = answer_end(c->answer, &doc);
    if (e == OK)
        judge_answer(r, c->answer, doc);
    else
        gemini_unreadable(r, e);
}

void gemini_redact(struct gemini_words *w, struct provider_result *r)
{
    struct span *const texts[GEMINI_TEXTS] = {&r->message, &r->reason, &r->text,
                                              &r->model_version, &r->response_id};
    struct span key = keyring_secret(w->keys, w->key);
    for (size_t i = 0; i < GEMINI_TEXTS; i++) {
        if (!texts[i]->len || !memmem(texts[i]->ptr, texts[i]->len, key.ptr, key.len))
            continue;
        buf_clear(&w->clean[i]);
        w->clean[i].max = 2 * texts[i]->len + 64;
        buf_add(&w->clean[i], *texts[i]);
        text_redact(&w->clean[i], key);
        *texts[i] = w->clean[i].err ? (struct span){0} : buf_span(&w->clean[i]);
    }
}

void gemini_judge_key(struct gemini_words *w, struct provider_result *r, long status)
{
    enum key_verdict v = r->bad_key                       ? KEY_BAD
                         : status == 200 || status == 429 ? KEY_GOOD
                                                          : KEY_MUTE;
    if (keyring_tell(w->keys, w->key, v))
        log_warn("a key is refused", "project=%s key=%s why=" LOGQ,
                 keyring_project(w->keys)->name, keyring_from(w->keys, w->key),
                 r->message.len ? r->message.ptr : "");
    if (r->bad_key && !keyring_out(w->keys))
        r->retry = RETRY_KEY;
}

static void on_done(void *ctx, const struct http_end *end)
{
    struct provider_call *c = ctx;
    struct json_object *doc = NULL;
    struct provider_result r = {.sent = end->sent,
                                .latency_ms = end->latency_ms,
                                .bytes_sent = end->bytes_sent,
                                .bytes_received = end->bytes_received};
    if (end->err == OK && end->status == 200)
        answered(c, &r);
    else
        gemini_failed(&c->words, &r, end, &doc);
    gemini_redact(&c->words, &r);
    gemini_judge_key(&c->words, &r, end->status);
    c->done(c->ctx, &r);
    for (unsigned i = 0; i < r.n_images; i++)
        spool_free(r.images[i].spool);
    json_object_put(doc);
    call_free(c);
}

// --- What is sent ---------------------------------------------------------------------------

static bool may_send(void *ctx)
{
    const struct provider_call *c = ctx;
    return c->may_send(c->ctx);
}

void gemini_key_header(const struct gemini_words *w, struct buf *out)
{
    struct span key = keyring_secret(w->keys, w->key);
    buf_addf(out, "x-goog-api-key: %.*s", (int)key.len, key.ptr);
}

static enum err post(struct provider_call *c, const struct job *job, double timeout)
{
    const struct gemini *g = c->gemini;
    struct buf url = {.max = 4096}, header = {.max = SECRET_MAX + 64};
    gemini_key_header(&c->words, &header);
    const char *const headers[] = {buf_str(&header), "Content-Type: application/json",
                                   "Expect:", NULL};
    struct http_hooks hooks = {.data = on_data, .done = on_done, .may_send = may_send};
    buf_add_str(&url, g->base_url);
    request_path(&url, job->model);
    request_body(&c->body, job);
    struct http_request r = {.url = buf_str(&url),
                             .headers = headers,
                             .body = buf_span(&c->body),
                             .timeout = timeout};
    enum err e = url.err ? url.err : header.err ? header.err : c->body.err;
    if (e == OK)
        e = http_post(g->http, &r, &hooks, c, &c->http);
    secret_free(&header);
    buf_free(&url);
    return e;
}

static enum err start(struct provider *p, const struct job *job, struct keyring *keys,
                      double timeout, provider_may_send *allowed, provider_done *done,
                      void *ctx, struct provider_call **out)
{
    struct gemini *g = (struct gemini *)p;
    struct provider_call *c = calloc(1, sizeof *c);
    if (!c)
        return ERR_NOMEM;
    *c = (struct provider_call){.gemini = g,
                                .words = {.keys = keys, .key = keyring_take(keys)},
                                .answer = answer_new(&g->spools),
                                .body = {.max = 16 * JOB_MAX_BYTES},
                                .may_send = allowed,
                                .done = done,
                                .ctx = ctx};
    enum err e = c->answer ? post(c, job, timeout) : ERR_NOMEM;
    if (e == OK) {
        *out = c;
        return OK;
    }
    keyring_tell(keys, c->words.key, KEY_MUTE);
    call_free(c);
    return e;
}

static bool sent(const struct provider_call *c)
{
    return http_sent(c->http);
}

static bool cancel(struct provider *p, struct provider_call *c)
{
    (void)p;
    bool had_left = sent(c);
    http_cancel(c->http);
    keyring_tell(c->words.keys, c->words.key, KEY_MUTE);
    call_free(c);
    return had_left;
}

// --- Beginning and end ----------------------------------------------------------------------

static void gemini_free(struct provider *p)
{
    struct gemini *g = (struct gemini *)p;
    http_free(g->http);
    free(g->base_url);
    free(g->origin);
    free(g->spool_dir);
    free(g->ca_file);
    free(g);
}

static const struct provider_ops gemini_ops = {start, sent, cancel, gemini_free,
                                               &gemini_remote_ops};

// "https://user:word@host/v1" gives "https://host".
static char *origin_of(const char *url)
{
    char *out = NULL;
    const char *host = strstr(url, "://");
    int scheme = host ? (int)(host - url) : 0;
    host = host ? host + 3 : url;
    int n = (int)strcspn(host, "/?#");
    for (const char *at; (at = memchr(host, '@', (size_t)n)); host = at + 1)
        n -= (int)(at + 1 - host);
    return asprintf(&out, "%.*s://%.*s", scheme, url, n < 200 ? n : 200, host) < 0 ? NULL : out;
}

struct provider *provider_gemini_new(struct ev_loop *loop, const struct gemini_options *o)
{
    struct gemini *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->base.ops = &gemini_ops;
    g->base_url = strdup(o->base_url);
    g->origin = origin_of(o->base_url);
    g->base.name = "gemini";
    g->base.endpoint = g->origin;
    g->spool_dir = strdup(o->spool_dir);
    g->spools = (struct spool_place){.dir = g->spool_dir, .max_memory = MAX_MEMORY};
    g->ca_file = o->ca_file ? strdup(o->ca_file) : NULL;
    struct http_options ho = {g->ca_file, CONNECT_S, IDLE_S, o->concurrency};
    g->http = http_new(loop, &ho);
    if (!g->base_url || !g->origin || !g->spool_dir || !g->http) {
        gemini_free(&g->base);
        return NULL;
    }
    return &g->base;
}
