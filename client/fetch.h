// fetch.h - brings the images of a completed job into the output folder: from Redis, from
// another folder, or not at all when they are there.
#ifndef CLIENT_FETCH_H
#define CLIENT_FETCH_H

#include "broker/event.h"
#include "client/output.h"
#include "common/err.h"

struct session;

// ERR_MISSING: the images are gone where the event says they are; ERR_FORMAT: they are not what
// it says; others: of the connection or the disk. Never from inside fetch_start().
typedef void fetch_done(void *ctx, enum err e);

// *there: the images are in place already, and nothing follows. `e` is borrowed until the end.
MUST_USE enum err fetch_start(struct session *s, struct output *o, const struct event *e,
                              fetch_done *done, void *ctx, bool *there);
#endif
