// server.c - see server.h.
#include "emulator/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "emulator/call.h"
#include "emulator/listener.h"

#define BODY_MAX    (100u << 20) // bytes of a request
#define CONNECTIONS 60000u
#define FILES_SPARE 64u         // descriptors that are no connections
#define POOL        (64u << 10) // bytes a connection: half of it is what one send carries

struct server {
    struct desk desk;
    struct MHD_Daemon *daemon;
    int fd;
    uint16_t port;
};

static int socket_of(struct MHD_Connection *c)
{
    return MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

static struct call *call_new(struct server *s, struct MHD_Connection *connection,
                             const char *method, const char *path)
{
    struct call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->desk = &s->desk;
    c->connection = connection;
    c->method = method;
    snprintf(c->path, sizeof c->path, "%s", path);
    c->body.max = BODY_MAX;
    c->came_us = waiting_now_us();
    return c;
}

static void call_free(struct call *c)
{
    buf_free(&c->body);
    reply_free(&c->reply);
    free(c);
}

static ssize_t read_reply(void *arg, uint64_t pos, char *out, size_t max)
{
    struct call *c = arg;
    const struct reply *r = &c->reply;
    (void)pos;
    if (r->wire == WIRE_CUT || r->wire == WIRE_HANG) {
        if (c->sent >= r->stop_at) {
            if (r->wire == WIRE_HANG && c->state == CALL_ANSWERED) {
                c->state = CALL_WAITING;
                if (waiting_for_close(c->desk->waiting, c->connection,
                                      socket_of(c->connection)) == OK)
                    return 0;
            }
            return MHD_CONTENT_READER_END_WITH_ERROR;
        }
        uint64_t left = r->stop_at - c->sent;
        max = left < max ? (size_t)left : max;
    }
    size_t n = rope_read(&r->body, &c->cursor, out, max);
    c->sent += n;
    return n ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
}

static void write_journal(struct call *c, double seconds)
{
    struct journal_line line = {.number = c->number,
                                .method = c->method,
                                .path = c->path,
                                .model = c->model,
                                .project = c->project,
                                .tier = c->tier,
                                .prompt = c->prompt_known ? c->prompt : NULL,
                                .tries = c->tries,
                                .seconds = seconds,
                                .reply = &c->reply};
    if (strncmp(c->path, "/emulator/", 10) != 0)
        journal_write(c->desk->journal, &line);
}

static void add_headers(struct MHD_Response *r, const struct call *c, double seconds)
{
    char timing[48];
    snprintf(timing, sizeof timing, "gfet4t7; dur=%.0f", seconds * 1000);
    MHD_add_response_header(r, "Content-Type", c->reply.type);
    if (c->reply.tier[0])
        MHD_add_response_header(r, "X-Gemini-Service-Tier", c->reply.tier);
    if (c->reply.upload_url[0]) {
        MHD_add_response_header(r, "X-Goog-Upload-URL", c->reply.upload_url);
        MHD_add_response_header(r, "X-Goog-Upload-Control-URL", c->reply.upload_url);
        MHD_add_response_header(r, "X-Goog-Upload-Chunk-Granularity", "8388608");
    }
    if (c->reply.upload_status[0])
        MHD_add_response_header(r, "X-Goog-Upload-Status", c->reply.upload_status);
    MHD_add_response_header(r, "Vary", "Origin, Referer, X-Origin");
    MHD_add_response_header(r, "Server", "scaffolding on HTTPServer2");
    MHD_add_response_header(r, "X-XSS-Protection", "0");
    MHD_add_response_header(r, "X-Frame-Options", "SAMEORIGIN");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Server-Timing", timing);
}

static enum MHD_Result answer(struct call *c)
{
    double seconds = (double)(waiting_now_us() - c->came_us) / 1e6;
    c->state = CALL_ANSWERED;
    write_journal(c, seconds);
    if (c->reply.wire == WIRE_DROP)
        return MHD_NO;
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1024, read_reply, c, NULL);
    if (!r)
        return MHD_NO;
    add_headers(r, c, seconds);
    enum MHD_Result result = MHD_queue_response(c->connection, c->reply.status, r);
    MHD_destroy_response(r);
    return result;
}

