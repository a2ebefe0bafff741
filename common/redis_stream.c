// redis_stream.c - see redis_stream.h.
#include "common/redis_stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "common/redis_io.h"
#include "common/redis_wire.h"

#define MAX_OUT   (512u << 20) // bytes waiting to be written
#define READ_SIZE 65536

static void broken(struct redis_stream *s, enum err e, const char *what)
{
    s->hooks->broken(s->hooks->ctx, e, what);
}

static void watch(struct redis_stream *s, bool write)
{
    int fd = redis_io_fd(s->io);
    if (s->readable.fd != fd || !ev_is_active(&s->readable)) {
        ev_io_stop(s->loop, &s->readable);
        ev_io_stop(s->loop, &s->writable);
        ev_io_set(&s->readable, fd, EV_READ);
        ev_io_set(&s->writable, fd, EV_WRITE);
        ev_io_start(s->loop, &s->readable);
    }
    if (write)
        ev_io_start(s->loop, &s->writable);
    else
        ev_io_stop(s->loop, &s->writable);
}

// --- Writing --------------------------------------------------------------------------------

static void write_out(struct redis_stream *s)
{
    while (s->written < s->out.len) {
        ssize_t n = redis_io_write(s->io, s->out.ptr + s->written, s->out.len - s->written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            watch(s, true);
            return;
        }
        if (n <= 0) {
            broken(s, ERR_NET, n < 0 ? strerror(errno) : "the connection was closed");
            return;
        }
        s->written += (size_t)n;
    }
    s->written = 0;
    if (s->out.cap > 4u << 20)
        buf_free(&s->out);
    else
        buf_clear(&s->out);
    watch(s, false);
}

static void on_flush(struct ev_loop *loop, ev_prepare *w, int revents)
{
    (void)revents;
    struct redis_stream *s = w->data;
    ev_prepare_stop(loop, w);
    if (!s->reader || ev_is_active(&s->writable))
        return;
    life_enter(s->life);
    write_out(s);
    life_leave(s->life);
}

void redis_stream_said(struct redis_stream *s)
{
    if (!ev_is_active(&s->flush))
        ev_prepare_start(s->loop, &s->flush);
}

// --- Reading --------------------------------------------------------------------------------

// Takes replies out of the reader while there are whole ones.
static void take_replies(struct redis_stream *s)
{
    void *reply;
    while (!s->life->over && s->reader && redisReaderGetReply(s->reader, &reply) == REDIS_OK &&
           reply) {
        s->hooks->reply(s->hooks->ctx, reply);
        freeReplyObject(reply);
    }
    if (s->life->over || !s->reader)
        return;
    if (s->reader->err)
        broken(s, ERR_FORMAT, s->reader->errstr);
    else
        s->hooks->idle(s->hooks->ctx);
}

static void read_some(struct redis_stream *s)
{
    static char part[READ_SIZE]; // only within this function
    for (int rounds = 0; rounds < 16; rounds++) {
        ssize_t n = redis_io_read(s->io, part, sizeof part);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n <= 0) {
            broken(s, ERR_NET, n < 0 ? strerror(errno) : "the server closed the connection");
            return;
        }
        if (redisReaderFeed(s->reader, part, (size_t)n) != REDIS_OK) {
            broken(s, ERR_NOMEM, "out of memory");
            return;
        }
        if ((size_t)n < sizeof part)
            break;
    }
    take_replies(s);
}

// --- Connecting -----------------------------------------------------------------------------

static void go_on_connecting(struct redis_stream *s)
{
    enum err e = redis_io_connect(s->io, s->why);
    if (e == ERR_BUSY) {
        watch(s, redis_io_wants_write(s->io));
        return;
    }
    if (e == OK && !(s->reader = redis_wire_reader()))
        broken(s, ERR_NOMEM, "out of memory");
    if (e != OK)
        broken(s, e, NULL);
    if (!s->reader)
        return;
    s->reader->maxbuf = 0;
    watch(s, false);
    s->hooks->connected(s->hooks->ctx);
}

static void on_io(struct redis_stream *s, bool writable)
{
    life_enter(s->life);
    if (!s->reader)
        go_on_connecting(s);
    else if (writable)
        write_out(s);
    else
        read_some(s);
    life_leave(s->life);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop, (void)revents;
    on_io(w->data, false);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop, (void)revents;
    on_io(w->data, true);
}

void redis_stream_init(struct redis_stream *s, struct ev_loop *loop,
                       const struct redis_stream_hooks *hooks, struct life *life,
                       struct buf *why)
{
    *s = (struct redis_stream){.loop = loop, .hooks = hooks, .life = life, .why = why};
    s->out.max = MAX_OUT;
    ev_init(&s->readable, on_readable);
    ev_init(&s->writable, on_writable);
    ev_prepare_init(&s->flush, on_flush);
    s->readable.data = s->writable.data = s->flush.data = s;
}

enum err redis_stream_open(struct redis_stream *s, const struct redis_url *u,
                           const struct redis_host *at, const char *ca_file)
{
    enum err e = redis_io_open(u, at, ca_file, s->why, &s->io);
    if (e == OK)
        watch(s, true);
    return e;
}

void redis_stream_close(struct redis_stream *s)
{
    ev_io_stop(s->loop, &s->readable);
    ev_io_stop(s->loop, &s->writable);
    ev_prepare_stop(s->loop, &s->flush);
    redis_io_close(s->io);
    s->io = NULL;
    if (s->reader)
        redisReaderFree(s->reader);
    s->reader = NULL;
    buf_free(&s->out);
    s->written = 0;
}

bool redis_stream_poll(const struct redis_stream *s, struct pollfd *out)
{
    if (!s->io)
        return false;
    bool write = ev_is_active(&s->writable) || s->out.len > s->written;
    *out = (struct pollfd){.fd = redis_io_fd(s->io),
                           .events = (short)(POLLIN | (write ? POLLOUT : 0))};
    return true;
}
