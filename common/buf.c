// buf.c - see buf.h.
#include "common/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct span span_of(const char *text)
{
    return text ? (struct span){text, strlen(text)} : (struct span){0};
}

bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool span_is(struct span a, const char *text)
{
    return span_equal(a, span_of(text));
}

bool span_is_case(struct span a, const char *text)
{
    struct span b = span_of(text);
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

// Doubles, so that n appends copy O(n) bytes in all. `need` counts the closing NUL.
static bool grow(struct buf *b, size_t need)
{
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap = cap <= SIZE_MAX / 2 ? cap * 2 : SIZE_MAX;
    if (cap - 1 > b->max)
        cap = b->max + 1;
    char *p = realloc(b->ptr, cap);
    if (!p) {
        b->err = ERR_NOMEM;
        return false;
    }
    b->ptr = p;
    b->cap = cap;
    return true;
}

char *buf_room(struct buf *b, size_t n)
{
    if (b->err)
        return NULL;
    if (n > b->max || b->len > b->max - n || b->len + n == SIZE_MAX) { // SIZE_MAX: the NUL
        b->err = ERR_TOOBIG;
        return NULL;
    }
    return grow(b, b->len + n + 1) ? b->ptr + b->len : NULL;
}

void buf_added(struct buf *b, size_t n)
{
    b->len += n;
    b->ptr[b->len] = '\0';
}

void buf_add(struct buf *b, struct span s)
{
    char *to;
    if (s.len == 0 || !(to = buf_room(b, s.len)))
        return;
    memcpy(to, s.ptr, s.len);
    buf_added(b, s.len);
}

void buf_add_str(struct buf *b, const char *text)
{
    buf_add(b, span_of(text));
}

void buf_add_byte(struct buf *b, char c)
{
    buf_add(b, (struct span){&c, 1});
}

void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
    va_list twin;
    va_copy(twin, ap);
    int n = vsnprintf(NULL, 0, fmt, twin);
    va_end(twin);
    char *to;
    if (n < 0 && !b->err)
        b->err = ERR_TOOBIG; // longer than INT_MAX
    if (n <= 0 || !(to = buf_room(b, (size_t)n)))
        return;
    vsnprintf(to, (size_t)n + 1, fmt, ap);
    buf_added(b, (size_t)n);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(b, fmt, ap);
    va_end(ap);
}

void buf_drop(struct buf *b, size_t n)
{
    if (n > b->len)
        n = b->len;
    if (n == 0)
        return;
    memmove(b->ptr, b->ptr + n, b->len - n);
    b->len -= n;
    b->ptr[b->len] = '\0';
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->err = OK;
    if (b->ptr)
        b->ptr[0] = '\0';
}

void buf_free(struct buf *b)
{
    free(b->ptr);
    *b = (struct buf){.max = b->max};
}

struct span buf_span(const struct buf *b)
{
    return (struct span){b->ptr, b->len};
}

const char *buf_str(const struct buf *b)
{
    return b->len > 0 ? b->ptr : "";
}
