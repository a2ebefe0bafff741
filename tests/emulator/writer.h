// writer.h - JSON written as Google's servers write it: two spaces a level and a line for every
// value, or, in streams of events, all on one line. Strings may be ropes of any length.
#ifndef EMULATOR_WRITER_H
#define EMULATOR_WRITER_H

#include <stdint.h>

#include "common/buf.h"
#include "emulator/rope.h"

struct writer {
    struct rope *to;
    struct buf text; // written, and not yet in `to`
    bool one_line;
    bool follows;   // a value stands before the next one on this level
    unsigned depth; // of open objects and arrays
};

void writer_open(struct writer *w, struct rope *to, bool one_line);
void writer_close(struct writer *w); // hands over the rest of the text

// `key` NULL: an element of an array.
void write_begin(struct writer *w, const char *key, char bracket); // '{' or '['
void write_end(struct writer *w, char bracket);                    // '}' or ']'
void write_str(struct writer *w, const char *key, struct span value);
void write_cstr(struct writer *w, const char *key, const char *value);
void write_int(struct writer *w, const char *key, int64_t value);
void write_bool(struct writer *w, const char *key, bool value);
// The string is what `value` holds, taken as it is: base64, for instance. Empties `value`.
void write_rope(struct writer *w, const char *key, struct rope *value);
void write_number(struct writer *w, const char *key, const char *digits); // as it is
#endif
