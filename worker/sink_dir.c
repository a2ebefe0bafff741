// sink_dir.c - a folder that workers and client share.
//
//   PATH/BATCH/images/00000_scene_001.png
//   PATH/BATCH/.records/0             what was stored for job 0: eight random bytes, the record
//   PATH/BATCH/.records/0.RANDOM.0    an image on its way to its name
//
// Images are linked into .records under names nobody else uses, then the record is linked: the
// first one wins, and only then its images are moved to their names. Whoever finds a record
// does what was left undone of that, so that a crash at any point is either as if nothing had
// been stored or as if all had been.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/pool.h"
#include "worker/room.h"
#include "worker/sink.h"
#include "worker/spool.h"

#define MAX_PATH   4096
#define MAX_RECORD (4u << 20) // bytes
#define TAG        8          // random bytes in front of a record
#define MAX_TRIES  3          // at replacing a record of another batch
#define LOOK_MS    1000       // that what was seen of the file system holds

struct sink_dir {
    struct sink base;
    struct pool *pool;
    char *path;
    struct room room;  // as last seen
    int64_t looked_ms; // when that was
    bool looking;      // a look that was asked for is under way
};

struct job { // one store or lookup, on its way through the pool
    struct pool_task task;
    struct sink_dir *sink;
    struct sink_item item;
    sink_done *done;
    void *ctx;
    struct buf folder, record_path, found, why;
    uint8_t tag[TAG];
    bool linked;      // our record is there: whoever finds it names the images
    struct room room; // as it was at the end
    enum err err;
    struct event event; // of `found`; its spans point there
};

struct look { // at the file system
    struct pool_task task;
    struct sink_dir *sink;
    struct room room;
};

// --- Paths -----------------------------------------------------------------------------------

static void temp_path(const struct job *j, const uint8_t tag[TAG], unsigned image,
                      struct buf *out)
{
    char hex[2 * TAG + 1];
    digest_hex(tag, TAG, hex);
    *out = (struct buf){.max = MAX_PATH};
    buf_addf(out, "%s.%s.%u", buf_str(&j->record_path), hex, image);
}

static void final_path(const struct job *j, struct span name, struct buf *out)
{
    *out = (struct buf){.max = MAX_PATH};
    buf_add(out, buf_span(&j->folder));
    buf_add_byte(out, '/');
    buf_add(out, name);
}

static enum err fail(struct job *j, enum err e, const char *what)
{
    int cause = errno;
    buf_clear(&j->why);
    return file_explain(&j->why, e, cause, buf_str(&j->folder), what);
}

static enum err sync_dir(const struct job *j, const char *name)
{
    struct buf path;
    final_path(j, span_of(name), &path);
    enum err e = path.err ? path.err : file_sync_dir(buf_str(&path));
    buf_free(&path);
    return e;
}

// --- Records ---------------------------------------------------------------------------------

// Reads the record that is there; ERR_MISSING also for one that is not whole.
static enum err find(struct job *j)
{
    struct record r;
    buf_clear(&j->found);
    enum err e = file_read(buf_str(&j->record_path), &j->found);
    if (e != OK)
        return e;
    struct span bytes = buf_span(&j->found);
    if (bytes.len < TAG)
        return ERR_MISSING;
    bytes.ptr += TAG;
    bytes.len -= TAG;
    return record_decode(&r, bytes) == OK && event_decode(&j->event, r.event) == OK
               ? OK
               : ERR_MISSING;
}

static bool is_there(const struct job *j, const struct event_image *im)
{
    struct buf path;
    struct stat st;
    final_path(j, im->path, &path);
    bool there = !path.err && stat(buf_str(&path), &st) == 0 && S_ISREG(st.st_mode) &&
                 (uint64_t)st.st_size == im->bytes;
    buf_free(&path);
    return there;
}

// An image's name is data: only images/NAME is followed.
static bool name_ok(struct span path)
{
    return path.len > 7 && memcmp(path.ptr, "images/", 7) == 0 && path.ptr[7] != '.' &&
           !memchr(path.ptr + 7, '/', path.len - 7);
}

