// provider_gemini_batch.c - batches of the Gemini API: files, batchGenerateContent, operations.
// Source: the API's documentation of batches and files, and recordings of their answers.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/request.h"
#include "common/secret.h"
#include "common/text.h"
#include "worker/provider_gemini_private.h"
#include "worker/remote.h"
#include "worker/rows.h"

#define SMALL_S   60.0         // of a call that carries little
#define UPLOAD_S  3600.0       // of one that carries a file
#define FETCH_S   (6 * 3600.0) //
#define MAX_REPLY (8u << 20)   // bytes of an answer that is no file
#define MAX_URL   4096u
#define MAX_PAGES 200u // of a list
#define PAGE      "100"

struct remote_call {
    struct gemini *gemini;
    struct http_call *http; // NULL between two steps of one call
    void (*answered)(struct remote_call *c, struct json_object *doc, struct remote_reply *r);
    struct buf body, reply, upload_url, token;
    struct gemini_words words;
    char title[2 * REMOTE_NAME];
    struct spool *lines; // of upload(); borrowed
    struct rows *rows;   // of fetch()
    unsigned pages;
    bool goes_on; // `answered` has begun the next step
    bool told;    // the keyring, how its key was received
    remote_row *row;
    provider_may_send *may_send; // of make(); else NULL
    remote_done *done;
    void *ctx;
};

// --- One call -------------------------------------------------------------------------------

static void call_free(struct remote_call *c)
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

