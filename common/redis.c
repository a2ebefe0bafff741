// redis.c - the states of a connection, the requests under way, and their deadlines.
#include "common/redis.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/backoff.h"
#include "common/redis_io.h"
#include "common/text.h"

#define CONNECT_TIMEOUT 5.0
#define BACKOFF_BASE    0.1
#define BACKOFF_CAP     5.0
#define MAX_OUT         (512u << 20) // bytes waiting to be written
#define READ_SIZE       65536
#define OLDEST_SERVER   60200

struct request { // sent or about to be; answered in order
    STAILQ_ENTRY(request) link;
    redis_done *done;
    void *ctx;
    ev_tstamp deadline;
};
STAILQ_HEAD(request_list, request);

struct redis {
    struct ev_loop *loop;
    struct redis_options options;
    enum { CLOSED, CONNECTING, GREETING, READY } state;
    struct redis_io *io; // NULL while CLOSED
    redisReader *reader;
    struct buf out;
    size_t written; // bytes of `out` that are gone already
    struct request_list requests;
    struct request_list spare; // kept for the next ones
    unsigned spares, greetings;
    ev_io readable, writable;
    ev_timer timer;   // CLOSED: when to try again; otherwise: the next deadline
    ev_prepare flush; // one write for all that a turn of the loop has said
    unsigned version, failures;
    enum err error;
    struct buf why;
    unsigned depth; // of the loop's callbacks we are in
    bool told_down, freed;
};

// --- Watching
// ------------------------------------------------------------------------------------

static void watch(struct redis *r, bool write)
{
    if (r->readable.fd != redis_io_fd(r->io) || !ev_is_active(&r->readable)) {
        ev_io_stop(r->loop, &r->readable);
        ev_io_stop(r->loop, &r->writable);
        ev_io_set(&r->readable, redis_io_fd(r->io), EV_READ);
        ev_io_set(&r->writable, redis_io_fd(r->io), EV_WRITE);
        ev_io_start(r->loop, &r->readable);
    }
    if (write)
        ev_io_start(r->loop, &r->writable);
    else
        ev_io_stop(r->loop, &r->writable);
}

static void unwatch(struct redis *r)
{
    ev_io_stop(r->loop, &r->readable);
    ev_io_stop(r->loop, &r->writable);
    ev_prepare_stop(r->loop, &r->flush);
    ev_timer_stop(r->loop, &r->timer);
}

static void set_timer(struct redis *r, double seconds)
{
    ev_timer_stop(r->loop, &r->timer);
    ev_timer_set(&r->timer, seconds > 0 ? seconds : 0., 0.);
    ev_timer_start(r->loop, &r->timer);
}

// --- Requests
// --------------------------------------------------------------------------------------

static struct request *request_new(struct redis *r)
{
    struct request *q = STAILQ_FIRST(&r->spare);
    if (!q)
        return calloc(1, sizeof *q);
    STAILQ_REMOVE_HEAD(&r->spare, link);
    r->spares--;
    return q;
}

static void request_free(struct redis *r, struct request *q)
{
    if (r->spares >= 256) {
        free(q);
        return;
    }
    STAILQ_INSERT_HEAD(&r->spare, q, link);
    r->spares++;
}

static void tell(struct redis *r, struct request *q, enum err e, const redisReply *reply)
{
    redis_done *done = q->done;
    void *ctx = q->ctx;
    request_free(r, q);
    if (done)
        done(ctx, e, reply);
}

// Tells everyone under way; the list is taken away first, for they may make new requests.
static void tell_all(struct redis *r, enum err first, enum err rest)
{
    struct request_list list = STAILQ_HEAD_INITIALIZER(list);
    struct request *q;
    STAILQ_CONCAT(&list, &r->requests);
    while ((q = STAILQ_FIRST(&list))) {
        STAILQ_REMOVE_HEAD(&list, link);
        tell(r, q, first, NULL);
        first = rest;
    }
}

static void destroy(struct redis *r)
{
    struct request *q;
    unwatch(r);
    redis_io_close(r->io);
    if (r->reader)
        redisReaderFree(r->reader);
    while ((q = STAILQ_FIRST(&r->spare))) {
        STAILQ_REMOVE_HEAD(&r->spare, link);
        free(q);
    }
    buf_free(&r->out);
    buf_free(&r->why);
    free(r);
}

// Owners are called only from within the loop's callbacks, each of which is bracketed by these:
// so a connection that its owner frees meanwhile goes when the last of them is left.
static void enter(struct redis *r)
{
    r->depth++;
}

static void leave(struct redis *r)
{
    if (--r->depth == 0 && r->freed)
        destroy(r);
}

// --- Losing the connection
// ---------------------------------------------------------------------