// ERR_MISSING: it is nowhere.
static enum err settle_image(struct job *j, const char *from, const struct event_image *im)
{
    struct buf to;
    final_path(j, im->path, &to);
    enum err e = to.err                                ? to.err
                 : rename(from, buf_str(&to)) == 0     ? OK
                 : errno == ENOENT && is_there(j, im)  ? OK // it was moved before
                 : errno == ENOENT || errno == ENOTDIR ? ERR_MISSING
                                                       : file_err(errno);
    int cause = errno;
    buf_clear(&j->why);
    if (e != OK)
        file_explain(&j->why, e, cause, buf_str(&to), "cannot name the image");
    buf_free(&to);
    return e;
}

// Moves the images of the record in `found` to their names, where that was not done.
// ERR_MISSING: the record is of no use; others: it cannot be done now.
static enum err settle_images(struct job *j)
{
    const uint8_t *tag = (const uint8_t *)j->found.ptr;
    for (unsigned i = 0; i < j->event.n_images; i++) {
        const struct event_image *im = &j->event.images[i];
        struct buf from;
        if (!name_ok(im->path))
            return ERR_MISSING;
        temp_path(j, tag, i, &from);
        enum err e = from.err ? from.err : settle_image(j, buf_str(&from), im);
        buf_free(&from);
        if (e != OK)
            return e;
    }
    enum err e = sync_dir(j, "images");
    return e == OK ? OK : fail(j, e, "cannot sync images/");
}

// Whether the record in `found` is of this batch and input.
static bool same_job(const struct job *j)
{
    struct record ours, theirs;
    struct span found = {j->found.ptr + TAG, j->found.len - TAG};
    return record_decode(&ours, j->item.record) == OK && record_decode(&theirs, found) == OK &&
           span_equal(ours.nonce, theirs.nonce) && ours.digest == theirs.digest;
}

// --- Storing ---------------------------------------------------------------------------------

static enum err make_folders(struct job *j)
{
    struct buf path;
    enum err e = OK;
    static const char *const names[] = {"images", ".records"};
    for (unsigned i = 0; e == OK && i < 2; i++) {
        final_path(j, span_of(names[i]), &path);
        e = path.err ? path.err : file_mkdirs(buf_str(&path));
        buf_free(&path);
    }
    return e == OK ? OK : fail(j, e, "cannot make the folder");
}

// A file of its own, not a second name of the other's: who changes one in place must not change
// both. What it is read from may be anything by now.
static enum err copy_checked(FILE *from, FILE *to, const struct event_image *im)
{
    struct digest *d = digest_new();
    uint8_t sum[DIGEST_SIZE];
    char part[65536];
    uint64_t bytes = 0;
    size_t n;
    if (!d)
        return ERR_NOMEM;
    bool ok = true;
    while (ok && bytes <= im->bytes && (n = fread(part, 1, sizeof part, from)) > 0) {
        digest_add(d, (struct span){part, n});
        bytes += n;
        ok = fwrite(part, 1, n, to) == n;
    }
    digest_end(d, sum);
    if (!ok || fflush(to) != 0 || fdatasync(fileno(to)) != 0)
        return file_err(errno);
    return bytes == im->bytes && span_equal(im->sha256, (struct span){(char *)sum, sizeof sum})
               ? OK
               : ERR_MISSING;
}

// ERR_MISSING: the image of the other job is not there, or is another one by now.
static enum err copy_image(const struct job *j, const struct event_image *im, const char *path)
{
    struct buf source = {.max = MAX_PATH};
    buf_addf(&source, "%s/%.*s/", j->sink->path, (int)j->item.source->batch.len,
             j->item.source->batch.ptr);
    buf_add(&source, im->path);
    FILE *from = source.err || !name_ok(im->path) ? NULL : fopen(buf_str(&source), "re");
    FILE *to = from ? fopen(path, "wxe") : NULL;
    enum err e = source.err == ERR_NOMEM ? ERR_NOMEM
                 : !from                 ? ERR_MISSING
                 : to                    ? copy_checked(from, to, im)
                                         : file_err(errno);
    int cause = errno;
    if (from)
        fclose(from);
    if (to)
        fclose(to);
    errno = cause;
    buf_free(&source);
    return e;
}

