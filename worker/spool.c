// spool.c - see spool.h.
#include "worker/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "common/file.h"

#define PART 16384 // bytes that gather before they are written

struct spool {
    const char *dir; // borrowed
    int fd;
    bool named; // had a name once, so that it cannot be linked
    uint64_t bytes, max;
    struct digest *digest;
    uint8_t sum[DIGEST_SIZE];
    uint8_t head[SPOOL_HEAD];
    uint8_t *part; // only while bytes arrive
    size_t n;
};

struct spool *spool_new(const char *dir, uint64_t max_bytes)
{
    struct spool *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->dir = dir;
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
    digest_free(s->digest);
    free(s->part);
    free(s);
}

// File systems without O_TMPFILE get a file whose name goes at once.
static bool open_file(struct spool *s)
{
    s->fd = open(s->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
    if (s->fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return s->fd >= 0;
    struct buf path = {.max = 4096};
    buf_addf(&path, "%s/.spool-XXXXXX", s->dir);
    s->fd = path.err ? -1 : mkostemp(path.ptr, O_CLOEXEC);
    if (s->fd >= 0) {
        unlink(path.ptr);
        s->named = true;
    }
    buf_free(&path);
    return s->fd >= 0;
}

static enum err flush(struct spool *s)
{
    if (s->fd < 0 && !open_file(s))
        return file_err(errno);
    for (size_t done = 0; done < s->n;) {
        ssize_t n = write(s->fd, s->part + done, s->n - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? file_err(errno) : ERR_IO;
        done += (size_t)n;
    }
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

enum err spool_sync(const struct spool *s)
{
    return fsync(s->fd) == 0 ? OK : file_err(errno);
}

// On another file system the bytes are copied: beside the name first, so that only whole files
// have names.
static enum err copy_to(const struct spool *s, const char *temp)
{
    int to = open(temp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    if (to < 0)
        return file_err(errno);
    off_t at = 0;
    ssize_t n = 1;
    while ((uint64_t)at < s->bytes && n > 0)
        n = sendfile(to, s->fd, &at, (size_t)(s->bytes - (uint64_t)at));
    enum err e = (uint64_t)at == s->bytes && fsync(to) == 0 ? OK : file_err(errno);
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
    unlink(buf_str(&temp));
    buf_free(&temp);
    return e;
}

enum err spool_link(const struct spool *s, const char *path)
{
    char from[40];
    snprintf(from, sizeof from, "/proc/self/fd/%d", s->fd);
    if (linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
        return OK;
    return errno == EXDEV || (errno == ENOENT && s->named) ? link_copy(s, path)
                                                           : file_err(errno);
}
