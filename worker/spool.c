// spool.c - see spool.h.
#include "worker/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"

#define PART 16384 // bytes that gather before they are written

struct spool {
    struct spool_place *place; // borrowed
    int fd;
    bool copied;                  // cannot be linked
    uint64_t memory;              // bytes of the file, if that is in memory
    uint64_t bytes, max, flushed; // flushed: that are in the file
    struct digest *digest;
    uint8_t sum[DIGEST_SIZE];
    uint8_t head[SPOOL_HEAD];
    uint8_t *part; // only while bytes arrive
    size_t n;
};

struct spool *spool_new(struct spool_place *place, uint64_t max_bytes)
{
    struct spool *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->place = place;
    s->fd = -1;
    s->max = max_bytes;
    s->digest = digest_new();
    s->part = malloc(PART);
    if (!s->digest || !s->part) {
        spool_free(s);
        return NULL;
    }
    return s;
}

void spool_free(struct spool *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    s->place->in_memory -= s->memory;
    digest_free(s->digest);
    free(s->part);
    free(s);
}

// File systems without O_TMPFILE get a file whose name goes at once.
static bool open_file(struct spool *s)
{
    s->fd = open(s->place->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
    if (s->fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return s->fd >= 0;
    struct buf path = {.max = 4096};
    buf_addf(&path, "%s/.spool-XXXXXX", s->place->dir);
    s->fd = path.err ? -1 : mkostemp(path.ptr, O_CLOEXEC);
    if (s->fd >= 0) {
        unlink(path.ptr);
        s->copied = true;
    }
    buf_free(&path);
    return s->fd >= 0;
}

// False: errno says why. What was written of the part stays written.
static bool write_part(struct spool *s, size_t *done)
{
    while (*done < s->n) {
        ssize_t n = write(s->fd, s->part + *done, s->n - *done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        *done += (size_t)n;
    }
    return true;
}

// Copies the whole of `from`, n bytes, to where `to` stands.
static bool copy_bytes(int to, int from, uint64_t n)
{
    off_t at = 0;
    ssize_t got = 1;
    while ((uint64_t)at < n && got > 0)
        got = sendfile(to, from, &at, (size_t)(n - (uint64_t)at));
    return (uint64_t)at == n;
}

// The file goes on in memory; `written` bytes of it were in the old one.
static bool move_to_memory(struct spool *s, uint64_t written)
{
    int fd = memfd_create("image", MFD_CLOEXEC), why = errno;
    if (fd < 0 || (s->fd >= 0 && !copy_bytes(fd, s->fd, written))) {
        if (fd >= 0)
            close(fd);
        errno = why;
        return false;
    }
    if (s->place->in_memory == 0)
        log_warn("answers are kept in memory", "spool=" LOGQ " why=" LOGQ, s->place->dir,
                 strerror(why));
    if (s->fd >= 0)
        close(s->fd);
    s->fd = fd;
    s->copied = true;
    return true;
}

// Takes room for n bytes more in memory.
static bool hold_memory(struct spool *s, uint64_t n)
{
    struct spool_place *p = s->place;
    if (p->max_memory - p->in_memory < n)
        return false;
    p->in_memory += n;
    s->memory += n;
    return true;
}

static bool flush_to_memory(struct spool *s, size_t done)
{
    uint64_t written = s->flushed + done;
    int why = errno;
    if (!s->memory && (!hold_memory(s, written + s->n - done) || !move_to_memory(s, written))) {
        errno = why;
        return false;
    }
    return write_part(s, &done);
}

static enum err flush(struct spool *s)
{
    size_t done = 0;
    bool ok = s->memory ? hold_memory(s, s->n) : s->fd >= 0 || open_file(s);
    if (!ok && s->memory)
        errno = ENOSPC;
    ok = ok && write_part(s, &done);
    if (!ok && !s->memory)
        ok = flush_to_memory(s, done);
    if (!ok)
        return errno ? file_err(errno) : ERR_IO;
    s->flushed += s->n;
    s->n = 0;
    return OK;
}

enum err spool_add(struct spool *s, const uint8_t *bytes, size_t n)
{
    if (n > s->max - s->bytes)
        return ERR_TOOBIG;
    for (size_t i = 0; s->bytes + i < SPOOL_HEAD && i < n; i++)
        s->head[s->bytes + i] = bytes[i];
    digest_add(s->digest, (struct span){(const char *)bytes, n});
    s->bytes += n;
    while (n > 0) {
        size_t k = PART - s->n < n ? PART - s->n : n;
        memcpy(s->part + s->n, bytes, k);
        s->n += k;
        bytes += k;
        n -= k;
        if (s->n == PART) {
            enum err e = flush(s);
            if (e != OK)
                return e;
        }
    }
    return OK;
}

enum err spool_end(struct spool *s)
{
    enum err e = s->n ? flush(s) : OK;
    if (e != OK)
        return e;
    if (s->digest)
        digest_end(s->digest, s->sum);
    s->digest = NULL;
    free(s->part);
    s->part = NULL;
    return OK;
}

uint64_t spool_bytes(const struct spool *s)
{
    return s->bytes;
}

struct span spool_head(const struct spool *s)
{
    return (struct span){(const char *)s->head,
                         s->bytes < SPOOL_HEAD ? (size_t)s->bytes : SPOOL_HEAD};
}

const uint8_t *spool_digest(const struct spool *s)
{
    return s->sum;
}

int spool_fd(const struct spool *s)
{
    return s->fd;
}

FILE *spool_open(const struct spool *s)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", s->fd);
    return s->fd < 0 ? NULL : fopen(path, "re");
}

// Beside the name first, so that only whole files have names.
static enum err copy_to(const struct spool *s, const char *temp)
{
    int to = open(temp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    if (to < 0)
        return file_err(errno);
    bool ok = copy_bytes(to, s->fd, s->bytes) && fsync(to) == 0;
    enum err e = ok ? OK : file_err(errno);
    close(to);
    return e;
}

static enum err link_copy(const struct spool *s, const char *path)
{
    struct buf temp = {.max = 4096};
    uint64_t random;
    random_bytes(&random, sizeof random);
    buf_addf(&temp, "%s.%016" PRIx64 ".tmp", path, random);
    enum err e = temp.err ? temp.err : copy_to(s, buf_str(&temp));
    if (e == OK)
        e = file_link(buf_str(&temp), path);
    int why = errno;
    unlink(buf_str(&temp));
    errno = why;
    buf_free(&temp);
    return e;
}

enum err spool_link(struct spool *s, const char *path)
{
    char from[40];
    if (s->copied)
        return link_copy(s, path);
    if (fsync(s->fd) != 0) {
        s->copied = true;
        return file_err(errno);
    }
    snprintf(from, sizeof from, "/proc/self/fd/%d", s->fd);
    if (linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
        return OK;
    // ENOENT: it had a name, which was taken away again, and the kernel gives no second one.
    return errno == EXDEV || errno == ENOENT ? link_copy(s, path) : file_err(errno);
}
