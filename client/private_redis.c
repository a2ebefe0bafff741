// private_redis.c - see private_redis.h.
#include "client/private_redis.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/child.h"
#include "common/clock.h"
#include "common/file.h"

#define LOG          "redis.log"
#define SOCKET_SIZE  96
#define URL_SIZE     (SOCKET_SIZE + 8)
#define REDIS_ROOM   (2u << 20) // bytes that are free before it is started again
#define START_MS     20000      // to load what it has
#define STOP_MS      10000
#define MEND_MS      60000 // reading the append-only file once
#define QUICK_MS     2000
#define MAX_RESTARTS 20

struct private_redis {
    char *data;
    char folder[64]; // of the socket
    char socket[SOCKET_SIZE];
    char url[URL_SIZE];
    int keep;  // what the children inherit
    pid_t pid; // 0: it ended
    int64_t since;
    off_t log_from; // where the log of this start begins
    bool no_room;   // ended for want of it, and has not run for long again
    unsigned restarts;
};

static bool answers(const struct private_redis *r)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char reply[8] = {0};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", r->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
              write(fd, "PING\r\n", 6) == 6 && read(fd, reply, 7) == 7 &&
              strcmp(reply, "+PONG\r\n") == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

// A socket's path may have 107 bytes: it is in a private folder of its own.
static enum err make_socket_folder(struct private_redis *r, struct buf *why)
{
    const char *base = getenv("TMPDIR");
    if (!base || strlen(base) > 40)
        base = "/tmp";
    snprintf(r->folder, sizeof r->folder, "%s/genfarm-XXXXXX", base);
    if (!mkdtemp(r->folder)) {
        buf_addf(why, "%s: %s", r->folder, strerror(errno));
        r->folder[0] = '\0';
        return ERR_IO;
    }
    snprintf(r->socket, sizeof r->socket, "%s/redis.sock", r->folder);
    snprintf(r->url, sizeof r->url, "unix://%s", r->socket);
    return OK;
}

static pid_t run(const struct private_redis *r, char *const argv[], const char *input)
{
    char log[CHILD_MAX_PATH];
    snprintf(log, sizeof log, "%s/" LOG, r->data);
    return child_start(&(struct child){argv[0], argv, log, NULL, input, r->keep});
}

static void spawn(struct private_redis *r)
{
    char log[CHILD_MAX_PATH];
    struct stat st;
    snprintf(log, sizeof log, "%s/" LOG, r->data);
    r->log_from = stat(log, &st) == 0 ? st.st_size : 0;
    char *argv[] = {"redis-server",
                    "--port",
                    "0",
                    "--unixsocket",
                    r->socket,
                    "--unixsocketperm",
                    "700",
                    "--dir",
                    r->data,
                    "--appendonly",
                    "yes",
                    "--appendfsync",
                    "always",
                    "--save",
                    "",
                    "--daemonize",
                    "no",
                    "--aof-load-truncated",
                    "no",
                    "--maxmemory-policy",
                    "noeviction",
                    NULL};
    r->pid = run(r, argv, NULL);
    r->since = clock_mono_ms();
}

// --- A file that ends in the middle ---------------------------------------------------------

// Whether the start that just ended was refused for it.
static bool was_cut(const struct private_redis *r)
{
    char path[CHILD_MAX_PATH], text[8192];
    snprintf(path, sizeof path, "%s/" LOG, r->data);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof text, r->log_from);
    if (fd >= 0)
        close(fd);
    return n > 0 && memmem(text, (size_t)n, "Unexpected end of file", 22);
}

static void mend(struct private_redis *r)
{
    char path[CHILD_MAX_PATH];
    int status;
    snprintf(path, sizeof path, "%s/appendonlydir/appendonly.aof.manifest", r->data);
    if (access(path, F_OK) != 0) // before Redis 7
        snprintf(path, sizeof path, "%s/appendonly.aof", r->data);
    char *argv[] = {"redis-check-aof", "--fix", path, NULL};
    pid_t pid = run(r, argv, "y\n"); // yes, shorten it
    if (pid > 0 && !child_wait(pid, MEND_MS, &status))
        child_end(pid, 0);
}

// --- Starting it ----------------------------------------------------------------------------

static enum err cannot_run(const struct private_redis *r, const char *what, struct buf *why)
{
    buf_add_str(why, what);
    child_last_words(r->data, LOG, why);
    return ERR_IO;
}

// Whether it answers; false: it ended, or took too long.
static bool comes_up(struct private_redis *r)
{
    for (int64_t end = clock_mono_ms() + START_MS; clock_mono_ms() < end; child_nap(5)) {
        if (answers(r))
            return true;
        if (waitpid(r->pid, NULL, WNOHANG) != 0) {
            r->pid = 0;
            return false;
        }
    }
    return false;
}

static enum err start(struct private_redis *r, struct buf *why)
{
    enum err e = make_socket_folder(r, why);
    if (e != OK)
        return e;
    spawn(r);
    if (comes_up(r))
        return OK;
    if (r->pid == 0 && was_cut(r)) {
        mend(r);
        spawn(r);
        if (comes_up(r))
            return OK;
    }
    return cannot_run(r, "the private redis-server does not start", why);
}

enum err private_redis_start(const char *data, int keep, struct private_redis **out,
                             struct buf *why)
{
    struct private_redis *r = calloc(1, sizeof *r);
    if (!r || !(r->data = strdup(data))) {
        free(r);
        return ERR_NOMEM;
    }
    r->keep = keep;
    enum err e = start(r, why);
    if (e == OK)
        *out = r;
    else
        private_redis_kill(r);
    return e;
}

const char *private_redis_url(const struct private_redis *r)
{
    return r->url;
}

static bool has_room(const struct private_redis *r)
{
    struct file_room room;
    return file_look(r->data, &room) != OK || room.free >= REDIS_ROOM;
}

// What it had acknowledged is in its file, and workers and client connect again.
enum err private_redis_look(struct private_redis *r, struct buf *why)
{
    if (r->pid > 0 && waitpid(r->pid, NULL, WNOHANG) == 0) {
        r->no_room = r->no_room && clock_mono_ms() - r->since < QUICK_MS;
        return OK;
    }
    r->pid = 0;
    if (!has_room(r)) {
        r->no_room = true;
        return OK;
    }
    if (r->restarts++ >= MAX_RESTARTS)
        return cannot_run(r, "the private redis-server ended", why);
    if (was_cut(r))
        mend(r);
    spawn(r);
    return OK;
}

bool private_redis_no_room(const struct private_redis *r)
{
    return r->no_room;
}

// --- Its end --------------------------------------------------------------------------------

static void end(struct private_redis *r, int with)
{
    if (!r)
        return;
    if (r->pid > 0) {
        kill(r->pid, with);
        child_end(r->pid, STOP_MS);
    }
    if (r->folder[0]) {
        unlink(r->socket);
        rmdir(r->folder);
    }
    free(r->data);
    free(r);
}

void private_redis_stop(struct private_redis *r)
{
    end(r, SIGTERM);
}

void private_redis_kill(struct private_redis *r)
{
    end(r, SIGKILL);
}
