// mp.c - see mp.h. Formats: https://github.com/msgpack/msgpack/blob/master/spec.md
#include "common/mp.h"

#include <limits.h>
#include <string.h>

// What the first byte says: the type, how many bytes of length or number follow it, and what is
// in it already.
struct head {
    enum mp_type type;
    unsigned extra;  // bytes of length or number behind the first
    uint64_t inside; // the value or length that the first byte holds itself
};

static struct head head_of(unsigned char b)
{
    static const struct head high[] = {
        // 0xc0..0xdf
        {MP_NIL, 0, 0},   {MP_BAD, 0, 0},   {MP_BOOL, 0, 0}, {MP_BOOL, 0, 1},  {MP_BIN, 1, 0},
        {MP_BIN, 2, 0},   {MP_BIN, 4, 0},   {MP_EXT, 1, 0},  {MP_EXT, 2, 0},   {MP_EXT, 4, 0},
        {MP_FLOAT, 4, 0}, {MP_FLOAT, 8, 0}, {MP_INT, 1, 0},  {MP_INT, 2, 0},   {MP_INT, 4, 0},
        {MP_INT, 8, 0},   {MP_INT, 1, 1},   {MP_INT, 2, 1},  {MP_INT, 4, 1},   {MP_INT, 8, 1},
        {MP_EXT, 0, 1},   {MP_EXT, 0, 2},   {MP_EXT, 0, 4},  {MP_EXT, 0, 8},   {MP_EXT, 0, 16},
        {MP_STR, 1, 0},   {MP_STR, 2, 0},   {MP_STR, 4, 0},  {MP_ARRAY, 2, 0}, {MP_ARRAY, 4, 0},
        {MP_MAP, 2, 0},   {MP_MAP, 4, 0},
    };
    if (b < 0x80)
        return (struct head){MP_INT, 0, b};
    if (b < 0x90)
        return (struct head){MP_MAP, 0, b & 15u};
    if (b < 0xa0)
        return (struct head){MP_ARRAY, 0, b & 15u};
    if (b < 0xc0)
        return (struct head){MP_STR, 0, b & 31u};
    if (b < 0xe0)
        return high[b - 0xc0];
    return (struct head){MP_INT, 0, (uint64_t)(int64_t)(int8_t)b};
}