static void close_io(struct redis *r)
{
    unwatch(r);
    redis_io_close(r->io);
    r->io = NULL;
    if (r->reader)
        redisReaderFree(r->reader);
    r->reader = NULL;
    buf_free(&r->out);
    r->written = 0;
    r->greetings = 0;
    r->state = CLOSED;
}

static void lost(struct redis *r)
{
    enum err first = r->error == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_NET;
    tell_all(r, first, ERR_NET);
    if (r->freed || r->told_down)
        return;
    r->told_down = true;
    if (r->options.on_state)
        r->options.on_state(r->options.ctx, false, r->error);
}

// Closes, tells everyone, and comes back after a while. `what` is added to the address.
static void fail(struct redis *r, enum err e, const char *what)
{
    if (what) {
        buf_clear(&r->why);
        redis_url_show(&r->why, r->options.url);
        buf_addf(&r->why, ": %s", what);
    }
    r->error = e;
    close_io(r);
    lost(r);
    if (!r->freed && r->state == CLOSED)
        set_timer(r, backoff_delay(++r->failures, BACKOFF_BASE, BACKOFF_CAP, 0.02));
}

// --- Writing
// -----------------------------------------------------------------------------------

static void write_out(struct redis *r)
{
    while (r->written < r->out.len) {
        ssize_t n = redis_io_write(r->io, r->out.ptr + r->written, r->out.len - r->written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            watch(r, true);
            return;
        }
        if (n <= 0) {
            fail(r, ERR_NET, n < 0 ? strerror(errno) : "the connection was closed");
            return;
        }
        r->written += (size_t)n;
    }
    r->written = 0;
    if (r->out.cap > 4u << 20)
        buf_free(&r->out);
    else
        buf_clear(&r->out);
    watch(r, false);
}

static void on_flush(struct ev_loop *loop, ev_prepare *w, int revents)
{
    (void)revents;
    struct redis *r = w->data;
    ev_prepare_stop(loop, w);
    enter(r);
    if (r->io && r->state >= GREETING && !ev_is_active(&r->writable))
        write_out(r);
    leave(r);
}

static void encode(struct buf *out, size_t argc, const struct span *argv)
{
    buf_addf(out, "*%zu\r\n", argc);
    for (size_t i = 0; i < argc; i++) {
        char head[32];
        int n = snprintf(head, sizeof head, "$%zu\r\n", argv[i].len);
        buf_add(out, (struct span){head, (size_t)n});
        buf_add(out, argv[i]);
        buf_add(out, SPAN("\r\n"));
    }
}

static enum err send_request(struct redis *r, double timeout, redis_done *done, void *ctx,
                             size_t argc, const struct span *argv)
{
    size_t before = r->out.len;
    struct request *q = request_new(r);
    if (!q)
        return ERR_NOMEM;
    encode(&r->out, argc, argv);
    if (r->out.err) {
        enum err e = r->out.err;
        r->out.err = OK;
        r->out.len = before;
        request_free(r, q);
        return e;
    }
    *q = (struct request){.done = done, .ctx = ctx, .deadline = ev_now(r->loop) + timeout};
    bool first = STAILQ_EMPTY(&r->requests);
    STAILQ_INSERT_TAIL(&r->requests, q, link);
    if (first)
        set_timer(r, timeout);
    if (!ev_is_active(&r->flush))
        ev_prepare_start(r->loop, &r->flush);
    return OK;
}

// --- Reading
// -----------------------------------------------------------------------------------

static enum err judge(const redisReply *reply)
{
    static const struct {
        const char *prefix;
        enum err e;
    } table[] = {
        {"LOADING ", ERR_BUSY},    {"BUSY ", ERR_BUSY},        {"READONLY ", ERR_BUSY},
        {"MISCONF ", ERR_BUSY},    {"MASTERDOWN ", ERR_BUSY},  {"NOREPLICAS ", ERR_BUSY},
        {"TRYAGAIN ", ERR_BUSY},   {"CLUSTERDOWN ", ERR_BUSY}, {"OOM ", ERR_FULL},
        {"NOAUTH ", ERR_AUTH},     {"NOPERM ", ERR_AUTH},      {"WRONGPASS ", ERR_AUTH},
        {"UNKILLABLE ", ERR_BUSY},
    };
    if (reply->type != REDIS_REPLY_ERROR)
        return OK;
    const char *text = reply->str;
    if (strncmp(text, "ERR Error running script", 24) == 0 ||
        strncmp(text, "ERR user_script", 15) == 0) {
        const char *oom = strstr(text, "OOM ");
        if (oom)
            return ERR_FULL;
    }
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strncmp(text, table[i].prefix, strlen(table[i].prefix)) == 0)
            return table[i].e;
    return ERR_SERVER;
}

