// stock.c - see stock.h.
#include "emulator/stock.h"

#include <stdlib.h>

#include "common/file.h"
#include "common/image.h"
#include "emulator/base64.h"

#define MAX_BYTES (64u << 20)

static enum err fill(struct stock *s, const char *path, struct buf *why)
{
    enum err e = file_read(path, &s->bytes);
    if (e != OK) {
        buf_addf(why, "--image %s: %s", path, err_text(e));
        return e;
    }
    enum image_type type = image_sniff(buf_span(&s->bytes));
    if (type == IMAGE_UNKNOWN) {
        buf_addf(why, "--image %s: neither PNG, JPEG nor WebP", path);
        return ERR_FORMAT;
    }
    s->mime = image_mime(type);
    digest_of(buf_span(&s->bytes), s->digest);
    base64_add(&s->base64, buf_span(&s->bytes));
    return s->base64.err;
}

struct stock *stock_new(const char *path, struct buf *why)
{
    struct stock *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->bytes.max = MAX_BYTES;
    s->base64.max = 2 * MAX_BYTES;
    if (fill(s, path, why) == OK)
        return s;
    stock_free(s);
    return NULL;
}

void stock_free(struct stock *s)
{
    if (!s)
        return;
    buf_free(&s->bytes);
    buf_free(&s->base64);
    free(s);
}
