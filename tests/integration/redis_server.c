// redis_server.c - see redis_server.h.
#include "redis_server.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ARGS     64
#define START_WAIT_S 20

struct redis_server {
    const char *const *extra; // borrowed
    pid_t pid;                // 0: not running
    char dir[108 - sizeof "/redis.sock"];
    char socket[108]; // sockaddr_un has room for no more
    char url[128];
    char log[128];
};

static void give_up(const struct redis_server *s, const char *what)
{
    char line[512];
    FILE *log = fopen(s->log, "r");
    fprintf(stderr, "redis-server: %s: %s\n", what, strerror(errno));
    while (log && fgets(line, sizeof line, log))
        fputs(line, stderr);
    if (s->pid > 0)
        kill(s->pid, SIGKILL);
    exit(1);
}

struct redis_server *redis_server_new(const char *const extra[])
{
    struct redis_server *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->extra = extra;
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(s->dir, sizeof s->dir, "%s/genfarm-redis-XXXXXX", tmp ? tmp : "/tmp");
    if (n >= (int)sizeof s->dir || !mkdtemp(s->dir))
        give_up(s, "no directory for it");
    snprintf(s->socket, sizeof s->socket, "%s/redis.sock", s->dir);
    snprintf(s->url, sizeof s->url, "unix://%s", s->socket);
    snprintf(s->log, sizeof s->log, "%s/redis.log", s->dir);
    return s;
}

static _Noreturn void run(const struct redis_server *s, pid_t parent)
{
    const char *const usual[] = {"--port",       "0",    "--unixsocket", s->socket,
                                 "--dir",        s->dir, "--save",       "",
                                 "--appendonly", "no",   "--logfile",    s->log,
                                 "--daemonize",  "no",   "--databases",  "16"};
    const char *argv[MAX_ARGS] = {"redis-server"};
    const char *const *more = s->extra;
    size_t n = 1;
    if (more && *more && (*more)[0] != '-')
        argv[n++] = *more++;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        argv[n++] = usual[i];
    for (; more && *more && n < MAX_ARGS - 1; more++)
        argv[n++] = *more;
    prctl(PR_SET_PDEATHSIG, SIGKILL); // a test that crashes leaves no server behind
    if (getppid() != parent)
        _exit(1);
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    union { // execvp does not write, whatever its prototype says
        const char **from;
        char *const *to;
    } args = {argv};
    execvp("redis-server", args.to);
    fprintf(stderr, "redis-server: %s\n", strerror(errno));
    _exit(127);
}

void redis_server_spawn(struct redis_server *s)
{
    pid_t parent = getpid();
    unlink(s->socket);
    s->pid = fork();
    if (s->pid < 0)
        give_up(s, "cannot fork");
    if (s->pid == 0)
        run(s, parent);
}

// Whether it answers, and with more than "still loading".
static bool answers(const struct redis_server *s)
{
    redisContext *c = redisConnectUnixWithTimeout(s->socket, (struct timeval){5, 0});
    bool up = false;
    if (c && c->err == 0) {
        redisSetTimeout(c, (struct timeval){5, 0});
        redisReply *reply = redisCommand(c, "PING");
        up = reply &&
             (reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "LOADING", 7) != 0);
        if (reply)
            freeReplyObject(reply);
    }
    if (c)
        redisFree(c);
    return up;
}

void redis_server_wait(struct redis_server *s)
{
    time_t until = time(NULL) + START_WAIT_S;
    while (!answers(s)) {
        if (waitpid(s->pid, NULL, WNOHANG) != 0) {
            s->pid = 0;
            give_up(s, "it ended at once");
        }
        if (time(NULL) > until)
            give_up(s, "it does not answer");
        poll(NULL, 0, 5); // there is nothing to wait on before its socket exists
    }
}

struct redis_server *redis_server_start(const char *const extra[])
{
    struct redis_server *s = redis_server_new(extra);
    redis_server_again(s);
    return s;
}

