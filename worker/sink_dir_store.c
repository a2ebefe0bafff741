// sink_dir_store.c - what is done on a thread for one job: its images are linked, its record,
// and then the images get their names; or the record that is there is found. See sink_dir.c.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/file.h"
#include "worker/sink_dir_private.h"
#include "worker/spool.h"

#define MAX_TRIES 3 // at replacing a record of another batch

// --- Paths -----------------------------------------------------------------------------------

static void temp_path(const struct sink_dir_job *j, const uint8_t tag[SINK_DIR_TAG],
                      unsigned image, struct buf *out)
{
    char hex[2 * SINK_DIR_TAG + 1];
    digest_hex(tag, SINK_DIR_TAG, hex);
    *out = (struct buf){.max = SINK_DIR_PATH};
    buf_addf(out, "%s.%s.%u", buf_str(&j->record_path), hex, image);
}

static void final_path(const struct sink_dir_job *j, struct span name, struct buf *out)
{
    *out = (struct buf){.max = SINK_DIR_PATH};
    buf_add(out, buf_span(&j->folder));
    buf_add_byte(out, '/');
    buf_add(out, name);
}

static enum err fail(struct sink_dir_job *j, enum err e, const char *what)
{
    int cause = errno;
    buf_clear(&j->why);
    return file_explain(&j->why, e, cause, buf_str(&j->folder), what);
}

static enum err sync_dir(const struct sink_dir_job *j, const char *name)
{
    struct buf path;
    final_path(j, span_of(name), &path);
    enum err e = path.err ? path.err : file_sync_dir(buf_str(&path));
    buf_free(&path);
    return e;
}

// --- Records ---------------------------------------------------------------------------------

// Reads the record that is there; ERR_MISSING also for one that is not whole.
static enum err find(struct sink_dir_job *j)
{
    struct record r;
    buf_clear(&j->found);
    enum err e = file_read(buf_str(&j->record_path), &j->found);
    if (e != OK)
        return e;
    struct span bytes = buf_span(&j->found);
    if (bytes.len < SINK_DIR_TAG)
        return ERR_MISSING;
    bytes.ptr += SINK_DIR_TAG;
    bytes.len -= SINK_DIR_TAG;
    return record_decode(&r, bytes) == OK && event_decode(&j->event, r.event) == OK
               ? OK
               : ERR_MISSING;
}

// Whatever lay there before may have the size by chance.
static bool is_there(const struct sink_dir_job *j, const struct event_image *im)
{
    struct buf path;
    final_path(j, im->path, &path);
    bool there = !path.err && file_has(buf_str(&path), im->bytes, im->sha256);
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
static enum err settle_image(struct sink_dir_job *j, const char *from,
                             const struct event_image *im)
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
static enum err settle_images(struct sink_dir_job *j)
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
static bool same_job(const struct sink_dir_job *j)
{
    struct record ours, theirs;
    struct span found = {j->found.ptr + SINK_DIR_TAG, j->found.len - SINK_DIR_TAG};
    return record_decode(&ours, j->item.record) == OK && record_decode(&theirs, found) == OK &&
           span_equal(ours.nonce, theirs.nonce) && ours.digest == theirs.digest;
}

// --- Storing ---------------------------------------------------------------------------------

static enum err make_folders(struct sink_dir_job *j)
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
static enum err copy_image(const struct sink_dir_job *j, const struct event_image *im,
                           const char *path)
{
    struct buf source = {.max = SINK_DIR_PATH};
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

static enum err bring_image(const struct sink_dir_job *j, unsigned i, const char *path)
{
    const struct sink_image *im = &j->item.images[i];
    return im->spool ? spool_link(im->spool, path)
                     : copy_image(j, &j->item.source->images[i], path);
}

static enum err link_images(struct sink_dir_job *j)
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

static void unlink_images(struct sink_dir_job *j)
{
    for (unsigned i = 0; i < j->item.n_images; i++) {
        struct buf temp;
        temp_path(j, j->tag, i, &temp);
        unlink(buf_str(&temp));
        buf_free(&temp);
    }
}

// The record under a name of its own, synced.
static enum err write_record(struct sink_dir_job *j, struct buf *temp)
{
    char hex[2 * SINK_DIR_TAG + 1];
    digest_hex(j->tag, SINK_DIR_TAG, hex);
    buf_addf(temp, "%s.%s", buf_str(&j->record_path), hex);
    FILE *f = temp->err ? NULL : fopen(buf_str(temp), "wxe");
    if (!f)
        return temp->err ? temp->err : file_err(errno);
    bool ok = fwrite(j->tag, 1, SINK_DIR_TAG, f) == SINK_DIR_TAG &&
              fwrite(j->item.record.ptr, 1, j->item.record.len, f) == j->item.record.len &&
              fflush(f) == 0 && fdatasync(fileno(f)) == 0;
    enum err e = ok ? OK : file_err(errno);
    fclose(f);
    return e;
}

// Does what was left undone of the record that is there. ERR_MISSING, ERR_TOOBIG: it is of
// another batch, or not whole.
static enum err adopt(struct sink_dir_job *j)
{
    enum err e = find(j);
    return e != OK ? e : same_job(j) ? settle_images(j) : ERR_MISSING;
}

static bool is_stale(enum err e)
{
    return e == ERR_MISSING || e == ERR_TOOBIG;
}

static bool is_named(int fd, const char *path)
{
    struct stat of, named;
    return fstat(fd, &of) == 0 && stat(path, &named) == 0 && of.st_dev == named.st_dev &&
           of.st_ino == named.st_ino;
}

// Removes a record that is of no use, and never one that another writer has put in its place
// meanwhile: who removes one holds its lock, so that its name stays what was looked at. OK:
// there is none now, or another; ERR_EXISTS: it is of use after all.
static enum err remove_stale(struct sink_dir_job *j)
{
    const char *path = buf_str(&j->record_path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? OK : file_err(errno);
    enum err e = flock(fd, LOCK_EX) == 0 ? OK : file_err(errno);
    if (e == OK && is_named(fd, path)) {
        e = adopt(j);
        if (is_stale(e))
            e = unlink(path) == 0 ? OK : file_err(errno);
        else if (e == OK)
            e = ERR_EXISTS;
    }
    int cause = errno;
    close(fd);
    errno = cause;
    return e;
}

// OK: ours is the record now. ERR_EXISTS: another one was there first, and is in `found`.
static enum err link_record(struct sink_dir_job *j, const char *temp)
{
    for (unsigned i = 0; i < MAX_TRIES; i++) {
        j->linked = link(temp, buf_str(&j->record_path)) == 0;
        if (j->linked)
            return OK;
        if (errno != EEXIST)
            return file_err(errno);
        enum err e = adopt(j);
        if (!is_stale(e))
            return e == OK ? ERR_EXISTS : e;
        e = remove_stale(j);
        if (e != OK)
            return e;
    }
    return ERR_IO;
}

static enum err keep_record(struct sink_dir_job *j)
{
    struct buf temp = {.max = SINK_DIR_PATH};
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

void sink_dir_store(struct pool_task *t)
{
    struct sink_dir_job *j = (struct sink_dir_job *)t;
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

void sink_dir_lookup(struct pool_task *t)
{
    struct sink_dir_job *j = (struct sink_dir_job *)t;
    j->err = find(j);
    if (j->err == OK)
        j->err = settle_images(j);
}
