// listener.c - see listener.h.
#include "emulator/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

static int bind_to(const struct addrinfo *a)
{
    int on = 1, fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage at = {0};
    socklen_t n = sizeof at;
    getsockname(fd, (struct sockaddr *)&at, &n);
    return ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                          : ((struct sockaddr_in *)&at)->sin_port);
}

enum err listener_open(const char *host, uint16_t port, int *fd, uint16_t *bound,
                       struct buf *why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    const char *shown = host ? host : "*";
    char service[16];
    snprintf(service, sizeof service, "%u", port);
    int failure = getaddrinfo(host, service, &hints, &found);
    if (failure) {
        buf_addf(why, "--listen %s: %s", shown, gai_strerror(failure));
        return ERR_NET;
    }
    *fd = bind_to(found);
    int saved = errno;
    freeaddrinfo(found);
    if (*fd < 0) {
        buf_addf(why, "--listen %s:%u: %s", shown, port, strerror(saved));
        return ERR_NET;
    }
    *bound = port_of(*fd);
    return OK;
}
