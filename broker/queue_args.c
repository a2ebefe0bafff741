// queue_args.c - see queue_args.h.
#include "broker/queue_args.h"

#include <stdlib.h>
#include <string.h>

struct args *args_new(size_t max, size_t texts)
{
    struct args *a = malloc(sizeof *a + max * sizeof *a->v + texts);
    if (!a)
        return NULL;
    *a = (struct args){.max = max, .room = texts};
    a->text = (char *)&a->v[max];
    return a;
}

static void fail(struct args *a, enum err e)
{
    if (a->err == OK)
        a->err = e;
}

void args_add(struct args *a, struct span s)
{
    if (a && a->n == a->max)
        fail(a, ERR_TOOBIG);
    else if (a)
        a->v[a->n++] = s.ptr ? s : (struct span){"", 0};
}

void args_buf(struct args *a, const struct buf *b)
{
    if (a && b->err)
        fail(a, b->err);
    args_add(a, buf_span(b));
}

void args_str(struct args *a, const char *s)
{
    args_add(a, span_of(s));
}

char *args_bytes(struct args *a, size_t n)
{
    if (!a || a->room - a->used < n || a->n == a->max) {
        if (a)
            fail(a, ERR_TOOBIG);
        return NULL;
    }
    char *at = a->text + a->used;
    a->used += n;
    a->v[a->n++] = (struct span){at, n};
    return at;
}

// Writes v's digits at the end of `end`; returns where they begin.
static char *digits(char *end, uint64_t v)
{
    do {
        *--end = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return end;
}

static void add_text(struct args *a, const char *from, size_t n)
{
    char *at = args_bytes(a, n);
    if (at)
        memcpy(at, from, n);
}

void args_uint(struct args *a, uint64_t v)
{
    char text[ARGS_INT], *end = text + sizeof text, *from = digits(end, v);
    add_text(a, from, (size_t)(end - from));
}

void args_int(struct args *a, int64_t v)
{
    char text[ARGS_INT], *end = text + sizeof text;
    char *from = digits(end, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    if (v < 0)
        *--from = '-';
    add_text(a, from, (size_t)(end - from));
}

void args_field(struct args *a, const struct queue_field *f)
{
    char text[2 * ARGS_INT], *end = text + sizeof text, *from = digits(end, f->slot);
    *--from = ':';
    from = digits(from, f->seq);
    add_text(a, from, (size_t)(end - from));
}
