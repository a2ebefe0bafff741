// fetch.c - see fetch.h.
#include "client/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/blob.h"
#include "client/session.h"
#include "common/file.h"

#define CHUNKS 4 // asked for at once

struct fetch {
    struct session *session;
    struct output *output;
    const struct event *event;
    fetch_done *done;
    void *ctx;
    struct span name; // of the blob
    unsigned image;   // that is being fetched
    uint32_t chunk;   // the next of it
    uint64_t bytes;   // of it so far
    struct output_image *file;
};

// --- A folder -------------------------------------------------------------------------------

static enum err copy_bytes(FILE *from, struct output_image *to)
{
    char part[65536];
    size_t n;
    while ((n = fread(part, 1, sizeof part, from)) > 0) {
        enum err e = output_image_add(to, (struct span){part, n});
        if (e != OK)
            return e;
    }
    return ferror(from) ? ERR_IO : OK;
}

static enum err copy_image(struct output *o, struct span folder, const struct event_image *im)
{
    struct buf path = {.max = 8192};
    struct output_image *to = NULL;
    buf_add(&path, folder);
    buf_add_byte(&path, '/');
    buf_add(&path, im->path);
    FILE *from = path.err ? NULL : fopen(buf_str(&path), "re");
    enum err e = from ? output_image_open(o, im, &to) : file_err(errno);
    if (e == OK)
        e = copy_bytes(from, to);
    if (e == OK)
        e = output_image_commit(to);
    else
        output_image_abort(to);
    if (from)
        fclose(from);
    buf_free(&path);
    return e;
}

static enum err copy_all(struct output *o, const struct event *e, struct span folder)
{
    enum err err = OK;
    for (unsigned i = 0; err == OK && i < e->n_images; i++)
        if (!output_has_bytes(o, &e->images[i]))
            err = copy_image(o, folder, &e->images[i]);
    return err;
}

// --- Redis ----------------------------------------------------------------------------------

static void end(struct fetch *f, enum err e)
{
    output_image_abort(f->file);
    f->done(f->ctx, e);
    free(f);
}

static void on_dropped(void *ctx, enum err e, int64_t value)
{
    (void)e, (void)value; // what could not be dropped expires
    end(ctx, OK);
}

// All images are on the disk: they need not be in Redis any more.
static void drop(struct fetch *f)
{
    if (blob_drop(session_queue(f->session), f->name, on_dropped, f) != OK)
        end(f, OK);
}

static void on_chunks(void *ctx, enum err e, const struct span *chunks, size_t n);

static enum err ask(struct fetch *f)
{
    return blob_read(session_queue(f->session), f->name, f->image, f->chunk, CHUNKS, on_chunks,
                     f);
}

// Opens the next image that is not there; false: there is none.
static bool next_image(struct fetch *f, enum err *e)
{
    const struct event *ev = f->event;
    while (f->image < ev->n_images && output_has_bytes(f->output, &ev->images[f->image]))
        f->image++;
    if (f->image == ev->n_images)
        return false;
    f->chunk = 0;
    f->bytes = 0;
    *e = output_image_open(f->output, &ev->images[f->image], &f->file);
    return true;
}

static enum err take(struct fetch *f, const struct span *chunks, size_t n)
{
    enum err e = n == 0 ? ERR_MISSING : OK; // it ended before all its bytes had come
    for (size_t i = 0; e == OK && i < n; i++) {
        e = output_image_add(f->file, chunks[i]);
        f->bytes += chunks[i].len;
    }
    f->chunk += (uint32_t)n;
    return e;
}

static void on_chunks(void *ctx, enum err e, const struct span *chunks, size_t n)
{
    struct fetch *f = ctx;
    if (e == OK)
        e = take(f, chunks, n);
    if (e == OK && f->bytes >= f->event->images[f->image].bytes) {
        e = output_image_commit(f->file);
        f->file = NULL;
        f->image++;
        if (e == OK && !next_image(f, &e)) {
            drop(f);
            return;
        }
    }
    if (e == OK)
        e = ask(f);
    if (e != OK)
        end(f, e);
}

static enum err begin(struct session *s, struct output *o, const struct event *ev,
                      struct span name, fetch_done *done, void *ctx, bool *there)
{
    struct fetch *f = calloc(1, sizeof *f);
    enum err e = OK;
    if (!f)
        return ERR_NOMEM;
    *f = (struct fetch){s, o, ev, done, ctx, name, 0, 0, 0, NULL};
    *there = !next_image(f, &e);
    if (!*there && e == OK)
        e = ask(f);
    if (*there || e != OK) {
        output_image_abort(f->file);
        free(f);
    }
    return e;
}

static bool after(struct span s, const char *prefix, struct span *rest)
{
    size_t n = strlen(prefix);
    if (s.len <= n || memcmp(s.ptr, prefix, n) != 0)
        return false;
    *rest = (struct span){s.ptr + n, s.len - n};
    return true;
}

enum err fetch_start(struct session *s, struct output *o, const struct event *e,
                     fetch_done *done, void *ctx, bool *there)
{
    struct span rest;
    *there = true;
    if (after(e->sink, "redis:", &rest))
        return begin(s, o, e, rest, done, ctx, there);
    if (after(e->sink, "dir:", &rest) && rest.ptr[0] == '/')
        return copy_all(o, e, rest);
    return ERR_FORMAT;
}
