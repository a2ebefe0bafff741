// provider_gemini_batch.c - batches of the Gemini API: batchGenerateContent, operations.
// Source: the API's documentation of batches and files, and recordings of their answers.
#include <stdio.h>
#include <string.h>

#include "broker/request.h"
#include "common/text.h"
#include "worker/provider_gemini_remote.h"

#define MAX_PAGES 200u // of a list
#define PAGE      "100"

static const char *const json_headers[] = {"Content-Type: application/json", NULL};

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
    if (!json_get_str(o, "name", &r->name) || !gemini_name_ok(r->name, "batches/")) {
        gemini_malformed(r);
        return;
    }
    json_get_str(meta, "state", &state);
    r->state = state_of(state);
    if (!json_get_str(json_at(o, "response"), "responsesFile", &r->result))
        json_get_str(json_at(meta, "output"), "responsesFile", &r->result);
    json_get_str(json_at(o, "error"), "message", &r->message);
    if (json_get(meta, "batchStats", json_type_object, &stats))
        r->good = count(stats, "successfulRequestCount");
    if (!gemini_name_ok(r->result, "files/"))
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
    if (!gemini_name_ok(file, "files/"))
        return ERR_FORMAT;
    struct remote_call *c = gemini_call_new(p, k, done, ctx);
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
    return gemini_call_start(c, NULL, path, json_headers, GEMINI_SMALL_S, out);
}

static enum err about(struct provider *p, struct keyring *k, const char *method,
                      struct span name, const char *verb, remote_done *done, void *ctx,
                      struct remote_call **out)
{
    if (!gemini_name_ok(name, "batches/"))
        return ERR_FORMAT;
    struct remote_call *c = gemini_call_new(p, k, done, ctx);
    char path[REMOTE_NAME + 40];
    snprintf(path, sizeof path, "/v1beta/%.*s%s", (int)name.len, name.ptr, verb);
    if (c) {
        c->answered = method ? looked : gemini_take_nothing;
        buf_add_str(&c->body, method ? "" : "{}");
    }
    return gemini_call_start(c, method, path, method ? NULL : json_headers, GEMINI_SMALL_S,
                             out);
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
    return gemini_call_begin(c, "GET", NULL, path, NULL, GEMINI_SMALL_S);
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
        gemini_malformed(r);
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
    struct remote_call *c = gemini_call_new(p, k, done, ctx);
    if (!c)
        return ERR_NOMEM;
    snprintf(c->title, sizeof c->title, "%.*s", (int)title.len, title.ptr);
    c->answered = listed;
    enum err e = next_page(c);
    if (e == OK)
        *out = c;
    else
        gemini_call_free(c);
    return e;
}

// --- The rest
// ---------------------------------------------------------------------------------

static void pause_fetch(struct remote_call *c, bool pause)
{
    if (c->http)
        http_pause(c->http, pause);
}

static void abort_call(struct remote_call *c)
{
    if (c->http)
        http_cancel(c->http);
    gemini_call_free(c);
}

static struct spool_place *place(struct provider *p)
{
    return &((struct gemini *)p)->spools;
}

const struct remote_ops gemini_remote_ops = {
    place,  request_row,  gemini_upload, make,        find,      look,
    cancel, gemini_fetch, gemini_forget, pause_fetch, abort_call};