static enum err bring_image(const struct job *j, unsigned i, const char *path)
{
    const struct sink_image *im = &j->item.images[i];
    return im->spool ? spool_link(im->spool, path)
                     : copy_image(j, &j->item.source->images[i], path);
}

static enum err link_images(struct job *j)
{
    enum err e = OK;
    for (unsigned i = 0; e == OK && i < j->item.n_images; i++) {
        struct buf temp;
        temp_path(j, j->tag, i, &temp);
        e = temp.err ? temp.err : bring_image(j, i, buf_str(&temp));
        buf_free(&temp);
    }
    return e == OK ? OK : fail(j, e, "cannot save the image");
}

static void unlink_images(struct job *j)
{
    for (unsigned i = 0; i < j->item.n_images; i++) {
        struct buf temp;
        temp_path(j, j->tag, i, &temp);
        unlink(buf_str(&temp));
        buf_free(&temp);
    }
}

// The record under a name of its own, synced.
static enum err write_record(struct job *j, struct buf *temp)
{
    char hex[2 * TAG + 1];
    digest_hex(j->tag, TAG, hex);
    buf_addf(temp, "%s.%s", buf_str(&j->record_path), hex);
    FILE *f = temp->err ? NULL : fopen(buf_str(temp), "wxe");
    if (!f)
        return temp->err ? temp->err : file_err(errno);
    bool ok = fwrite(j->tag, 1, TAG, f) == TAG &&
              fwrite(j->item.record.ptr, 1, j->item.record.len, f) == j->item.record.len &&
              fflush(f) == 0 && fdatasync(fileno(f)) == 0;
    enum err e = ok ? OK : file_err(errno);
    fclose(f);
    return e;
}

// OK: ours is the record now. ERR_EXISTS: another one was there first, and is in `found`.
static enum err link_record(struct job *j, const char *temp)
{
    for (unsigned i = 0; i < MAX_TRIES; i++) {
        j->linked = link(temp, buf_str(&j->record_path)) == 0;
        if (j->linked)
            return OK;
        if (errno != EEXIST)
            return file_err(errno);
        enum err e = find(j);
        if (e == OK)
            e = same_job(j) ? settle_images(j) : ERR_MISSING;
        if (e != ERR_MISSING && e != ERR_TOOBIG)
            return e == OK ? ERR_EXISTS : e;
        unlink(buf_str(&j->record_path)); // of another batch, or not whole
    }
    return ERR_IO;
}

static enum err keep_record(struct job *j)
{
    struct buf temp = {.max = MAX_PATH};
    enum err e = write_record(j, &temp);
    if (e == OK)
        e = link_record(j, buf_str(&temp));
    int cause = errno;
    unlink(buf_str(&temp));
    errno = cause;
    buf_free(&temp);
    if (e == OK)
        e = sync_dir(j, ".records");
    return e == OK || e == ERR_EXISTS || j->why.len ? e : fail(j, e, "cannot save the record");
}

static void store_work(struct pool_task *t)
{
    struct job *j = (struct job *)t;
    errno = 0;
    j->err = make_folders(j);
    if (j->err == OK)
        j->err = link_images(j);
    if (j->err == OK)
        j->err = keep_record(j);
    if (j->err == OK) {
        j->err = find(j);
        if (j->err == OK)
            j->err = settle_images(j);
        if (j->err != OK && j->why.len == 0)
            fail(j, j->err, "cannot name the images");
        buf_clear(&j->found); // ours: there is nothing to adopt
    } else if (!j->linked) {
        unlink_images(j);
    }
    if (j->err == ERR_EXISTS)
        j->err = OK;
    room_look(&j->room, j->sink->path);
}

static void lookup_work(struct pool_task *t)
{
    struct job *j = (struct job *)t;
    j->err = find(j);
    if (j->err == OK)
        j->err = settle_images(j);
}

// --- The vtable -----------------------------------------------------------------------------

static void job_free(struct job *j)
{
    buf_free(&j->folder);
    buf_free(&j->record_path);
    buf_free(&j->found);
    buf_free(&j->why);
    free(j);
}

