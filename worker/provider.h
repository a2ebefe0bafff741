// provider.h - who makes the images: the other of the worker's two vtables.
#ifndef WORKER_PROVIDER_H
#define WORKER_PROVIDER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/code.h"
#include "broker/event.h"
#include "broker/job.h"
#include "common/buf.h"
#include "common/err.h"

struct keyring;
struct provider;
struct provider_call; // one call in flight
struct remote_ops;
struct spool;

// What may be done about an answer that is no image.
enum provider_retry {
    RETRY_NO,
    RETRY_LIMITED, // `retry_limit` times at most, for it is sampled
    RETRY_YES,     // up to the job's attempts
    RETRY_COOL,    // the group cools down; no attempt is burnt
    RETRY_KEY,     // at once, with another key of the project; no attempt is burnt
    RETRY_BLOCK,   // the whole group can send nothing until somebody mends it
};

// What a refusal for want of quota (429, 402) is about.
enum provider_quota {
    QUOTA_NONE,     // it is about none
    QUOTA_RATE,     // so many a minute
    QUOTA_DAILY,    // used up until midnight Pacific
    QUOTA_SPEND,    // dollars in ten minutes
    QUOTA_CAPACITY, // no quota is named: the provider is short of capacity
    QUOTA_ZERO,     // the project has none of this model
    QUOTA_CREDITS,  // what was paid for in advance is used up
};

#define PROVIDER_ALLOWS 160 // bytes

struct provider_image {
    struct spool *spool; // taken by the receiver when it sets this to NULL; else freed
};

struct provider_result { // borrowed for the time of the callback
    enum code code;      // CODE_OK: there are images
    bool sent;           // a byte of the request had left
    bool bad_key;        // the key is at fault, and not the project
    bool unknown;        // sent, and the answer did not end: it may have been billed
    bool withheld;       // may_send() said no, and nothing had left: no try was made
    enum provider_retry retry;
    enum provider_quota quota;
    unsigned retry_limit;
    double delay_floor;           // seconds the provider asked for; 0: none
    char allows[PROVIDER_ALLOWS]; // what the provider said it does, as limit_learn() takes it
    struct span reason, message, text, model_version, response_id;
    int64_t latency_ms;
    int64_t bytes_sent, bytes_received;  // of the request's body and the answer's
    int64_t input_tokens, output_tokens; // as reported; output includes text and thoughts
    int64_t image_tokens;                // of the output
    bool has_usage;
    struct provider_image images[EVENT_MAX_IMAGES];
    unsigned n_images;
};

// Once per start that returned OK, never from inside it.
typedef void provider_done(void *ctx, struct provider_result *r);
// Asked right before bytes leave. False: none leave any more, and the call ends.
typedef bool provider_may_send(void *ctx);

struct provider_ops {
    // `keys`: of the project that the call goes through. `timeout`: seconds for the whole call.
    enum err (*start)(struct provider *p, const struct job *job, struct keyring *keys,
                      double timeout, provider_may_send *may_send, provider_done *done,
                      void *ctx, struct provider_call **out);
    bool (*sent)(const struct provider_call *c); // a byte of it has left
    // No callback follows. True: a byte of it had left, so that it may be billed.
    bool (*cancel)(struct provider *p, struct provider_call *c);
    void (*free)(struct provider *p);
    const struct remote_ops *remote; // its batches, see remote.h; NULL: it has none
};
struct provider { // first member of every provider
    const struct provider_ops *ops;
    const char *name;     // "gemini"
    const char *endpoint; // "https://host": where it is, without path or password
};

struct ev_loop;
struct gemini_options {
    const char *base_url; // without a slash at the end
    const char *spool_dir;
    const char *ca_file; // NULL: the system's
    unsigned concurrency;
};
struct provider *provider_gemini_new(struct ev_loop *loop, const struct gemini_options *o);
#endif