static struct remote_call *call_new(struct provider *p, struct keyring *k, remote_done *done,
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

// What was asked for is not in the answer.
static void malformed(struct remote_reply *r)
{
    r->why.code = CODE_BAD_RESPONSE;
    r->why.retry = RETRY_YES;
    r->why.message = SPAN("the answer about a batch is not of the form that was expected");
}

static void read_reply(struct remote_call *c, struct remote_reply *r, struct json_object **doc)
{
    struct span text = buf_span(&c->reply);
    if (text_trim(text).len > 0 && json_read(text, doc, NULL) != OK)
        malformed(r);
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
    call_free(c);
}

static bool may_send(void *ctx)
{
    const struct remote_call *c = ctx;
    return !c->may_send || c->may_send(c->ctx);
}

// `url` NULL: `path` below the endpoint. The key goes to that endpoint only.
static enum err begin(struct remote_call *c, const char *method, const char *url,
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
    if (whole.len >= strlen(g->base_url) &&
        memcmp(whole.ptr, g->base_url, strlen(g->base_url)) == 0) {
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

static const char *const json_headers[] = {"Content-Type: application/json", NULL};

// Takes `c`, also when it fails; NULL: out of memory.
static enum err start(struct remote_call *c, const char *method, const char *path,
                      const char *const extra[], double timeout, struct remote_call **out)
{
    enum err e = c ? begin(c, method, NULL, path, extra, timeout) : ERR_NOMEM;
    if (e == OK)
        *out = c;
    else if (c)
        call_free(c);
    return e;
}

// Names come from the provider, or from Redis: nothing in them may lead elsewhere.
static bool name_ok(struct span s, const char *kind)
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

// --- Files ----------------------------------------------------------------------------------

static void uploaded(struct remote_call *c, struct json_object *doc, struct remote_reply *r)
{
    (void)c;
    if (!json_get_str(json_at(doc, "file"), "name", &r->file) || !name_ok(r->file, "files/"))
        malformed(r);
}

static void upload_begun(struct remote_call *c, struct json_object *doc, struct remote_reply *r)
{
    static const char *const headers[] = {"X-Goog-Upload-Offset: 0",
                                          "X-Goog-Upload-Command: upload, finalize",
                                          "Content-Type: application/octet-stream", NULL};
    (void)doc;
    const char *url = buf_str(&c->upload_url);
    c->answered = uploaded;
    buf_clear(&c->reply);
    if (strncmp(url, "http", 4) != 0)
        malformed(r);
    else if (begin(c, NULL, url, NULL, headers, UPLOAD_S) == OK)
        c->goes_on = true;
    else
        gemini_unreadable(&r->why, ERR_NOMEM);
}

static enum err upload(struct provider *p, struct keyring *k, struct span title,
                       struct spool *lines, remote_done *done, void *ctx,
                       struct remote_call **out)
{
    struct remote_call *c = call_new(p, k, done, ctx);
    char length[80];
    const char *const headers[] = {"X-Goog-Upload-Protocol: resumable",
                                   "X-Goog-Upload-Command: start",
                                   "X-Goog-Upload-Header-Content-Type: application/jsonl",
                                   "Content-Type: application/json",
                                   length,
                                   NULL};
    if (!c)
        return ERR_NOMEM;
    snprintf(length, sizeof length, "X-Goog-Upload-Header-Content-Length: %llu",
             (unsigned long long)spool_bytes(lines));
    struct json_object *o = json_object_new_object(), *file = json_object_new_object();
    json_put_str(file, "display_name", title);
    json_put(o, "file", file);
    json_write(&c->body, o);
    json_object_put(o);
    c->lines = lines;
    c->answered = upload_begun;
    return start(c, NULL, "/upload/v1beta/files", headers, SMALL_S, out);
}

static void forgotten(void *ctx, const struct remote_reply *r)
{
    (void)ctx, (void)r; // it goes by itself after two days
}

static void take_nothing(struct remote_call *c, struct json_object *doc, struct remote_reply *r)
{
    (void)c, (void)doc, (void)r;
}

static void forget(struct provider *p, struct keyring *k, struct span file)
{
    if (!name_ok(file, "files/"))
        return;
    struct remote_call *c = call_new(p, k, forgotten, NULL), *none;
    char path[REMOTE_NAME + 20];
    if (c)
        c->answered = take_nothing;
    snprintf(path, sizeof path, "/v1beta/%.*s", (int)file.len, file.ptr);
    if (start(c, "DELETE", path, NULL, SMALL_S, &none) != OK)
        return;
}

// --- Batches --------------------------------------------------------------------------------

static enum remote_state state_of(struct span name)
{
    static const struct {
        const char *end;
        enum remote_state state;
    } states[] = {{"SUCCEEDED", REMOTE_SUCCEEDED},
                  {"FAILED", REMOTE_FAILED},
                  {"CANCELLED", REMOTE_CANCELLED},
                  {"EXPIRED", REMOTE_EXPIRED}};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        size_t n = strlen(states[i].end);
        if (name.len > n && memcmp(name.ptr + name.len - n, states[i].end, n) == 0)
            return states[i].state;
    }
    return REMOTE_WAITING;
}

// Numbers of 64 bits are strings in protobuf's JSON; zeros are left out.
static int64_t count(struct json_object *stats, const char *name)
{
    struct span text;
    int64_t n = 0;
    if (json_get_str(stats, name, &text))
        return text_int(text, 0, INT64_MAX, &n) == OK ? n : 0;
    json_get_int(stats, name, &n);
    return n;
}

static void read_operation(struct json_object *o, struct remote_reply *r)
{
    struct json_object *meta = json_at(o, "metadata"), *stats;
    struct span state = {0};
    if (!json_get_str(o, "name", &r->name) || !name_ok(r->name, "batches/")) {
        malformed(r);
        return;
    }
    json_get_str(meta, "state", &state);
    r->state = state_of(state);
    if (!json_get_str(json_at(o, "response"), "responsesFile", &r->result))
        json_get_str(json_at(meta, "output"), "responsesFile", &r->result);
    json_get_str(json_at(o, "error"), "message", &r->message);
    if (json_get(meta, "batchStats", json_type_object, &stats))
        r->good = count(stats, "successfulRequestCount");
    if (!name_ok(r->result, "files/"))
        r->result = (struct span){0};
}

static void looked(struct remote_call *c, struct json_object *doc, struct remote_reply *r)
{
    (void)c;
    read_operation(doc, r);
}

static enum err make(struct provider *p, struct keyring *k, struct span model,
                     struct span title, struct span file, provider_may_send *allowed,
                     remote_done *done, void *ctx, struct remote_call **out)
{
    if (!name_ok(file, "files/"))
        return ERR_FORMAT;
    struct remote_call *c = call_new(p, k, done, ctx);
    struct json_object *o = json_object_new_object(), *batch = json_object_new_object();
    struct json_object *input = json_object_new_object();
    char path[JOB_MAX_NAME + 80];
    json_put_str(input, "fileName", file);
    json_put_str(batch, "displayName", title);
    json_put(batch, "inputConfig", input);
    json_put(o, "batch", batch);
    if (c) {
        json_write(&c->body, o);
        c->answered = looked;
        c->may_send = allowed;
    }
    json_object_put(o);
    snprintf(path, sizeof path, "/v1beta/models/%.*s:batchGenerateContent", (int)model.len,
             model.ptr);
    return start(c, NULL, path, json_headers, SMALL_S, out);
}

static enum err about(struct provider *p, struct keyring *k, const char *method,
                      struct span name, const char *verb, remote_done *done, void *ctx,
                      struct remote_call **out)
{
    if (!name_ok(name, "batches/"))
        return ERR_FORMAT;
    struct remote_call *c = call_new(p, k, done, ctx);
    char path[REMOTE_NAME + 40];
    snprintf(path, sizeof path, "/v1beta/%.*s%s", (int)name.len, name.ptr, verb);
    if (c) {
        c->answered = method ? looked : take_nothing;
        buf_add_str(&c->body, method ? "" : "{}");
    }
    return start(c, method, path, method ? NULL : json_headers, SMALL_S, out);
}

static enum err look(struct provider *p, struct keyring *k, struct span name, remote_done *done,
                     void *ctx, struct remote_call **out)
{
    return about(p, k, "GET", name, "", done, ctx, out);
}

static enum err cancel(struct provider *p, struct keyring *k, struct span name,
                       remote_done *done, void *ctx, struct remote_call **out)
{
    return about(p, k, NULL, name, ":cancel", done, ctx, out);
}

// --- Finding --------------------------------------------------------------------------------

// Tokens are taken as they are, if nothing in them needs to be escaped.
static bool token_ok(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.ptr[i] >= 'a' && s.ptr[i] <= 'z') || (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') ||
              (s.ptr[i] >= '0' && s.ptr[i] <= '9') || strchr("-_.~=", s.ptr[i])))
            return false;
    return s.len > 0 && s.len < 1000;
}

