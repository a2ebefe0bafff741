// members.h - members of the JSON objects that people write: checked for their type, and for
// being known, for what nobody reads is a mistake in writing, and would be a limit that does
// not hold or a price that is none.
#ifndef BROKER_MEMBERS_H
#define BROKER_MEMBERS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

// The first one that is not among `known`, which ends with NULL; NULL: there is none.
const char *members_other(struct json_object *o, const char *const *known);
// False: it is there, and of another type. *out is NULL where it is absent.
bool members_get(struct json_object *o, const char *name, enum json_type type,
                 struct json_object **out);
// A list of `most` strings at most; absent is an empty one. False: it is something else. Spans
// are borrowed from `o`.
bool members_list(struct json_object *o, const char *name, size_t most, struct span *out,
                  size_t *n);
// A number from 0 to `max`. False: it is absent, or something else.
bool members_number(struct json_object *o, const char *name, double max, double *out);
struct span members_text(struct json_object *string); // borrowed from it
#endif
