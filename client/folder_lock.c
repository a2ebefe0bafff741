// folder_lock.c - see folder_lock.h.
#include "client/folder_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/child.h"
#include "common/clock.h"
#include "common/file.h"

#define NAP_MS 50

struct folder_lock {
    char *place, *path; // DIR/.genfarm, and the file in it
    int fd;
};

// Whether the file that is locked is still the one that others would open.
static bool still_named(const struct folder_lock *l)
{
    struct stat ours, theirs;
    return fstat(l->fd, &ours) == 0 && stat(l->path, &theirs) == 0 &&
           ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

static void close_file(struct folder_lock *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

static bool no_locks(int errno_value)
{
    return errno_value == ENOSYS || errno_value == EOPNOTSUPP || errno_value == ENOLCK;
}

// ERR_BUSY: another has it, or has just removed it. Who ends removes file and folder, so that
// both may have to be made again.
static enum err try(struct folder_lock *l)
{
    enum err e = file_mkdirs(l->place);
    if (e != OK)
        return e;
    l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (l->fd < 0)
        return errno == ENOENT ? ERR_BUSY : file_err(errno);
    if (flock(l->fd, LOCK_EX | LOCK_NB) == 0)
        e = still_named(l) ? OK : ERR_BUSY;
    else if (!no_locks(errno))
        e = errno == EWOULDBLOCK || errno == EINTR ? ERR_BUSY : file_err(errno);
    if (e != OK) {
        int cause = errno;
        close_file(l);
        errno = cause;
    }
    return e;
}

static void sign(const struct folder_lock *l, const char *doing)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%ld %.20s\n", (long)getpid(), doing);
    if (ftruncate(l->fd, 0) == 0)
        (void)!pwrite(l->fd, text, (size_t)n, 0); // for people only
}

static enum err tell_holder(const struct folder_lock *l, const char *dir, const char *batch,
                            struct buf *why)
{
    struct buf text = {.max = 64};
    char doing[24] = "run";
    long pid = 0;
    if (file_read(l->path, &text) == OK && text.len > 0) {
        char *end;
        pid = strtol(buf_str(&text), &end, 10);
        if (*end == ' ')
            snprintf(doing, sizeof doing, "%.*s", (int)strcspn(end + 1, "\n"), end + 1);
    }
    buf_free(&text);
    if (pid > 0)
        buf_addf(why, "%s/%s is being %s by process %ld", dir, batch, doing, pid);
    else
        buf_addf(why, "%s/%s is being run by another process", dir, batch);
    return ERR_BUSY;
}

static void explain(enum err e, int cause, const char *dir, const char *batch, struct buf *why)
{
    struct buf place = {.max = 8192};
    buf_addf(&place, "%s/%s", dir, batch);
    file_explain(why, e, cause, buf_str(&place), "cannot be locked");
    buf_free(&place);
}

static enum err take(struct folder_lock *l, int64_t wait_ms)
{
    enum err e;
    for (int64_t end = clock_mono_ms() + wait_ms;; child_nap(NAP_MS)) {
        e = try(l);
        if (e != ERR_BUSY || clock_mono_ms() >= end)
            return e;
    }
}

enum err folder_lock_take(const char *dir, const char *batch, const char *doing,
                          int64_t wait_ms, struct folder_lock **out, struct buf *why)
{
    struct folder_lock *l = calloc(1, sizeof *l);
    if (!l)
        return ERR_NOMEM;
    l->fd = -1;
    if (asprintf(&l->place, "%s/.genfarm", dir) < 0)
        l->place = NULL;
    if (!l->place || asprintf(&l->path, "%s/.%s.lock", l->place, batch) < 0)
        l->path = NULL;
    enum err e = l->path ? take(l, wait_ms) : ERR_NOMEM;
    if (e == OK) {
        sign(l, doing);
        *out = l;
        return OK;
    }
    if (e == ERR_BUSY)
        tell_holder(l, dir, batch, why);
    else if (l->path)
        explain(e, errno, dir, batch, why);
    folder_lock_free(l);
    return e;
}

int folder_lock_fd(const struct folder_lock *l)
{
    return l ? l->fd : -1;
}

void folder_lock_free(struct folder_lock *l)
{
    if (!l)
        return;
    if (l->fd >= 0) {
        unlink(l->path); // while it is locked: nobody else's
        rmdir(l->place); // when no other run is there
    }
    close_file(l);
    free(l->place);
    free(l->path);
    free(l);
}
