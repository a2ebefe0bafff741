// fields.h - a job's members as JSON, under the names that input files use, and the translation
// of unknown columns between JSON and msgpack.
#ifndef CLIENT_FIELDS_H
#define CLIENT_FIELDS_H

#include <json-c/json.h>

#include "broker/job.h"
#include "common/buf.h"
#include "common/err.h"

// Adds the job's texts (id, title, scene, mood, prompt, negative) to `o`.
void fields_put_texts(struct json_object *o, const struct job *j);
// Adds the unknown columns, each under its own name; none that `o` has already.
void fields_put_extra(struct json_object *o, const struct job *j);
// The whole job as one entry of an input file: reading it again gives the same job, but for its
// sample. The caller owns it; NULL: out of memory.
struct json_object *fields_entry(const struct job *j);

void fields_pack(struct buf *out, struct json_object *value); // as msgpack
// One msgpack value as JSON. `null` gives OK and NULL. Binary and extension types, which no
// input can contain, are refused with ERR_FORMAT.
MUST_USE enum err fields_unpack(struct span bytes, struct json_object **out);
#endif