// As an operator does whose server was killed while it wrote: without this, Redis 7.0 runs the
// beginning of a cut transaction at the start after next (client/private_redis.h tells more).
static void mend(const struct redis_server *s)
{
    char command[sizeof s->dir + 120];
    snprintf(command, sizeof command,
             "cd '%s/appendonlydir' && echo y | redis-check-aof --fix appendonly.aof.manifest "
             ">../mend.log 2>&1",
             s->dir);
    struct stat st;
    char manifest[sizeof s->dir + 48];
    snprintf(manifest, sizeof manifest, "%s/appendonlydir/appendonly.aof.manifest", s->dir);
    if (stat(manifest, &st) == 0 && system(command) != 0)
        give_up(s, "its append-only file cannot be mended");
}

void redis_server_cut(const struct redis_server *s, long bytes)
{
    char pattern[sizeof s->dir + 48];
    glob_t found;
    struct stat st;
    snprintf(pattern, sizeof pattern, "%s/appendonlydir/*.incr.aof", s->dir);
    if (glob(pattern, 0, NULL, &found) != 0 || stat(found.gl_pathv[0], &st) != 0 ||
        truncate(found.gl_pathv[0], st.st_size - bytes) != 0)
        give_up(s, "its append-only file cannot be cut");
    globfree(&found);
}

void redis_server_again(struct redis_server *s)
{
    mend(s);
    redis_server_spawn(s);
    redis_server_wait(s);
}

static void end(struct redis_server *s, int with)
{
    if (s->pid <= 0)
        return;
    kill(s->pid, with);
    if (with != SIGKILL)
        kill(s->pid, SIGCONT); // or a stopped one would never notice
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    s->pid = 0;
}

void redis_server_kill(struct redis_server *s)
{
    end(s, SIGKILL);
}

void redis_server_quit(struct redis_server *s)
{
    end(s, SIGTERM);
}

// Returns when every thread of it stands still: until then it could still answer.
void redis_server_pause(struct redis_server *s)
{
    int status;
    kill(s->pid, SIGSTOP);
    while (waitpid(s->pid, &status, WUNTRACED) < 0 && errno == EINTR)
        ;
}

void redis_server_resume(struct redis_server *s)
{
    kill(s->pid, SIGCONT);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

void redis_server_stop(struct redis_server *s)
{
    if (!s)
        return;
    end(s, SIGKILL);
    nftw(s->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(s);
}

const char *redis_server_url(const struct redis_server *s)
{
    return s->url;
}

const char *redis_server_socket(const struct redis_server *s)
{
    return s->socket;
}

const char *redis_server_dir(const struct redis_server *s)
{
    return s->dir;
}

pid_t redis_server_pid(const struct redis_server *s)
{
    return s->pid;
}

static redisReply *ask(const struct redis_server *s, const char *fmt, va_list ap)
{
    redisContext *c = redisConnectUnix(s->socket);
    if (!c || c->err)
        give_up(s, c ? c->errstr : "out of memory");
    redisReply *reply = redisvCommand(c, fmt, ap);
    if (!reply)
        give_up(s, c->errstr);
    redisFree(c);
    return reply;
}

redisReply *redis_server_ask(const struct redis_server *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    redisReply *reply = ask(s, fmt, ap);
    va_end(ap);
    return reply;
}

static long long number_of(const struct redis_server *s, redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        give_up(s, reply->str);
    long long n = reply->type == REDIS_REPLY_INTEGER  ? reply->integer
                  : reply->type == REDIS_REPLY_STRING ? strtoll(reply->str, NULL, 10)
                                                      : 0;
    freeReplyObject(reply);
    return n;
}

void redis_server_do(const struct redis_server *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    number_of(s, ask(s, fmt, ap));
    va_end(ap);
}

long long redis_server_number(const struct redis_server *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    long long n = number_of(s, ask(s, fmt, ap));
    va_end(ap);
    return n;
}

unsigned redis_server_free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, n) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &n) != 0)
        abort();
    close(fd);
    return ntohs(at.sin_port);
}