static void rearm(struct redis *r)
{
    struct request *q = STAILQ_FIRST(&r->requests);
    if (q)
        set_timer(r, q->deadline - ev_now(r->loop));
    else
        ev_timer_stop(r->loop, &r->timer);
}

// Takes answers out of the reader while there are whole ones.
static void take_replies(struct redis *r)
{
    void *reply;
    while (!r->freed && r->reader && redisReaderGetReply(r->reader, &reply) == REDIS_OK &&
           reply) {
        struct request *q = STAILQ_FIRST(&r->requests);
        if (!q) {
            freeReplyObject(reply);
            fail(r, ERR_FORMAT, "an answer that nobody asked for");
            return;
        }
        STAILQ_REMOVE_HEAD(&r->requests, link);
        tell(r, q, judge(reply), reply);
        freeReplyObject(reply);
    }
    if (r->freed || !r->reader)
        return;
    if (r->reader->err)
        fail(r, ERR_FORMAT, r->reader->errstr);
    else
        rearm(r);
}

static void read_some(struct redis *r)
{
    static char part[READ_SIZE]; // only within this function
    for (int rounds = 0; rounds < 16; rounds++) {
        ssize_t n = redis_io_read(r->io, part, sizeof part);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n <= 0) {
            fail(r, ERR_NET, n < 0 ? strerror(errno) : "the server closed the connection");
            return;
        }
        if (redisReaderFeed(r->reader, part, (size_t)n) != REDIS_OK) {
            fail(r, ERR_NOMEM, "out of memory");
            return;
        }
        if ((size_t)n < sizeof part)
            break;
    }
    take_replies(r);
}

// --- Greeting
// ----------------------------------------------------------------------------------

static void become_ready(struct redis *r)
{
    r->state = READY;
    r->failures = 0;
    r->error = OK;
    r->told_down = false;
    buf_clear(&r->why);
    if (r->options.on_state)
        r->options.on_state(r->options.ctx, true, OK);
}

static bool greeted(struct redis *r, enum err e, const redisReply *reply)
{
    if (r->state != GREETING || r->freed)
        return false;
    if (e != OK) {
        fail(r, e, reply ? reply->str : err_text(e));
        return false;
    }
    return true;
}

static void on_plain(void *ctx, enum err e, const redisReply *reply) // AUTH, SELECT
{
    struct redis *r = ctx;
    if (greeted(r, e, reply))
        r->greetings--;
}

static void on_info(void *ctx, enum err e, const redisReply *reply)
{
    struct redis *r = ctx;
    if (e == ERR_AUTH && reply && strncmp(reply->str, "NOPERM", 6) == 0 && r->state == GREETING)
        return; // an ACL user may lack INFO: then the version stays unknown
    if (!greeted(r, e, reply))
        return;
    const char *at =
        reply->type == REDIS_REPLY_STRING ? strstr(reply->str, "redis_version:") : NULL;
    unsigned a = 0, b = 0, c = 0;
    if (at)
        at += strlen("redis_version:");
    for (unsigned *part[] = {&a, &b, &c}, i = 0; at && i < 3; i++) {
        while (*at >= '0' && *at <= '9' && *part[i] < 10000)
            *part[i] = *part[i] * 10 + (unsigned)(*at++ - '0');
        at = *at == '.' ? at + 1 : NULL;
    }
    r->version = a * 10000 + b * 100 + c;
    if (r->version > 0 && r->version < OLDEST_SERVER) {
        char what[100];
        snprintf(what, sizeof what, "the server is Redis %u.%u.%u; 6.2 or newer is needed", a,
                 b, c);
        fail(r, ERR_SERVER, what);
    }
}

// INFO and ROLE are answered while the server still loads its data; PING says that it does.
static void on_ping(void *ctx, enum err e, const redisReply *reply)
{
    if (e == ERR_AUTH && reply && strncmp(reply->str, "NOPERM", 6) == 0)
        return;
    greeted(ctx, e, reply);
}

static void on_role(void *ctx, enum err e, const redisReply *reply)
{
    struct redis *r = ctx;
    bool hidden = e == ERR_AUTH && reply && strncmp(reply->str, "NOPERM", 6) == 0;
    if (!hidden && !greeted(r, e, reply))
        return;
    if (r->state != GREETING || r->freed)
        return;
    bool replica = !hidden && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                   reply->element[0]->type == REDIS_REPLY_STRING &&
                   strcmp(reply->element[0]->str, "master") != 0;
    if (replica)
        fail(r, ERR_BUSY, "the server is a replica; the primary is needed");
    else
        become_ready(r);
}

static void say(struct redis *r, redis_done *done, size_t argc, const struct span *argv)
{
    double timeout = r->options.connect_timeout;
    if (send_request(r, timeout, done, r, argc, argv) != OK)
        fail(r, ERR_NOMEM, "out of memory");
}

