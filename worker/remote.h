// remote.h - a provider's batches: many requests in one file, that are answered within a day at
// a lower price, and whose answers come as one file.
#ifndef WORKER_REMOTE_H
#define WORKER_REMOTE_H

#include "worker/provider.h"

struct keyring;
struct remote_call; // one call in flight, about a batch
struct spool;
struct spool_place;

#define REMOTE_NAME 200 // bytes of a name at the provider, with NUL

enum remote_state {
    REMOTE_WAITING, // not over
    REMOTE_SUCCEEDED,
    REMOTE_FAILED,
    REMOTE_CANCELLED,
    REMOTE_EXPIRED,
};

struct remote_reply {           // borrowed for the time of the callback
    struct provider_result why; // code CODE_OK: it went well; else what failed
    bool gone;                  // the provider knows no such thing
    struct span file;           // of upload()
    struct span name;           // of make() and find(); empty: there is none
    enum remote_state state;    // of look()
    struct span result;         // a file of answers; empty: none
    struct span message;        // why it failed
    int64_t good; // rows that were made, and so may be billed; -1: it does not say
};
// Once per call that returned OK, never from inside it.
typedef void remote_done(void *ctx, const struct remote_reply *r);
// One row of answers; `r` as a provider_done gets it. The key is the provider's word.
typedef void remote_row(void *ctx, struct span key, struct provider_result *r);

// Batches and files are of one project: `k` has its keys. All of these: ERR_FORMAT: a name that
// is none; it is not tried.
struct remote_ops {
    struct spool_place *(*place)(struct provider *p); // where requests are gathered
    // One line of the file: a key, and what is asked. Appends.
    void (*line)(struct buf *out, struct span key, const struct job *job);
    // `lines`: whole; stays the caller's, and must stay until the end.
    enum err (*upload)(struct provider *p, struct keyring *k, struct span title,
                       struct spool *lines, remote_done *done, void *ctx,
                       struct remote_call **out);
    // Costs money. `title`: by which it can be found when the answer is lost.
    enum err (*make)(struct provider *p, struct keyring *k, struct span model,
                     struct span title, struct span file, provider_may_send *may_send,
                     remote_done *done, void *ctx, struct remote_call **out);
    enum err (*find)(struct provider *p, struct keyring *k, struct span title,
                     remote_done *done, void *ctx, struct remote_call **out);
    enum err (*look)(struct provider *p, struct keyring *k, struct span name, remote_done *done,
                     void *ctx, struct remote_call **out);
    enum err (*cancel)(struct provider *p, struct keyring *k, struct span name,
                       remote_done *done, void *ctx, struct remote_call **out);
    // Rows come in any order, some perhaps not at all.
    enum err (*fetch)(struct provider *p, struct keyring *k, struct span result,
                      remote_row *row, remote_done *done, void *ctx, struct remote_call **out);
    void (*forget)(struct provider *p, struct keyring *k,
                   struct span file);                 // is no longer needed; nobody is told
    void (*pause)(struct remote_call *c, bool pause); // of fetch()
    void (*abort)(struct remote_call *c);             // no callback follows
};
#endif
