// file.c - see file.h.
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/digest.h"

struct file_atomic {
    char *path, *temporary;
    bool named; // has the temporary name
    FILE *stream;
};

enum err file_err(int errno_value)
{
    switch (errno_value) {
    case 0: return OK;
    case ENOSPC:
    case EDQUOT: return ERR_FULL;
    case ENOENT: return ERR_MISSING;
    case EEXIST: return ERR_EXISTS;
    case ENOMEM: return ERR_NOMEM;
    default: return ERR_IO;
    }
}

static const char *advice(int errno_value)
{
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT: return "; free some room there";
    case EACCES:
    case EPERM:
    case EROFS: return "; let it be written to";
    default: return "";
    }
}

enum err file_explain(struct buf *why, enum err e, int errno_value, const char *place,
                      const char *what)
{
    if (e == ERR_FULL && errno_value != EDQUOT)
        errno_value = ENOSPC; // whatever came after it
    if (why)
        buf_addf(why, "%s: %s%s%s%s", place, what ? what : "", what ? ": " : "",
                 errno_value ? strerror(errno_value) : err_text(e), advice(errno_value));
    return e;
}

enum err file_mkdirs(const char *path)
{
    char *copy = strdup(path);
    if (!copy)
        return ERR_NOMEM;
    int failed = 0;
    for (char *p = copy + 1; *copy && !failed; p++) {
        bool end = *p == '\0';
        if (*p != '/' && !end)
            continue;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            failed = errno;
        if (end)
            break;
        *p = '/';
    }
    free(copy);
    struct stat st;
    if (!failed && (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)))
        failed = ENOTDIR;
    errno = failed;
    return failed == ENOENT ? ERR_IO : file_err(failed);
}

enum err file_read(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_err(errno);
    ssize_t n = -1;
    for (;;) {
        char part[16384];
        n = read(fd, part, sizeof part);
        if (n <= 0 || out->err)
            break;
        buf_add(out, (struct span){part, (size_t)n});
    }
    int failed = n < 0 ? errno : 0;
    close(fd);
    errno = failed;
    return failed ? file_err(failed) : out->err;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static bool digest_stream(FILE *f, uint8_t sum[static DIGEST_SIZE])
{
    struct buf part = {.max = 65536};
    struct digest *d = digest_new();
    char *room = d ? buf_room(&part, part.max) : NULL;
    for (size_t n; room && (n = fread(room, 1, part.max, f)) > 0;)
        digest_add(d, (struct span){room, n});
    bool read = room && !ferror(f);
    if (read)
        digest_end(d, sum);
    else
        digest_free(d);
    buf_free(&part);
    return read;
}

bool file_has(const char *path, uint64_t bytes, struct span sha256)
{
    uint8_t sum[DIGEST_SIZE];
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != bytes)
        return false;
    FILE *f = fopen(path, "re");
    bool read = f && digest_stream(f, sum);
    if (f)
        fclose(f);
    return read && span_equal(sha256, (struct span){(const char *)sum, sizeof sum});
}

enum err file_look(const char *path, struct file_room *out)
{
    struct statvfs s;
    if (statvfs(path, &s) != 0)
        return file_err(errno);
    *out = (struct file_room){.free = (uint64_t)s.f_bavail * s.f_frsize,
                              .size = (uint64_t)s.f_blocks * s.f_frsize,
                              .files = s.f_files ? s.f_favail : UINT64_MAX};
    return OK;
}

enum err file_sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_err(errno);
    int failed = fsync(fd) != 0 && errno != EINVAL ? errno : 0;
    close(fd);
    errno = failed;
    return file_err(failed);
}

// The folder of `path`, which the caller frees.
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static enum err sync_folder_of(const char *path)
{
    char *folder = folder_of(path);
    enum err e = folder ? file_sync_dir(folder) : ERR_NOMEM;
    free(folder);
    return e;
}

static void atomic_free(struct file_atomic *f)
{
    int kept = errno;
    if (f->stream)
        fclose(f->stream);
    free(f->path);
    free(f->temporary);
    free(f);
    errno = kept;
}

static int open_temporary(struct file_atomic *f)
{
    char *folder = folder_of(f->path);
    int fd = folder && file_exists("/proc/self/fd")
                 ? open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600)
                 : -1;
    free(folder);
    if (fd < 0) {
        fd = open(f->temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        f->named = fd >= 0;
    }
    return fd;
}

static bool give_name(struct file_atomic *f)
{
    char from[40];
    snprintf(from, sizeof from, "/proc/self/fd/%d", fileno(f->stream));
    if (!f->named)
        f->named = linkat(AT_FDCWD, from, AT_FDCWD, f->temporary, AT_SYMLINK_FOLLOW) == 0;
    return f->named && rename(f->temporary, f->path) == 0;
}

enum err file_atomic_open(const char *path, struct file_atomic **out)
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash - path) + 1 : 0;
    uint64_t random;
    struct file_atomic *f = calloc(1, sizeof *f);
    if (!f)
        return ERR_NOMEM;
    random_bytes(&random, sizeof random);
    f->path = strdup(path);
    if (!f->path || asprintf(&f->temporary, "%.*s.%.200s.%ld.%016" PRIx64 ".tmp", (int)folder,
                             path, path + folder, (long)getpid(), random) < 0) {
        f->temporary = NULL;
        atomic_free(f);
        return ERR_NOMEM;
    }
    int fd = open_temporary(f);
    if (fd >= 0 && (fchmod(fd, 0644) != 0 || !(f->stream = fdopen(fd, "w")))) {
        int kept = errno;
        close(fd);
        errno = kept;
    }
    if (!f->stream) {
        enum err e = file_err(errno);
        file_atomic_abort(f);
        return e;
    }
    *out = f;
    return OK;
}

FILE *file_atomic_stream(struct file_atomic *f)
{
    return f->stream;
}

enum err file_atomic_commit(struct file_atomic *f)
{
    int failed = 0;
    if (ferror(f->stream))
        failed = errno ? errno : EIO;
    else if (fflush(f->stream) != 0 || fsync(fileno(f->stream)) != 0 || !give_name(f))
        failed = errno;
    if (failed) {
        errno = failed;
        file_atomic_abort(f);
        return file_err(failed);
    }
    enum err e = sync_folder_of(f->path);
    atomic_free(f);
    return e;
}

void file_atomic_abort(struct file_atomic *f)
{
    if (!f)
        return;
    int kept = errno;
    if (f->named)
        unlink(f->temporary);
    errno = kept;
    atomic_free(f);
}

enum err file_write(const char *path, struct span bytes)
{
    struct file_atomic *f;
    enum err e = file_atomic_open(path, &f);
    if (e != OK)
        return e;
    fwrite(bytes.ptr ? bytes.ptr : "", 1, bytes.len, f->stream);
    return file_atomic_commit(f);
}

enum err file_link(const char *from, const char *to)
{
    return link(from, to) == 0 ? OK : file_err(errno);
}