static uint64_t big_endian(const char *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

// Reads the head of the next value off `s`. *number: its length, count or bits.
static enum err take_head(struct span *s, struct head *h, uint64_t *number)
{
    if (s->len == 0)
        return ERR_FORMAT;
    *h = head_of((unsigned char)s->ptr[0]);
    if (h->type == MP_BAD || s->len < 1 + h->extra)
        return ERR_FORMAT;
    *number = h->extra ? big_endian(s->ptr + 1, h->extra) : h->inside;
    s->ptr += 1 + h->extra;
    s->len -= 1 + h->extra;
    return OK;
}

// The next value, when it is of the type wanted, as it stands behind its head.
static enum err take(struct mp *m, enum mp_type want, struct head *h, uint64_t *number,
                     struct span *rest)
{
    *rest = m->left;
    enum err e = take_head(rest, h, number);
    return e == OK && h->type != want ? ERR_FORMAT : e;
}

enum mp_type mp_peek(const struct mp *m)
{
    return m->left.len == 0 ? MP_END : head_of((unsigned char)m->left.ptr[0]).type;
}

enum err mp_nil(struct mp *m)
{
    struct head h;
    struct span rest;
    uint64_t n;
    enum err e = take(m, MP_NIL, &h, &n, &rest);
    if (e == OK)
        m->left = rest;
    return e;
}

enum err mp_bool(struct mp *m, bool *out)
{
    struct head h;
    struct span rest;
    uint64_t n;
    enum err e = take(m, MP_BOOL, &h, &n, &rest);
    if (e != OK)
        return e;
    *out = n != 0;
    m->left = rest;
    return OK;
}

static int64_t widen(uint64_t bits, unsigned bytes)
{
    unsigned shift = 64 - 8 * bytes;
    return (int64_t)(bits << shift) >> shift;
}

enum err mp_int(struct mp *m, int64_t *out)
{
    struct head h;
    struct span rest;
    uint64_t n;
    enum err e = take(m, MP_INT, &h, &n, &rest);
    if (e != OK)
        return e;
    bool is_signed = h.extra > 0 && h.inside == 1;
    if (h.extra == 8 && !is_signed && n > INT64_MAX)
        return ERR_RANGE;
    *out = is_signed ? widen(n, h.extra) : (int64_t)n;
    m->left = rest;
    return OK;
}

enum err mp_double(struct mp *m, double *out)
{
    struct head h;
    struct span rest;
    uint64_t n;
    int64_t i;
    if (mp_peek(m) == MP_INT) {
        enum err e = mp_int(m, &i);
        if (e == OK)
            *out = (double)i;
        return e;
    }
    enum err e = take(m, MP_FLOAT, &h, &n, &rest);
    if (e != OK)
        return e;
    if (h.extra == 4) {
        uint32_t bits = (uint32_t)n;
        float f;
        memcpy(&f, &bits, sizeof f);
        *out = (double)f;
    } else {
        memcpy(out, &n, sizeof *out);
    }
    m->left = rest;
    return OK;
}

static enum err bytes_of(struct mp *m, enum mp_type type, struct span *out)
{
    struct head h;
    struct span rest;
    uint64_t n;
    enum err e = take(m, type, &h, &n, &rest);
    if (e != OK)
        return e;
    if (n > rest.len)
        return ERR_FORMAT;
    *out = (struct span){rest.ptr, (size_t)n};
    m->left = (struct span){rest.ptr + n, rest.len - (size_t)n};
    return OK;
}

enum err mp_str(struct mp *m, struct span *out)
{
    return bytes_of(m, MP_STR, out);
}

enum err mp_bin(struct mp *m, struct span *out)
{
    return bytes_of(m, MP_BIN, out);
}

static enum err count_of(struct mp *m, enum mp_type type, unsigned least, uint32_t *count)
{
    struct head h;
    struct span rest;
    uint64_t n;
    enum err e = take(m, type, &h, &n, &rest);
    if (e != OK)
        return e;
    if (n * least > rest.len) // every element takes a byte at the least
        return ERR_FORMAT;
    *count = (uint32_t)n;
    m->left = rest;
    return OK;
}

enum err mp_array(struct mp *m, uint32_t *count)
{
    return count_of(m, MP_ARRAY, 1, count);
}

enum err mp_map(struct mp *m, uint32_t *pairs)
{
    return count_of(m, MP_MAP, 2, pairs);
}

enum err mp_ext(struct mp *m, int8_t *type, struct span *out)
{
    struct head h;
    struct span rest;
    uint64_t n;
    enum err e = take(m, MP_EXT, &h, &n, &rest);
    if (e != OK)
        return e;
    if (rest.len == 0 || n > rest.len - 1)
        return ERR_FORMAT;
    *type = (int8_t)rest.ptr[0];
    *out = (struct span){rest.ptr + 1, (size_t)n};
    m->left = (struct span){rest.ptr + 1 + n, rest.len - 1 - (size_t)n};
    return OK;
}

// Passes over the bytes behind one head; *more is how many values it holds.
static enum err pass(struct span *s, uint64_t *more)
{
    struct head h;
    uint64_t n;
    enum err e = take_head(s, &h, &n);
    if (e != OK)
        return e;
    uint64_t bytes = 0;
    *more = 0;
    if (h.type == MP_STR || h.type == MP_BIN)
        bytes = n;
    else if (h.type == MP_EXT)
        bytes = n + 1;
    else if (h.type == MP_ARRAY)
        *more = n;
    else if (h.type == MP_MAP)
        *more = 2 * n;
    if (bytes > s->len || *more > s->len)
        return ERR_FORMAT;
    s->ptr += bytes;
    s->len -= (size_t)bytes;
    return OK;
}

enum err mp_skip(struct mp *m)
{
    struct span s = m->left;
    uint64_t left[MP_MAX_DEPTH + 1] = {1}; // values still to come at each depth
    unsigned depth = 0;
    for (;;) {
        while (left[depth] == 0) {
            if (depth == 0) {
                m->left = s;
                return OK;
            }
            depth--;
        }
        left[depth]--;
        uint64_t more;
        enum err e = pass(&s, &more);
        if (e != OK)
            return e;
        if (more == 0)
            continue;
        if (depth == MP_MAX_DEPTH)
            return ERR_FORMAT;
        left[++depth] = more;
    }
}

enum err mp_raw(struct mp *m, struct span *out)
{
    const char *begin = m->left.ptr;
    enum err e = mp_skip(m);
    if (e == OK)
        *out = (struct span){begin, (size_t)(m->left.ptr - begin)};
    return e;
}

bool mp_valid(struct span s)
{
    struct mp m = {s};
    return mp_skip(&m) == OK && m.left.len == 0;
}

static int write_to_buf(void *data, const char *bytes, size_t n)
{
    struct buf *b = data;
    buf_add(b, (struct span){bytes, n});
    return b->err == OK ? 0 : -1;
}

void mp_packer(msgpack_packer *pk, struct buf *b)
{
    msgpack_packer_init(pk, b, write_to_buf);
}

void mp_pack_span(msgpack_packer *pk, struct span s)
{
    msgpack_pack_str(pk, s.len);
    msgpack_pack_str_body(pk, s.ptr ? s.ptr : "", s.len);
}

void mp_pack_cstr(msgpack_packer *pk, const char *s)
{
    mp_pack_span(pk, span_of(s));
}
