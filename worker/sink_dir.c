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
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/digest.h"
#include "worker/sink_dir_private.h"

#define LOOK_MS 1000 // that what was seen of the file system holds

struct look { // at the file system
    struct pool_task task;
    struct sink_dir *sink;
    struct room room;
};

static void job_free(struct sink_dir_job *j)
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
    struct sink_dir_job *j = (struct sink_dir_job *)t;
    struct span record = buf_span(&j->found);
    if (j->room.known)
        take_look(j->sink, &j->room);
    if (j->err == OK && record.len > SINK_DIR_TAG)
        record = (struct span){record.ptr + SINK_DIR_TAG, record.len - SINK_DIR_TAG};
    else
        record = (struct span){0};
    j->done(j->ctx, j->err, record, buf_span(&j->why));
    job_free(j);
}

static enum err begin(struct sink *s, const struct sink_item *item, sink_done *done, void *ctx,
                      void (*work)(struct pool_task *t))
{
    struct sink_dir *d = (struct sink_dir *)s;
    struct sink_dir_job *j = calloc(1, sizeof *j);
    if (!j)
        return ERR_NOMEM;
    j->task = (struct pool_task){.work = work, .done = job_done};
    j->sink = d;
    j->item = *item;
    for (unsigned i = 0; i < item->n_images; i++)
        room_saw_image(&d->room, item->images[i].bytes);
    j->done = done;
    j->ctx = ctx;
    j->folder.max = j->record_path.max = SINK_DIR_PATH;
    j->found.max = SINK_DIR_RECORD;
    j->why.max = SINK_DIR_PATH;
    random_bytes(j->tag, SINK_DIR_TAG);
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
    return begin(s, item, done, ctx, sink_dir_lookup);
}

static enum err dir_store(struct sink *s, const struct sink_item *item, sink_done *done,
                          void *ctx)
{
    return begin(s, item, done, ctx, sink_dir_store);
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
