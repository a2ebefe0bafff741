// spool.c - see spool.h.
#include "worker/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"

#define PART 16384 // bytes that gather before they are written

struct spool {
    const char *dir; // borrowed
    int fd;
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

static enum err flush(struct spool *s)
{
    if (s->fd < 0)
        s->fd = open(s->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
    if (s->fd < 0)
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

enum err spool_link(const struct spool *s, const char *path)
{
    char from[40];
    snprintf(from, sizeof from, "/proc/self/fd/%d", s->fd);
    return linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ? OK : file_err(errno);
}
