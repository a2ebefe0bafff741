// fields.h - the names that a request may use, and where.
#ifndef EMULATOR_FIELDS_H
#define EMULATOR_FIELDS_H

#include <json-c/json.h>

#include "common/buf.h"

// "aspectRatio" as "aspect_ratio"; cut at `n` bytes.
void fields_snake(const char *camel, char *out, size_t n);
// ERR_FORMAT: the request has a name that the API does not know, or a value of the wrong kind:
// `message` is Google's sentence about it, `field` the path of the object that holds it.
MUST_USE enum err fields_check(struct json_object *request, struct buf *field,
                               struct buf *message);
#endif
