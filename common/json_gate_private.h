// json_gate_private.h - what the two halves of the gate share: json_gate.c knows the structure,
// json_gate_string.c the inside of strings.
#ifndef COMMON_JSON_GATE_PRIVATE_H
#define COMMON_JSON_GATE_PRIVATE_H

#include "common/json_gate.h"

enum state {
    VALUE,        // a value must come
    ARRAY_FIRST,  // a value, or ]
    OBJECT_FIRST, // a key, or }
    OBJECT_KEY,   // a key
    COLON,
    AFTER, // , or the end of what we are in
    STRING,
    ESCAPE,
    HEX,
    LITERAL,
    MINUS, // the states of a number
    ZERO,
    DIGITS,
    POINT,
    FRACTION,
    EXPONENT,
    EXPONENT_SIGN,
    EXPONENT_DIGITS,
    DONE,
};

static inline enum err gate_keep(struct json_gate *g, const char *bytes, size_t n)
{
    return g->keep(g->ctx, bytes, n);
}

static inline void gate_value_over(struct json_gate *g)
{
    g->state = g->depth == 0 ? DONE : AFTER;
}

static inline bool gate_digit(char c)
{
    return c >= '0' && c <= '9';
}

enum err gate_begin_string(struct json_gate *g, bool is_key); // its first quote was read
// As much of a string as stands in bytes[0..n): *used of them.
enum err gate_string_run(struct json_gate *g, const char *bytes, size_t n, size_t *used);
enum err gate_escape(struct json_gate *g, char c); // what follows a backslash
enum err gate_hex(struct json_gate *g, char c);    // one of the four behind \u
#endif