// The body is there: decides, and waits if there is anything to wait for.
static enum MHD_Result come(struct call *c)
{
    call_decide(c);
    buf_free(&c->body);
    if (c->reply.wire == WIRE_STALL) {
        c->state = CALL_WAITING;
        write_journal(c, 0);
        enum err e =
            waiting_for_close(c->desk->waiting, c->connection, socket_of(c->connection));
        return e ? MHD_NO : MHD_YES;
    }
    if (c->latency <= 0)
        return answer(c);
    c->state = CALL_WAITING;
    enum err e = waiting_until(c->desk->waiting, c->connection,
                               c->came_us + (int64_t)(c->latency * 1e6));
    if (e == ERR_ORDER) // the server stops
        return MHD_NO;
    return e ? answer(c) : MHD_YES;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    struct call *c = *state;
    (void)version;
    if (!c) {
        *state = call_new(arg, connection, method, path);
        return *state ? MHD_YES : MHD_NO;
    }
    if (*upload_size) {
        buf_add(&c->body, (struct span){upload, *upload_size});
        *upload_size = 0;
        return MHD_YES;
    }
    if (c->state == CALL_READING)
        return come(c);
    return c->reply.wire == WIRE_STALL ? MHD_NO : answer(c);
}

static void completed(void *arg, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode why)
{
    struct call *c = *state;
    (void)arg;
    (void)connection;
    if (!c)
        return;
    if (c->number)
        journal_end(c->desk->journal, why == MHD_REQUEST_TERMINATED_COMPLETED_OK, c->sent);
    call_free(c);
    *state = NULL;
}

// As many connections as the hard limit of open files lets us have.
static unsigned raise_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) != 0)
        return 1000 - FILES_SPARE;
    l.rlim_cur = l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l);
    getrlimit(RLIMIT_NOFILE, &l);
    rlim_t n = l.rlim_cur > 2 * FILES_SPARE ? l.rlim_cur - FILES_SPARE : FILES_SPARE;
    return n < CONNECTIONS ? (unsigned)n : CONNECTIONS;
}

static enum err open_desk(struct desk *d, const struct settings *s, struct buf *why)
{
    d->settings = s;
    d->quota = s->quota;
    enum err e = journal_open(s->log, &d->journal);
    if (e) {
        buf_addf(why, "--log %s: %s", s->log ? s->log : "", strerror(errno));
        return e;
    }
    d->prompts = prompts_new();
    d->waiting = waiting_new();
    d->files = files_new();
    d->batches = batches_new(&(struct batches_desk){s, d->journal, d->prompts, d->files});
    pthread_mutex_init(&d->mutex, NULL);
    return d->prompts && d->waiting && d->files && d->batches ? OK : ERR_NOMEM;
}

static struct MHD_Daemon *start_daemon(struct server *s, unsigned threads)
{
    unsigned connections = raise_limit();
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, handle, s, MHD_OPTION_LISTEN_SOCKET, s->fd,
        MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_CONNECTION_LIMIT, connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL, MHD_OPTION_THREAD_POOL_SIZE,
        threads > 1 ? threads : 0u, MHD_OPTION_END);
}

enum err server_start(const struct settings *set, struct server **out, struct buf *why)
{
    struct server *s = calloc(1, sizeof *s);
    enum err e = s ? OK : ERR_NOMEM;
    if (!e) {
        s->fd = -1;
        e = open_desk(&s->desk, set, why);
    }
    if (!e)
        e = listener_open(set->host, set->port, &s->fd, &s->port, why);
    if (!e && !(s->daemon = start_daemon(s, set->threads))) {
        buf_add_str(why, "the HTTP server did not start");
        e = ERR_NET;
    }
    if (e) {
        server_free(s);
        return e;
    }
    *out = s;
    return OK;
}

uint16_t server_port(const struct server *s)
{
    return s->port;
}

void server_stop(struct server *s)
{
    if (!s->daemon)
        return;
    waiting_stop(s->desk.waiting);
    MHD_stop_daemon(s->daemon); // closes the listening socket too
    s->daemon = NULL;
    s->fd = -1;
}

void server_stats(struct server *s, struct buf *out)
{
    journal_stats(s->desk.journal, out);
}

void server_free(struct server *s)
{
    if (!s)
        return;
    server_stop(s);
    if (s->fd >= 0)
        close(s->fd);
    waiting_free(s->desk.waiting);
    batches_free(s->desk.batches);
    files_free(s->desk.files);
    prompts_free(s->desk.prompts);
    journal_free(s->desk.journal);
    free(s);
}
