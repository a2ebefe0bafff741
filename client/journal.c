#include "client/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/file.h"

#define HEAD 8

static void put32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> (24 - 8 * i));
}

static uint32_t get32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

// Reads n bytes at an offset. ERR_FORMAT: the file ends before.
static enum err read_at(int fd, uint64_t at, char *to, size_t n)
{
    while (n > 0) {
        ssize_t got = pread(fd, to, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_err(errno);
        if (got == 0)
            return ERR_FORMAT;
        to += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return OK;
}

static enum err read_record(int fd, uint64_t at, uint32_t *tag, struct buf *record)
{
    unsigned char head[HEAD];
    enum err e = read_at(fd, at, (char *)head, HEAD);
    if (e != OK)
        return e;
    *tag = get32(head);
    uint32_t n = get32(head + 4);
    buf_clear(record);
    if (n > JOURNAL_MAX_RECORD)
        return ERR_FORMAT;
    char *room = buf_room(record, n);
    if (!room)
        return record->err;
    e = read_at(fd, at + HEAD, room, n);
    if (e == OK)
        buf_added(record, n);
    return e;
}

static enum err replay(struct journal *j, journal_seen *seen, void *ctx)
{
    struct buf record = {.max = JOURNAL_MAX_RECORD + 1};
    uint32_t tag;
    enum err e;
    while ((e = read_record(j->fd, j->end, &tag, &record)) == OK) {
        e = seen(ctx, tag, j->end, buf_span(&record));
        if (e != OK)
            break;
        j->end += HEAD + record.len;
    }
    buf_free(&record);
    if (e != ERR_FORMAT)
        return e;
    return ftruncate(j->fd, (off_t)j->end) == 0 ? OK : file_err(errno); // a torn end
}

enum err journal_open(struct journal *j, const char *path, journal_seen *seen, void *ctx)
{
    *j = (struct journal){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666)};
    if (j->fd < 0)
        return file_err(errno);
    enum err e = replay(j, seen, ctx);
    if (e != OK)
        journal_close(j);
    return e;
}

void journal_close(struct journal *j)
{
    if (j->fd >= 0)
        close(j->fd);
    j->fd = -1;
}

// A record that could not be written whole is cut off again, so that the next one finds its
// place.
static enum err undo(struct journal *j, int failed)
{
    if (ftruncate(j->fd, (off_t)j->end) != 0)
        return ERR_IO;
    errno = failed;
    return file_err(failed);
}

enum err journal_add(struct journal *j, uint32_t tag, struct span record, uint64_t *at)
{
    unsigned char head[HEAD];
    char *bytes = (char *)(uintptr_t)record.ptr; // struct iovec knows no const
    struct iovec parts[2] = {{head, HEAD}, {bytes, record.len}};
    if (record.len > JOURNAL_MAX_RECORD)
        return ERR_TOOBIG;
    put32(head, tag);
    put32(head + 4, (uint32_t)record.len);
    ssize_t n = pwritev(j->fd, parts, 2, (off_t)j->end);
    if (n < 0)
        return undo(j, errno);
    if ((size_t)n != HEAD + record.len) // regular files are only cut short by a full disk
        return undo(j, ENOSPC);
    *at = j->end;
    j->end += (uint64_t)n;
    return OK;
}

enum err journal_clear(struct journal *j)
{
    if (ftruncate(j->fd, 0) != 0)
        return file_err(errno);
    j->end = 0;
    return OK;
}

bool journal_is_gone(const struct journal *j)
{
    struct stat st;
    return fstat(j->fd, &st) == 0 && st.st_nlink == 0;
}

enum err journal_read(const struct journal *j, uint64_t at, struct buf *record)
{
    uint32_t tag;
    return read_record(j->fd, at, &tag, record);
}
