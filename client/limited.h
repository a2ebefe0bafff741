// limited.h - what limits the farm now: which of the groups that its workers send to can send
// nothing, why and until when, as the workers tell when they renew, and within a second of a
// change.
#ifndef CLIENT_LIMITED_H
#define CLIENT_LIMITED_H

#include <json-c/json.h>

#include "client/remotes.h"
#include "client/session.h"

#define LIMITED_GROUPS 256 // that are looked at

struct limited;
// `told`, which may be NULL, is called when a look is over.
struct limited *limited_new(struct session *s, void (*told)(void *ctx), void *ctx);
void limited_free(struct limited *l); // NULL is fine
// Looks once; `told` follows, and never from inside it. A look that is under way goes on alone.
void limited_look(struct limited *l);
// Looks, and waits until it is over.
MUST_USE enum err limited_wait(struct limited *l);

// Groups that are limited, of those that were seen last. What another project may do for the
// same model and lane does not limit the farm: such a group is none of `limiting`.
struct limited_group {
    const char *group; // project/model/lane
    // A dimension, "cooling", "spend", "circuit open", "daily quota", "no quota", "no credits",
    // "blocked", ...
    const char *reason;
    const char *code; // of "blocked", "no quota", "no credits": an error code; else ""
    int64_t until_ms; // clock_wall_ms(); 0: not known
    bool limiting;
};
const struct limited_group *limited_at(const struct limited *l, size_t i); // NULL: no more
// Names of all groups that were seen, limited or not; NULL: no more.
const char *limited_name(const struct limited *l, size_t i);
const struct limited_group *limited_worst(const struct limited *l); // NULL: nothing limits
// "limited by rpm of default/gemini-3.1-flash-image until 12:00:05", or nothing for NULL.
void limited_show(struct buf *out, const struct limited_group *g);
// {"reason", "group", "until"}; NULL for NULL: to be put as null. The caller owns it.
struct json_object *limited_json(const struct limited_group *g);
// The provider's batches that are waited for, as seen last.
const struct remotes *limited_remotes(const struct limited *l);
// What holds the farm when no group is limited: "no workers", "concurrency", "remote batches",
// or "nothing".
const char *limited_else(const struct limited *l);
#endif
