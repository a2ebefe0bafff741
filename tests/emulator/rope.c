// rope.c - see rope.h.
#include "emulator/rope.h"

#include <stdlib.h>
#include <string.h>

static void push(struct rope *r, struct piece p)
{
    if (r->err || p.total == 0) {
        if (p.owned)
            free((void *)(uintptr_t)p.ptr);
        return;
    }
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 8;
        struct piece *at = realloc(r->at, cap * sizeof *at);
        if (!at) {
            r->err = ERR_NOMEM;
            if (p.owned)
                free((void *)(uintptr_t)p.ptr);
            return;
        }
        r->at = at;
        r->cap = cap;
    }
    r->at[r->n++] = p;
}

void rope_add(struct rope *r, struct span bytes)
{
    struct buf copy = {.max = SIZE_MAX - 1};
    buf_add(&copy, bytes);
    rope_take(r, &copy);
}

void rope_take(struct rope *r, struct buf *b)
{
    if (b->err && !r->err)
        r->err = b->err;
    push(r, (struct piece){b->ptr, b->len, b->len, true});
    *b = (struct buf){.max = b->max};
}

void rope_repeat(struct rope *r, struct span pattern, uint64_t total)
{
    push(r, (struct piece){pattern.ptr, pattern.len, total, false});
}

void rope_join(struct rope *to, struct rope *from)
{
    if (from->err && !to->err)
        to->err = from->err;
    for (size_t i = 0; i < from->n; i++)
        push(to, from->at[i]);
    free(from->at);
    *from = (struct rope){0};
}

uint64_t rope_size(const struct rope *r)
{
    uint64_t size = 0;
    for (size_t i = 0; i < r->n; i++)
        size += r->at[i].total;
    return size;
}

// From one piece, without leaving its pattern.
static size_t read_piece(const struct piece *p, uint64_t offset, char *out, size_t max)
{
    size_t at = (size_t)(offset % p->len), n = p->len - at;
    n = n < max ? n : max;
    if (n > p->total - offset)
        n = (size_t)(p->total - offset);
    memcpy(out, p->ptr + at, n);
    return n;
}

size_t rope_read(const struct rope *r, struct rope_cursor *c, char *out, size_t max)
{
    size_t done = 0;
    while (done < max && c->piece < r->n) {
        const struct piece *p = &r->at[c->piece];
        size_t n = read_piece(p, c->offset, out + done, max - done);
        done += n;
        c->offset += n;
        if (c->offset == p->total)
            *c = (struct rope_cursor){.piece = c->piece + 1};
    }
    return done;
}

void rope_free(struct rope *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->at[i].owned)
            free((void *)(uintptr_t)r->at[i].ptr);
    free(r->at);
    *r = (struct rope){0};
}
