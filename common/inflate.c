// inflate.c - see inflate.h.
#include "common/inflate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>
#ifdef HAVE_LIBDEFLATE
#include <libdeflate.h>
#endif

#include "common/buf.h"

#define WINDOW 65536 // bytes that zlib inflates at once

struct inflate {
    inflate_take *take;
    void *ctx;
    uint64_t expected;
    bool gathers;       // for libdeflate
    struct buf stream;  // what has been gathered
    bool opened, ended; // zlib's stream
    z_stream z;
    uint8_t window[WINDOW];
};

struct inflate *inflate_new(uint64_t expected, inflate_take *take, void *ctx)
{
    struct inflate *i = malloc(sizeof *i);
    if (!i)
        return NULL;
    i->take = take;
    i->ctx = ctx;
    i->expected = expected;
    i->stream = (struct buf){.max = INFLATE_AT_ONCE};
    i->opened = i->ended = false;
    i->z = (z_stream){0};
#ifdef HAVE_LIBDEFLATE
    i->gathers = expected > 0 && expected <= INFLATE_AT_ONCE;
#else
    i->gathers = false;
#endif
    return i;
}

void inflate_free(struct inflate *i)
{
    if (!i)
        return;
    if (i->opened)
        inflateEnd(&i->z);
    buf_free(&i->stream);
    free(i);
}

// --- As it comes -----------------------------------------------------------------------------

static enum err some(struct inflate *i)
{
    i->z.next_out = i->window;
    i->z.avail_out = WINDOW;
    int got = inflate(&i->z, Z_NO_FLUSH);
    if (got == Z_MEM_ERROR)
        return ERR_NOMEM;
    if (got != Z_OK && got != Z_STREAM_END && got != Z_BUF_ERROR)
        return ERR_FORMAT;
    i->ended = got == Z_STREAM_END;
    return i->take(i->ctx, i->window, WINDOW - i->z.avail_out);
}

static enum err feed(struct inflate *i, const uint8_t *bytes, size_t n)
{
    enum err e = OK;
    if (!i->opened && inflateInit(&i->z) != Z_OK)
        return ERR_NOMEM;
    i->opened = true;
    i->z.next_in = (z_const Bytef *)(uintptr_t)bytes;
    i->z.avail_in = (uInt)n;
    i->z.avail_out = 0;
    while (e == OK && !i->ended && (i->z.avail_in > 0 || i->z.avail_out == 0))
        e = some(i);
    return e == OK && i->z.avail_in > 0 ? ERR_FORMAT : e;
}

// What was gathered goes through zlib after all.
static enum err feed_gathered(struct inflate *i)
{
    struct span s = buf_span(&i->stream);
    i->gathers = false;
    enum err e = s.len ? feed(i, (const uint8_t *)s.ptr, s.len) : OK;
    buf_free(&i->stream);
    return e;
}

// --- At once ---------------------------------------------------------------------------------

#ifdef HAVE_LIBDEFLATE
static enum err all(struct inflate *i, struct libdeflate_decompressor *d, uint8_t *out)
{
    size_t used = 0, n = 0;
    enum libdeflate_result r = libdeflate_zlib_decompress_ex(
        d, i->stream.ptr, i->stream.len, out, (size_t)i->expected, &used, &n);
    return r == LIBDEFLATE_SUCCESS && used == i->stream.len ? i->take(i->ctx, out, n)
                                                            : ERR_FORMAT;
}

static enum err at_once(struct inflate *i)
{
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    uint8_t *out = malloc((size_t)i->expected);
    enum err e = d && out ? all(i, d, out) : ERR_NOMEM;
    if (d)
        libdeflate_free_decompressor(d);
    free(out);
    return e;
}
#endif

// ---------------------------------------------------------------------------------------------

enum err inflate_feed(struct inflate *i, const uint8_t *bytes, size_t n)
{
    enum err e = OK;
    if (i->gathers && n > INFLATE_AT_ONCE - i->stream.len)
        e = feed_gathered(i);
    if (e != OK || !i->gathers)
        return e != OK ? e : feed(i, bytes, n);
    buf_add(&i->stream, (struct span){(const char *)bytes, n});
    return i->stream.err;
}

enum err inflate_end(struct inflate *i)
{
#ifdef HAVE_LIBDEFLATE
    if (i->gathers)
        return at_once(i);
#endif
    enum err e = i->gathers ? feed_gathered(i) : OK;
    return e == OK && !i->ended ? ERR_FORMAT : e;
}
