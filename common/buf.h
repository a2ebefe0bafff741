// buf.h - bytes that grow up to a limit, and views into bytes owned elsewhere.
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct span { // borrowed: never freed through, not NUL-terminated
    const char *ptr;
    size_t len;
};

#define SPAN(literal) ((struct span){"" literal, sizeof(literal) - 1})

struct span span_of(const char *text); // of a C string; NULL gives an empty span
bool span_equal(struct span a, struct span b);
bool span_is(struct span a, const char *text);
bool span_is_case(struct span a, const char *text); // ASCII letter case ignored

struct buf {   // owned: {.max = limit in bytes} is a valid empty buffer
    char *ptr; // NUL-terminated whenever len > 0; NULL before the first byte
    size_t len, cap, max;
    enum err err; // first failure (ERR_NOMEM, ERR_TOOBIG); later appends then do nothing
};

// Ten appends, one check: every append is a no-op once `err` is set.
void buf_add(struct buf *b, struct span s);
void buf_add_str(struct buf *b, const char *text);
void buf_add_byte(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
// Room for n more bytes, to be written by the caller, who then adds n to len and terminates it
// by buf_added(). NULL when they do not fit.
char *buf_room(struct buf *b, size_t n);
void buf_added(struct buf *b, size_t n);
void buf_drop(struct buf *b, size_t n); // forgets the first n bytes
void buf_clear(struct buf *b);          // empty again, memory and limit kept, error forgotten
void buf_free(struct buf *b);           // leaves an empty buffer with the same limit
struct span buf_span(const struct buf *b);
const char *buf_str(const struct buf *b); // never NULL
#endif
