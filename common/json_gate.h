// json_gate.h - the grammar of JSON (RFC 8259), byte by byte, over text that comes in pieces.
//
// The gate decides what is JSON; it builds nothing. What it lets through goes on to `keep`,
// except the strings that are diverted.
#ifndef COMMON_JSON_GATE_H
#define COMMON_JSON_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/json.h"

#define GATE_KEY 64 // bytes of a key that are remembered, with NUL

struct json_gate {
    const struct json_split_hooks *hooks; // NULL members: nothing is diverted
    // Bytes of the document as they stand; not OK stops the gate with that error.
    enum err (*keep)(void *ctx, const char *bytes, size_t n);
    void *ctx;
    size_t max_string; // of a kept string
    size_t string;     // bytes of the one that is being read
    unsigned state, depth, diverted;
    enum json_divert divert;                // of the string that is being read
    bool is_key;                            // that string is a key
    bool object[JSON_MAX_DEPTH + 1];        // what each level is
    char key[JSON_MAX_DEPTH + 1][GATE_KEY]; // the last key of each level
    size_t key_len;
    const char *literal; // what is left of true, false or null
    unsigned hex_left;   // digits of \uXXXX to come
    uint32_t code, high; // of \uXXXX, and the first half of a surrogate pair
    unsigned char low_bound, high_bound, follow; // UTF-8: the next byte's range, bytes to come
};

MUST_USE enum err gate_feed(struct json_gate *g, const char *bytes, size_t n);
bool gate_complete(const struct json_gate *g);
void gate_reset(struct json_gate *g); // for the next document
#endif
