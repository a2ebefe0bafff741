// redis_io.c - see redis_io.h.
#include "common/redis_io.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct redis_io {
    int fd;
    const struct redis_url *url; // borrowed
    const struct redis_host *at; // borrowed
    struct addrinfo *all, *next; // addresses; `next` has not been tried yet
    bool tcp_done;               // connected below TLS
    bool wants_write;
    SSL_CTX *tls;
    SSL *ssl; // NULL without TLS
};

static void words(struct buf *why, const struct redis_io *io, const char *what)
{
    if (why->len)
        buf_clear(why);
    redis_url_show_at(why, io->url, io->at);
    buf_addf(why, ": %s", what);
}

static int fresh_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static void tune(int fd)
{
    int on = 1, idle = 30, every = 10, tries = 3;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
}

// Begins with the next address that does not fail at once.
static bool try_next(struct redis_io *io)
{
    int failed = ECONNREFUSED;
    for (; io->next; io->next = io->next->ai_next) {
        if (io->fd >= 0)
            close(io->fd);
        io->fd = fresh_socket(io->next->ai_family);
        if (io->fd >= 0) {
            tune(io->fd);
            if (connect(io->fd, io->next->ai_addr, io->next->ai_addrlen) == 0 ||
                errno == EINPROGRESS) {
                io->next = io->next->ai_next;
                return true;
            }
        }
        failed = errno;
    }
    errno = failed;
    return false;
}

static bool open_tcp(struct redis_io *io, struct buf *why)
{
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    snprintf(port, sizeof port, "%u", io->at->port);
    int e = getaddrinfo(io->at->name, port, &hints, &io->all);
    if (e != 0) {
        words(why, io, gai_strerror(e));
        return false;
    }
    io->next = io->all;
    if (try_next(io))
        return true;
    words(why, io, strerror(errno));
    return false;
}

static bool open_unix(struct redis_io *io, struct buf *why)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(io->at->name) >= sizeof at.sun_path) {
        words(why, io, "the path is too long");
        return false;
    }
    strcpy(at.sun_path, io->at->name);
    io->fd = fresh_socket(AF_UNIX);
    if (io->fd < 0 || connect(io->fd, (struct sockaddr *)&at, sizeof at) != 0) {
        words(why, io, strerror(errno));
        return false;
    }
    return true;
}

static bool prepare_tls(struct redis_io *io, const char *ca_file, struct buf *why)
{
    io->tls = SSL_CTX_new(TLS_client_method());
    bool trusted = io->tls && (ca_file ? SSL_CTX_load_verify_file(io->tls, ca_file)
                                       : SSL_CTX_set_default_verify_paths(io->tls)) == 1;
    if (!trusted) {
        words(why, io, "the certificates to trust cannot be read");
        return false;
    }
    SSL_CTX_set_min_proto_version(io->tls, TLS1_2_VERSION);
    SSL_CTX_set_verify(io->tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(io->tls,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return true;
}

static bool begin_tls(struct redis_io *io)
{
    const char *host = io->at->name;
    io->ssl = SSL_new(io->tls);
    if (!io->ssl || SSL_set_fd(io->ssl, io->fd) != 1)
        return false;
    X509_VERIFY_PARAM *param = SSL_get0_param(io->ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1)
        return true;
    ERR_clear_error();
    return SSL_set_tlsext_host_name(io->ssl, host) == 1 && SSL_set1_host(io->ssl, host) == 1;
}

enum err redis_io_open(const struct redis_url *u, const struct redis_host *at,
                       const char *ca_file, struct buf *why, struct redis_io **out)
{
    struct redis_io *io = calloc(1, sizeof *io);
    if (!io)
        return ERR_NOMEM;
    io->fd = -1;
    io->url = u;
    io->at = at;
    io->wants_write = true;
    bool ok = u->scheme == REDIS_UNIX ? open_unix(io, why) : open_tcp(io, why);
    if (ok && u->scheme == REDIS_TLS)
        ok = prepare_tls(io, ca_file, why);
    if (!ok) {
        redis_io_close(io);
        return ERR_NET;
    }
    *out = io;
    return OK;
}

void redis_io_close(struct redis_io *io)
{
    if (!io)
        return;
    SSL_free(io->ssl);
    SSL_CTX_free(io->tls);
    if (io->all)
        freeaddrinfo(io->all);
    if (io->fd >= 0)
        close(io->fd);
    free(io);
}

int redis_io_fd(const struct redis_io *io)
{
    return io->fd;
}

bool redis_io_wants_write(const struct redis_io *io)
{
    return io->wants_write;
}

static enum err finish_tcp(struct redis_io *io, struct buf *why)
{
    int failed = 0;
    socklen_t n = sizeof failed;
    if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &failed, &n) != 0)
        failed = errno;
    if (failed == 0) {
        io->tcp_done = true;
        return OK;
    }
    if (io->next && try_next(io))
        return ERR_BUSY;
    words(why, io, strerror(failed));
    return ERR_NET;
}

static void tls_words(struct redis_io *io, struct buf *why)
{
    long verdict = SSL_get_verify_result(io->ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    words(why, io, "TLS: ");
    if (verdict != X509_V_OK)
        reason = X509_verify_cert_error_string(verdict);
    buf_add_str(why, reason ? reason : "the connection was closed");
    ERR_clear_error();
}

static enum err handshake(struct redis_io *io, struct buf *why)
{
    if (!io->ssl && !begin_tls(io)) {
        words(why, io, "TLS cannot be set up");
        return ERR_NOMEM;
    }
    ERR_clear_error();
    int n = SSL_connect(io->ssl);
    if (n == 1)
        return OK;
    int e = SSL_get_error(io->ssl, n);
    io->wants_write = e == SSL_ERROR_WANT_WRITE;
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return ERR_BUSY;
    tls_words(io, why);
    return ERR_NET;
}

enum err redis_io_connect(struct redis_io *io, struct buf *why)
{
    enum err e = io->tcp_done ? OK : finish_tcp(io, why);
    return e == OK && io->tls ? handshake(io, why) : e;
}

// What a failed SSL_read or SSL_write means, in the words of read(2).
static ssize_t tls_result(struct redis_io *io, int n)
{
    switch (SSL_get_error(io->ssl, n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: errno = EAGAIN; break;
    case SSL_ERROR_ZERO_RETURN: return 0;
    default: errno = ECONNRESET;
    }
    ERR_clear_error();
    return -1;
}

static int clamped(size_t n)
{
    return n > 1 << 30 ? 1 << 30 : (int)n;
}

ssize_t redis_io_read(struct redis_io *io, char *to, size_t n)
{
    if (!io->ssl)
        return recv(io->fd, to, n, 0);
    int got = SSL_read(io->ssl, to, clamped(n));
    return got > 0 ? got : tls_result(io, got);
}

ssize_t redis_io_write(struct redis_io *io, const char *from, size_t n)
{
    if (!io->ssl)
        return send(io->fd, from, n, MSG_NOSIGNAL);
    int put = SSL_write(io->ssl, from, clamped(n));
    return put > 0 ? put : tls_result(io, put);
}
