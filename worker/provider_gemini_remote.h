// provider_gemini_remote.h - what the files about batches of the Gemini API share: one call.
#ifndef WORKER_PROVIDER_GEMINI_REMOTE_H
#define WORKER_PROVIDER_GEMINI_REMOTE_H

#include "worker/provider_gemini_private.h"
#include "worker/remote.h"
#include "worker/rows.h"

#define GEMINI_SMALL_S 60.0 // seconds for a call that carries little

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

// --- provider_gemini_remote.c: one call
// NULL: out of memory. Ended by gemini_call_free(), or by itself once it was answered.
struct remote_call *gemini_call_new(struct provider *p, struct keyring *k, remote_done *done,
                                    void *ctx);
void gemini_call_free(struct remote_call *c);
// `url` NULL: `path` below the endpoint. The key goes to that endpoint only.
enum err gemini_call_begin(struct remote_call *c, const char *method, const char *url,
                           const char *path, const char *const extra[], double timeout);
// Takes `c`, also when it fails; NULL: out of memory.
enum err gemini_call_start(struct remote_call *c, const char *method, const char *path,
                           const char *const extra[], double timeout, struct remote_call **out);
// Names come from the provider, or from Redis: nothing in them may lead elsewhere.
bool gemini_name_ok(struct span s, const char *kind);
void gemini_malformed(struct remote_reply *r); // what was asked for is not in the answer
void gemini_take_nothing(struct remote_call *c, struct json_object *doc,
                         struct remote_reply *r);

// --- provider_gemini_files.c: see remote.h
enum err gemini_upload(struct provider *p, struct keyring *k, struct span title,
                       struct spool *lines, remote_done *done, void *ctx,
                       struct remote_call **out);
enum err gemini_fetch(struct provider *p, struct keyring *k, struct span result,
                      remote_row *row, remote_done *done, void *ctx, struct remote_call **out);
void gemini_forget(struct provider *p, struct keyring *k, struct span file);
#endif