static enum err next_page(struct remote_call *c)
{
    char path[1200];
    snprintf(path, sizeof path, "/v1beta/batches?pageSize=" PAGE "%s%s",
             c->token.len ? "&pageToken=" : "", buf_str(&c->token));
    buf_clear(&c->reply);
    return begin(c, "GET", NULL, path, NULL, SMALL_S);
}

static void listed(struct remote_call *c, struct json_object *doc, struct remote_reply *r)
{
    struct json_object *all = NULL;
    struct span title, token = {0};
    if (!json_get(doc, "operations", json_type_array, &all))
        json_get(doc, "batches", json_type_array, &all);
    for (size_t i = 0; all && i < json_object_array_length(all); i++) {
        struct json_object *o = json_object_array_get_idx(all, i);
        if (json_get_str(json_at(o, "metadata"), "displayName", &title) &&
            span_is(title, c->title)) {
            read_operation(o, r);
            return;
        }
    }
    buf_clear(&c->token);
    if (!json_get_str(doc, "nextPageToken", &token) || token.len == 0)
        return; // there is none
    if (!token_ok(token) || ++c->pages >= MAX_PAGES) {
        malformed(r);
        return;
    }
    buf_add(&c->token, token);
    if (next_page(c) == OK)
        c->goes_on = true;
    else
        gemini_unreadable(&r->why, ERR_NOMEM);
}

static enum err find(struct provider *p, struct keyring *k, struct span title,
                     remote_done *done, void *ctx, struct remote_call **out)
{
    struct remote_call *c = call_new(p, k, done, ctx);
    if (!c)
        return ERR_NOMEM;
    snprintf(c->title, sizeof c->title, "%.*s", (int)title.len, title.ptr);
    c->answered = listed;
    enum err e = next_page(c);
    if (e == OK)
        *out = c;
    else
        call_free(c);
    return e;
}

// --- Answers --------------------------------------------------------------------------------

static void on_row(void *ctx, struct span key, struct provider_result *r)
{
    struct remote_call *c = ctx;
    gemini_redact(&c->words, r);
    c->row(c->ctx, key, r);
}

static enum err fetch(struct provider *p, struct keyring *k, struct span result,
                      remote_row *row, remote_done *done, void *ctx, struct remote_call **out)
{
    if (!name_ok(result, "files/"))
        return ERR_FORMAT;
    struct remote_call *c = call_new(p, k, done, ctx);
    char path[REMOTE_NAME + 60];
    if (c) {
        c->answered = take_nothing;
        c->row = row;
        c->rows = rows_new(&c->gemini->spools, on_row, c);
    }
    if (c && !c->rows) {
        call_free(c);
        c = NULL;
    }
    snprintf(path, sizeof path, "/download/v1beta/%.*s:download?alt=media", (int)result.len,
             result.ptr);
    return start(c, "GET", path, NULL, FETCH_S, out);
}

static void pause_fetch(struct remote_call *c, bool pause)
{
    if (c->http)
        http_pause(c->http, pause);
}

static void abort_call(struct remote_call *c)
{
    if (c->http)
        http_cancel(c->http);
    call_free(c);
}

static struct spool_place *place(struct provider *p)
{
    return &((struct gemini *)p)->spools;
}

const struct remote_ops gemini_remote_ops = {place,  request_row, upload,    make,
                                             find,   look,        cancel,    fetch,
                                             forget, pause_fetch, abort_call};
