// json.h - JSON documents, strictly: json-c does the parsing, a byte-level gate in front of it
// refuses what json-c 0.16 lets through (NaN, -01, 2., single quotes, raw newlines in strings).
//
// The gate is also a splitter: it can divert the value of chosen strings, however large, to a
// callback as they stream past, and put a short placeholder where they stood. Memory then does
// not depend on their size.
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define JSON_MAX_DEPTH 64 // deeper documents are refused with ERR_FORMAT

// Parses one whole document, with nothing but white space around it. The caller owns *out
// (json_object_put); `null` gives OK and NULL. On failure `why`, when not NULL, gets a few
// words with the byte offset.
MUST_USE enum err json_read(struct span text, struct json_object **out, struct buf *why);

// Members by name, with their type checked. False: absent, null or of another type.
// Spans are borrowed from `o`.
bool json_get(struct json_object *o, const char *name, enum json_type t,
              struct json_object **out);
bool json_get_str(struct json_object *o, const char *name, struct span *out);
bool json_get_int(struct json_object *o, const char *name, int64_t *out);
struct json_object *json_at(struct json_object *o,
                            const char *path); // "a.b.0.c"; NULL if absent

// Building: a NULL `o` or no memory makes these do nothing; test the object once, at the end.
void json_put_str(struct json_object *o, const char *name, struct span value);
void json_put_cstr(struct json_object *o, const char *name, const char *value);
void json_put_int(struct json_object *o, const char *name, int64_t value);
void json_put_bool(struct json_object *o, const char *name, bool value);
void json_put_usd(struct json_object *o, const char *name, int64_t micro); // 39000 as 0.039
void json_put_fixed(struct json_object *o, const char *name, double v, int decimals);
void json_put(struct json_object *o, const char *name,
              struct json_object *value);                // takes value
void json_write(struct buf *out, struct json_object *o); // one line, slashes unescaped

// --- Streaming -------------------------------------------------------------------------------

// What the splitter asks when a string value starts: the key it stands under (`key`) and the
// key of the object around that (`parent`), both cut at 63 bytes, empty in arrays and at the
// top.
enum json_divert {
    JSON_KEEP,   // an ordinary string (still ERR_TOOBIG beyond `max_string`)
    JSON_DIVERT, // its bytes, unescaped, go to `data`; a placeholder stands in the document
    JSON_DROP,   // as JSON_DIVERT, but nobody wants the bytes
};

struct json_split_hooks {
    enum json_divert (*ask)(void *ctx, const char *parent, const char *key);
    // The next bytes of the diverted string; `last` closes it (n may then be 0). Not OK stops
    // the parse, and json_split_feed returns that error.
    enum err (*data)(void *ctx, const char *bytes, size_t n, bool last);
    void *ctx;
};

// A string that is diverted reads in the finished document as this and its running number: the
// first diverted string of the document is "\x01" "0", the next "\x01" "1" and so on (dropped
// ones are counted too). No JSON text from outside can contain a raw \x01; an escaped one can,
// so look at json_split_placeholder(), not at the bytes.
struct json_split;
struct json_split *json_split_new(const struct json_split_hooks *hooks, size_t max_string,
                                  size_t max_kept); // bytes kept in all; NULL: out of memory
void json_split_free(struct json_split *s);
// Feeds any number of bytes. OK: whole so far. ERR_FORMAT: not JSON. ERR_TOOBIG: a kept string
// or the kept document is larger than the limit. After a failure only json_split_free may
// follow.
MUST_USE enum err json_split_feed(struct json_split *s, const char *bytes, size_t n);
bool json_split_complete(const struct json_split *s); // a whole document has been read
// The document; the caller owns it. ERR_FORMAT when it is not complete. Leaves `s` ready for
// the next document (as in a stream of them).
MUST_USE enum err json_split_take(struct json_split *s, struct json_object **out);
// The number of the diverted string that `value` stands for, or -1.
int json_split_placeholder(struct json_object *value);
#endif
