// provider_gemini_private.h - what the files provider_gemini*.c share.
#ifndef WORKER_PROVIDER_GEMINI_PRIVATE_H
#define WORKER_PROVIDER_GEMINI_PRIVATE_H

#include "common/json.h"
#include "worker/http.h"
#include "worker/keyring.h"
#include "worker/provider.h"
#include "worker/spool.h"

#define GEMINI_TEXTS 5 // of a result, that may have to be cleaned

struct gemini {
    struct provider base;
    struct http *http;
    char *base_url, *spool_dir, *origin;
    struct spool_place spools;
    char *ca_file;
};

struct gemini_words {     // of one call
    struct keyring *keys; // borrowed
    size_t key;           // the one of `keys` it is made with
    struct buf refusal, message, clean[GEMINI_TEXTS];
};
void gemini_words_free(struct gemini_words *w);
// The beginning of an answer that is no 200.
void gemini_refusal(struct gemini_words *w, const char *bytes, size_t n);
// What a call that ended so comes to, when that was no 200. *doc: the caller's, or NULL; the
// result borrows from it and from `w`.
void gemini_failed(struct gemini_words *w, struct provider_result *r,
                   const struct http_end *end, struct json_object **doc);
// The answer was cut, or this host has no room for it.
void gemini_unreadable(struct provider_result *r, enum err e);
// Error messages have been seen to repeat the key; who does that may do it anywhere.
void gemini_redact(struct gemini_words *w, struct provider_result *r);
// A key that is refused is left out; the call goes on with another of the project's.
void gemini_judge_key(struct gemini_words *w, struct provider_result *r, long status);
void gemini_key_header(const struct gemini_words *w, struct buf *out); // holds the key

extern const struct remote_ops gemini_remote_ops;
#endif
