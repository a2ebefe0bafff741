// output_image.c - the images of a batch, which come from elsewhere: neither their names nor
// their bytes are believed.
#include "client/output_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/digest.h"
#include "common/file.h"

struct output_image {
    struct file_atomic *file;
    struct digest *digest;
    uint64_t bytes, expected;
    unsigned char sha256[DIGEST_SIZE];
};

static bool name_ok(struct span name)
{
    if (name.len == 0 || name.len > 255 || name.ptr[0] == '.')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && (c == 0 || !strchr("._-%~", c)))
            return false;
    }
    return true;
}

enum err output_image_path(const struct output *o, const struct event_image *im,
                           struct buf *path)
{
    static const char folder[] = "images/";
    size_t n = sizeof folder - 1;
    if (im->path.len <= n || memcmp(im->path.ptr, folder, n) != 0 ||
        !name_ok((struct span){im->path.ptr + n, im->path.len - n}))
        return ERR_FORMAT;
    buf_addf(path, "%s/", o->folder);
    buf_add(path, im->path);
    return path->err;
}

bool output_has_image(const struct output *o, const struct event_image *im)
{
    struct buf path = {.max = 8192};
    struct stat st;
    bool there = output_image_path(o, im, &path) == OK && stat(buf_str(&path), &st) == 0 &&
                 S_ISREG(st.st_mode) && (uint64_t)st.st_size == im->bytes;
    buf_free(&path);
    return there;
}

bool output_has_bytes(const struct output *o, const struct event_image *im)
{
    struct buf path = {.max = 8192};
    bool there = output_image_path(o, im, &path) == OK &&
                 file_has(buf_str(&path), im->bytes, im->sha256);
    buf_free(&path);
    return there;
}

static enum err open_file(struct output *o, const struct event_image *im,
                          struct file_atomic **file)
{
    struct buf path = {.max = 8192};
    enum err e = output_image_path(o, im, &path);
    if (e == OK)
        e = file_atomic_open(buf_str(&path), file);
    buf_free(&path);
    return e == ERR_MISSING ? ERR_IO : e; // the folder; ERR_MISSING is said of images
}

enum err output_image_open(struct output *o, const struct event_image *im,
                           struct output_image **out)
{
    if (im->sha256.len != DIGEST_SIZE)
        return ERR_FORMAT;
    struct output_image *w = calloc(1, sizeof *w);
    if (!w || !(w->digest = digest_new())) {
        free(w);
        return ERR_NOMEM;
    }
    w->expected = im->bytes;
    memcpy(w->sha256, im->sha256.ptr, DIGEST_SIZE);
    enum err e = open_file(o, im, &w->file);
    if (e == OK)
        *out = w;
    else
        output_image_abort(w);
    return e;
}

enum err output_image_add(struct output_image *w, struct span bytes)
{
    w->bytes += bytes.len;
    if (w->bytes > w->expected)
        return ERR_FORMAT;
    digest_add(w->digest, bytes);
    FILE *f = file_atomic_stream(w->file);
    errno = 0;
    if (fwrite(bytes.ptr, 1, bytes.len, f) == bytes.len)
        return OK;
    return errno ? file_err(errno) : ERR_IO;
}

enum err output_image_commit(struct output_image *w)
{
    unsigned char sum[DIGEST_SIZE];
    digest_end(w->digest, sum);
    w->digest = NULL;
    enum err e = ERR_FORMAT;
    if (w->bytes == w->expected && memcmp(sum, w->sha256, DIGEST_SIZE) == 0) {
        e = file_atomic_commit(w->file);
        w->file = NULL;
    }
    output_image_abort(w);
    return e;
}

void output_image_abort(struct output_image *w)
{
    if (!w)
        return;
    file_atomic_abort(w->file);
    digest_free(w->digest);
    free(w);
}