static void on_ignored(void *ctx, enum err e, const redisReply *reply)
{
    (void)ctx, (void)e, (void)reply; // the connection's name is for people only
}

static void greet(struct redis *r)
{
    const struct redis_url *u = r->options.url;
    char db[12];
    struct span user = span_of(u->user ? u->user : "default");
    r->state = GREETING;
    r->reader = redisReaderCreate();
    if (!r->reader) {
        fail(r, ERR_NOMEM, "out of memory");
        return;
    }
    r->reader->maxbuf = 0;
    if (u->password && !u->user)
        say(r, on_plain, 2, (struct span[]){SPAN("AUTH"), span_of(u->password)});
    else if (u->password)
        say(r, on_plain, 3, (struct span[]){SPAN("AUTH"), user, span_of(u->password)});
    snprintf(db, sizeof db, "%u", u->db);
    if (r->io && u->db)
        say(r, on_plain, 2, (struct span[]){SPAN("SELECT"), span_of(db)});
    if (r->io && r->options.name)
        say(r, on_ignored, 3,
            (struct span[]){SPAN("CLIENT"), SPAN("SETNAME"), span_of(r->options.name)});
    if (r->io)
        say(r, on_info, 2, (struct span[]){SPAN("INFO"), SPAN("server")});
    if (r->io)
        say(r, on_ping, 1, (struct span[]){SPAN("PING")});
    if (r->io)
        say(r, on_role, 1, (struct span[]){SPAN("ROLE")});
    if (r->io)
        watch(r, false);
}

// --- Connecting
// --------------------------------------------------------------------------------

static void go_on_connecting(struct redis *r)
{
    enum err e = redis_io_connect(r->io, &r->why);
    if (e == OK)
        greet(r);
    else if (e == ERR_BUSY)
        watch(r, redis_io_wants_write(r->io));
    else
        fail(r, e, NULL);
}

static void begin(struct redis *r)
{
    r->io = redis_io_open(r->options.url, r->options.ca_file, &r->why);
    if (!r->io) {
        fail(r, ERR_NET, NULL);
        return;
    }
    r->state = CONNECTING;
    set_timer(r, r->options.connect_timeout);
    watch(r, true);
}

static void on_io(struct redis *r, bool writable)
{
    enter(r);
    if (r->state == CONNECTING)
        go_on_connecting(r);
    else if (writable)
        write_out(r);
    else
        read_some(r);
    leave(r);
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

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)revents;
    struct redis *r = w->data;
    struct request *q = STAILQ_FIRST(&r->requests);
    enter(r);
    if (r->state == CLOSED)
        begin(r);
    else if (r->state == CONNECTING)
        fail(r, ERR_TIMEOUT, "no connection in time");
    else if (q && q->deadline <= ev_now(loop) + 0.0005)
        fail(r, ERR_TIMEOUT, "no answer in time");
    else
        rearm(r);
    leave(r);
}

// --- The interface
// -----------------------------------------------------------------------------

struct redis *redis_new(struct ev_loop *loop, const struct redis_options *o)
{
    struct redis *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->loop = loop;
    r->options = *o;
    if (r->options.connect_timeout <= 0)
        r->options.connect_timeout = CONNECT_TIMEOUT;
    r->out.max = MAX_OUT;
    r->why.max = 1000;
    r->error = ERR_NET;
    STAILQ_INIT(&r->requests);
    STAILQ_INIT(&r->spare);
    ev_init(&r->readable, on_readable);
    ev_init(&r->writable, on_writable);
    ev_init(&r->timer, on_timer);
    ev_prepare_init(&r->flush, on_flush);
    r->readable.data = r->writable.data = r->timer.data = r->flush.data = r;
    set_timer(r, 0); // so that no callback runs from inside this
    return r;
}

void redis_free(struct redis *r)
{
    if (!r || r->freed)
        return;
    r->freed = true;
    tell_all(r, ERR_CANCELLED, ERR_CANCELLED);
    unwatch(r);
    if (r->depth == 0)
        destroy(r);
}

bool redis_ready(const struct redis *r)
{
    return r->state == READY && !r->freed;
}

const char *redis_why(const struct redis *r)
{
    return buf_str(&r->why);
}

enum err redis_last_error(const struct redis *r)
{
    return r->error;
}

unsigned redis_version(const struct redis *r)
{
    return r->version;
}

int redis_fd(const struct redis *r, bool *want_write)
{
    *want_write = r->io && (ev_is_active(&r->writable) || r->out.len > r->written);
    return r->io ? redis_io_fd(r->io) : -1;
}

enum err redis_call(struct redis *r, double timeout, redis_done *done, void *ctx, size_t argc,
                    const struct span *argv)
{
    if (!redis_ready(r))
        return ERR_NET;
    return send_request(r, timeout, done, ctx, argc, argv);
}