static void take_look(struct sink_dir *d, const struct room *r)
{
    uint64_t worst = d->room.worst;
    d->room = *r;
    d->room.worst = worst;
    d->looked_ms = clock_mono_ms();
}

static void job_done(struct pool_task *t)
{
    struct job *j = (struct job *)t;
    struct span record = buf_span(&j->found);
    if (j->room.known)
        take_look(j->sink, &j->room);
    if (j->err == OK && record.len > TAG)
        record = (struct span){record.ptr + TAG, record.len - TAG};
    else
        record = (struct span){0};
    j->done(j->ctx, j->err, record, buf_span(&j->why));
    job_free(j);
}

static enum err begin(struct sink *s, const struct sink_item *item, sink_done *done, void *ctx,
                      void (*work)(struct pool_task *t))
{
    struct sink_dir *d = (struct sink_dir *)s;
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return ERR_NOMEM;
    j->task = (struct pool_task){.work = work, .done = job_done};
    j->sink = d;
    j->item = *item;
    for (unsigned i = 0; i < item->n_images; i++)
        room_saw_image(&d->room, item->images[i].bytes);
    j->done = done;
    j->ctx = ctx;
    j->folder.max = j->record_path.max = MAX_PATH;
    j->found.max = MAX_RECORD;
    j->why.max = MAX_PATH;
    random_bytes(j->tag, TAG);
    buf_addf(&j->folder, "%s/", d->path);
    buf_add(&j->folder, item->batch);
    buf_add(&j->record_path, buf_span(&j->folder));
    buf_addf(&j->record_path, "/.records/%" PRIu32, item->index);
    enum err e = j->folder.err ? j->folder.err : j->record_path.err;
    if (e != OK) {
        job_free(j);
        return e;
    }
    pool_add(d->pool, &j->task);
    return OK;
}

static enum err dir_lookup(struct sink *s, const struct sink_item *item, sink_done *done,
                           void *ctx)
{
    return begin(s, item, done, ctx, lookup_work);
}

static enum err dir_store(struct sink *s, const struct sink_item *item, sink_done *done,
                          void *ctx)
{
    return begin(s, item, done, ctx, store_work);
}

static void look_work(struct pool_task *t)
{
    struct look *l = (struct look *)t;
    room_look(&l->room, l->sink->path);
}

static void look_done(struct pool_task *t)
{
    struct look *l = (struct look *)t;
    l->sink->looking = false;
    take_look(l->sink, &l->room);
    free(l);
}

// A look may hang for as long as a file system does: it is taken on a thread, and what was seen
// last holds meanwhile.
static void look_again(struct sink_dir *d)
{
    struct look *l =
        d->looking || clock_mono_ms() - d->looked_ms < LOOK_MS ? NULL : calloc(1, sizeof *l);
    if (!l)
        return;
    *l = (struct look){{.work = look_work, .done = look_done}, d, d->room};
    d->looking = true;
    pool_add(d->pool, &l->task);
}

static unsigned dir_room(struct sink *s, unsigned busy, unsigned want, bool needed,
                         struct buf *why)
{
    struct sink_dir *d = (struct sink_dir *)s;
    (void)needed;
    look_again(d);
    unsigned n = room_for(&d->room, busy, want);
    if (n == 0 && busy == 0)
        buf_addf(why, "%s: no room for more images: %.1f MB are left; free some room there",
                 d->path, (double)d->room.of.free / 1e6);
    return n;
}

static void dir_place(struct sink *s, struct buf *out, const struct sink_item *item)
{
    buf_addf(out, "dir:%s/", ((struct sink_dir *)s)->path);
    buf_add(out, item->batch);
}

static void dir_free(struct sink *s)
{
    free(((struct sink_dir *)s)->path);
    free(s);
}

static const struct sink_ops dir_ops = {dir_lookup, dir_store, dir_room, dir_place, dir_free};

struct sink *sink_dir_new(struct pool *pool, const char *path)
{
    struct sink_dir *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->base.ops = &dir_ops;
    d->pool = pool;
    d->path = realpath(path, NULL);
    if (!d->path) {
        free(d);
        return NULL;
    }
    room_look(&d->room, d->path);
    d->looked_ms = clock_mono_ms();
    return &d->base;
}
