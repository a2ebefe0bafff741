// answer.h - the body of a generateContent answer, read as it arrives: images go through base64
// into spools, thought signatures are dropped, the rest becomes a JSON document.
//
// Memory does not depend on the size of the images. The order of keys is not relied upon: what
// a spool is, is known only when the document is whole.
#ifndef WORKER_ANSWER_H
#define WORKER_ANSWER_H

#include <json-c/json.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

#define ANSWER_MAX_SPOOLS 20             // images in one answer, thoughts included
#define ANSWER_MAX_IMAGE  (128ull << 20) // bytes of one
#define ANSWER_MAX_STRING (1u << 20)     // of any string that is kept
#define ANSWER_MAX_KEPT   (4u << 20)     // of the document without its images

struct answer;
struct spool;
struct spool_place;

struct answer *answer_new(struct spool_place *place); // borrowed; NULL: out of memory
void answer_free(struct answer *a); // with the spools nobody took; NULL is fine
// ERR_FORMAT: not JSON, or not base64 where an image should be; ERR_TOOBIG; ERR_FULL, ERR_IO,
// ERR_MISSING: of the spool. After a failure only answer_free() may follow.
MUST_USE enum err answer_feed(struct answer *a, const char *bytes, size_t n);
// The whole document, owned by `a`. ERR_FORMAT: the body ended too early.
MUST_USE enum err answer_end(struct answer *a, struct json_object **doc);
// The spool that the string `data` of the document stands for, now the caller's; NULL: none.
struct spool *answer_take(struct answer *a, struct json_object *data);
#endif
