// JSON: in one piece, byte by byte and with strings diverted, the same is taken and the same
// refused; what was taken can be written and read again.
#include <string.h>

#include "common/json.h"
#include "fuzz.h"

struct diverted {
    size_t bytes;
    unsigned open, closed;
};

static enum json_divert ask(void *ctx, const char *parent, const char *key)
{
    struct diverted *d = ctx;
    if (strcmp(key, "drop") == 0)
        return JSON_DROP;
    if (strcmp(key, "data") != 0 && strcmp(parent, "data") != 0)
        return JSON_KEEP;
    d->open++;
    return JSON_DIVERT;
}

static enum err data(void *ctx, const char *bytes, size_t n, bool last)
{
    struct diverted *d = ctx;
    FUZZ_CHECK(bytes && d->open == d->closed + 1);
    d->bytes += n;
    d->closed += last;
    return OK;
}

// Whether a document is whole, read `step` bytes at a time.
static bool split(const char *text, size_t size, size_t step, bool divert, struct diverted *d)
{
    struct json_split_hooks hooks = {ask, data, d};
    struct json_split *s = json_split_new(divert ? &hooks : NULL, SIZE_MAX, SIZE_MAX);
    struct json_object *o;
    FUZZ_CHECK(s);
    enum err e = OK;
    for (size_t i = 0; i < size && e == OK; i += step)
        e = json_split_feed(s, text + i, size - i < step ? size - i : step);
    bool whole = e == OK && json_split_take(s, &o) == OK;
    if (whole)
        json_object_put(o);
    json_split_free(s);
    return whole;
}

static void again(struct json_object *o)
{
    struct json_object *second;
    struct buf first = {.max = 64u << 20}, text = {.max = 64u << 20};
    json_write(&first, o);
    FUZZ_CHECK(first.err == OK);
    FUZZ_CHECK(json_read(buf_span(&first), &second, NULL) == OK);
    json_write(&text, second);
    FUZZ_CHECK(span_equal(buf_span(&first), buf_span(&text)));
    json_object_put(second);
    buf_free(&first);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *text = (const char *)bytes;
    struct diverted whole = {0}, parts = {0};
    struct json_object *o;
    struct buf why = {.max = 1000};
    bool ok = json_read((struct span){text, size}, &o, &why) == OK;
    FUZZ_CHECK(ok == (why.len == 0));
    FUZZ_CHECK(split(text, size, 1, false, NULL) == ok);
    FUZZ_CHECK(split(text, size, size + 1, true, &whole) == ok);
    FUZZ_CHECK(split(text, size, 3, true, &parts) == ok);
    FUZZ_CHECK(whole.open == parts.open && whole.bytes == parts.bytes);
    if (ok) {
        again(o);
        json_object_put(o);
    }
    buf_free(&why);
    return 0;
}
