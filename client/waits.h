// waits.h - why a batch that is paused, or runs and gets nowhere, waits: for money or a quota.
#ifndef CLIENT_WAITS_H
#define CLIENT_WAITS_H

#include <json-c/json.h>

#include "client/collect_batch.h"

// The error code its events have, too; NULL: it waits for nothing of the kind. `message` gets a
// sentence, fit for a terminal.
const char *waits_for(const struct collect_batch *b, struct buf *message);
// {"code", "message"}; NULL for nothing: to be put as null. The caller owns it.
struct json_object *waits_json(const struct collect_batch *b);
#endif
