// provider_gemini_files.c - files of the Gemini API: the requests of a batch go up, its answers
// come down.
#include <stdio.h>
#include <string.h>

#include "worker/provider_gemini_remote.h"

#define UPLOAD_S 3600.0       // seconds for a call that carries a file
#define FETCH_S  (6 * 3600.0) //

static void uploaded(struct remote_call *c, struct json_object *doc, struct remote_reply *r)
{
    (void)c;
    if (!json_get_str(json_at(doc, "file"), "name", &r->file) ||
        !gemini_name_ok(r->file, "files/"))
        gemini_malformed(r);
}

static bool is_url(struct span s)
{
    if (s.len < 4 || memcmp(s.ptr, "http", 4) != 0)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f)
            return false;
    return true;
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
    if (!is_url(buf_span(&c->upload_url)))
        gemini_malformed(r);
    else if (gemini_call_begin(c, NULL, url, NULL, headers, UPLOAD_S) == OK)
        c->goes_on = true;
    else
        gemini_unreadable(&r->why, ERR_NOMEM);
}

enum err gemini_upload(struct provider *p, struct keyring *k, struct span title,
                       struct spool *lines, remote_done *done, void *ctx,
                       struct remote_call **out)
{
    struct remote_call *c = gemini_call_new(p, k, done, ctx);
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
    return gemini_call_start(c, NULL, "/upload/v1beta/files", headers, GEMINI_SMALL_S, out);
}

static void forgotten(void *ctx, const struct remote_reply *r)
{
    (void)ctx, (void)r; // it goes by itself after two days
}

void gemini_forget(struct provider *p, struct keyring *k, struct span file)
{
    if (!gemini_name_ok(file, "files/"))
        return;
    struct remote_call *c = gemini_call_new(p, k, forgotten, NULL), *none;
    char path[REMOTE_NAME + 20];
    if (c)
        c->answered = gemini_take_nothing;
    snprintf(path, sizeof path, "/v1beta/%.*s", (int)file.len, file.ptr);
    if (gemini_call_start(c, "DELETE", path, NULL, GEMINI_SMALL_S, &none) != OK)
        return;
}

static void on_row(void *ctx, struct span key, struct provider_result *r)
{
    struct remote_call *c = ctx;
    gemini_redact(&c->words, r);
    c->row(c->ctx, key, r);
}

enum err gemini_fetch(struct provider *p, struct keyring *k, struct span result,
                      remote_row *row, remote_done *done, void *ctx, struct remote_call **out)
{
    if (!gemini_name_ok(result, "files/"))
        return ERR_FORMAT;
    struct remote_call *c = gemini_call_new(p, k, done, ctx);
    char path[REMOTE_NAME + 60];
    if (c) {
        c->answered = gemini_take_nothing;
        c->row = row;
        c->rows = rows_new(&c->gemini->spools, on_row, c);
    }
    if (c && !c->rows) {
        gemini_call_free(c);
        c = NULL;
    }
    snprintf(path, sizeof path, "/download/v1beta/%.*s:download?alt=media", (int)result.len,
             result.ptr);
    return gemini_call_start(c, "GET", path, NULL, FETCH_S, out);
}
