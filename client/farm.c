// farm.c - see farm.h.
#include "client/farm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/request.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/secret.h"

#define MAX_WORKERS  64
#define MAX_RESTARTS 20
#define MAX_PATH     4096
#define SOCKET_SIZE  96
#define REDIS_ROOM   (2u << 20) // bytes that are free before Redis is started again
#define START_MS     20000      // for Redis to load what it has
#define STOP_MS      10000
#define QUICK_MS     2000 // a worker that ends sooner than this cannot run at all

struct farm {
    struct farm_options options;
    char folder[64]; // of the socket
    char *url;
    pid_t redis; // 0: none, or it ended
    int64_t redis_since;
    bool no_room; // Redis ended for want of it, and has not run for long again
    struct {
        pid_t pid; // 0: none
        int64_t since;
    } workers[MAX_WORKERS];
    unsigned restarts;
    bool draining;
};

// --- Children
// ------------------------------------------------------------------------------------

static void nap(long ms)
{
    struct timespec t = {0, ms * 1000000};
    nanosleep(&t, NULL);
}

// The child goes when we go, and does not get the terminal's Ctrl-C, which is for us to handle.
// `url`: of Redis, for workers, in the environment: everybody can see arguments, and there may
// be a password in it. NULL: it is no worker, and gets no key either.
static pid_t spawn(const char *path, char *const argv[], const char *url, const char *log)
{
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setpgid(0, 0);
    if (getppid() != parent)
        _exit(127);
    int fd = open(log, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || null < 0 || dup2(null, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(127);
    if (url)
        setenv("GENFARM_REDIS_URL", url, 1);
    else
        secret_forget(request_key_names);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(path, argv);
    dprintf(2, "%s: %s\n", path, strerror(errno));
    _exit(127);
}

static bool wait_for(pid_t pid, int64_t ms)
{
    for (int64_t end = clock_mono_ms() + ms; clock_mono_ms() < end; nap(5))
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return true;
    return false;
}

// It has been told to end.
static void end_child(pid_t pid, int64_t ms)
{
    if (wait_for(pid, ms))
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

// The last line of a log, for a person.
static void last_words(const struct farm *f, const char *name, struct buf *why)
{
    struct buf path = {.max = MAX_PATH}, text = {.max = 1u << 24};
    buf_addf(&path, "%s/%s", f->options.data, name);
    if (file_read(buf_str(&path), &text) == OK && text.len > 0) {
        while (text.len > 0 && text.ptr[text.len - 1] == '\n')
            text.ptr[--text.len] = '\0';
        const char *line = strrchr(text.ptr, '\n');
        buf_addf(why, ": %.500s", line ? line + 1 : text.ptr);
    }
    buf_addf(why, " (see %s)", buf_str(&path));
    buf_free(&path);
    buf_free(&text);
}

// --- Redis
// ---------------------------------------------------------------------------------------

static bool answers(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char reply[8] = {0};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
              write(fd, "PING\r\n", 6) == 6 && read(fd, reply, 7) == 7 &&
              strcmp(reply, "+PONG\r\n") == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

static void socket_path(const struct farm *f, char out[static SOCKET_SIZE])
{
    snprintf(out, SOCKET_SIZE, "%s/redis.sock", f->folder);
}

// A socket's path may have 107 bytes: it is in a private folder of its own.
static enum err make_socket_folder(struct farm *f, struct buf *why)
{
    const char *base = getenv("TMPDIR");
    if (!base || strlen(base) > 40)
        base = "/tmp";
    snprintf(f->folder, sizeof f->folder, "%s/genfarm-XXXXXX", base);
    if (mkdtemp(f->folder))
        return OK;
    buf_addf(why, "%s: %s", f->folder, strerror(errno));
    f->folder[0] = '\0';
    return ERR_IO;
}

static void spawn_redis(struct farm *f)
{
    char socket[SOCKET_SIZE], log[MAX_PATH], dir[MAX_PATH];
    socket_path(f, socket);
    snprintf(log, sizeof log, "%s/redis.log", f->options.data);
    snprintf(dir, sizeof dir, "%s", f->options.data);
    char *argv[] = {
        "redis-server", "--port", "0", "--unixsocket",       socket,       "--unixsocketperm",
        "700",          "--dir",  dir, "--appendonly",       "yes",        "--appendfsync",
        "always",       "--save", "",  "--maxmemory-policy", "noeviction", "--daemonize",
        "no",           NULL};
    f->redis = spawn("redis-server", argv, NULL, log);
    f->redis_since = clock_mono_ms();
}

static enum err start_redis(struct farm *f, struct buf *why)
{
    char socket[SOCKET_SIZE];
    enum err e = make_socket_folder(f, why);
    if (e != OK)
        return e;
    spawn_redis(f);
    socket_path(f, socket);
    if (asprintf(&f->url, "unix://%s", socket) < 0)
        f->url = NULL;
    for (int64_t end = clock_mono_ms() + START_MS; f->url && clock_mono_ms() < end; nap(5)) {
        if (answers(socket))
            return OK;
        if (waitpid(f->redis, NULL, WNOHANG) == f->redis) {
            f->redis = 0;
            break;
        }
    }
    buf_addf(why, "the private redis-server does not start");
    last_words(f, "redis.log", why);
    return ERR_IO;
}

// --- Workers
// -------------------------------------------------------------------------------------

// Beside our own program, else wherever PATH says.
static void worker_path(char out[static MAX_PATH])
{
    ssize_t n = readlink("/proc/self/exe", out, MAX_PATH - 32);
    char *slash = n > 0 ? memrchr(out, '/', (size_t)n) : NULL;
    if (slash)
        strcpy(slash + 1, "genfarm-worker");
    if (!slash || access(out, X_OK) != 0)
        strcpy(out, "genfarm-worker");
}

static void start_worker(struct farm *f, unsigned i)
{
    const struct farm_options *o = &f->options;
    char path[MAX_PATH], concurrency[24], log[MAX_PATH], sink[MAX_PATH + 8];
    worker_path(path);
    snprintf(concurrency, sizeof concurrency, "%llu", (unsigned long long)o->concurrency);
    snprintf(log, sizeof log, "%s/worker-%u.log", o->data, i + 1);
    snprintf(sink, sizeof sink, "dir:%s", o->sink);
    const char *const fixed[] = {"genfarm-worker", "--queue",  o->queue, "--sink", sink,
                                 "--concurrency",  concurrency};
    const char *const more[][2] = {{"--limit", o->limit},
                                   {"--api-key-file", o->key_file},
                                   {"--gemini-base-url", o->base_url},
                                   {"--catalogue", o->catalogue},
                                   {"--verify", o->verify}};
    char *argv[sizeof fixed / sizeof *fixed + 11];
    size_t n = 0;
    for (size_t k = 0; k < sizeof fixed / sizeof *fixed; k++)
        argv[n++] = strdup(fixed[k]);
    for (size_t k = 0; k < 5; k++)
        if (more[k][1]) {
            argv[n++] = strdup(more[k][0]);
            argv[n++] = strdup(more[k][1]);
        }
    argv[n] = NULL;
    f->workers[i].pid = spawn(path, argv, f->url, log);
    f->workers[i].since = clock_mono_ms();
    while (n > 0)
        free(argv[--n]);
}

enum err farm_workers(struct farm *f, struct buf *why)
{
    for (unsigned i = 0; i < f->options.workers; i++) {
        start_worker(f, i);
        if (f->workers[i].pid < 0) {
            f->workers[i].pid = 0;
            buf_addf(why, "cannot start a worker: %s", strerror(errno));
            return ERR_IO;
        }
    }
    return OK;
}

static enum err ended(struct farm *f, unsigned i, int status, struct buf *why)
{
    char name[32];
    bool quick = clock_mono_ms() - f->workers[i].since < QUICK_MS;
    f->workers[i].pid = 0;
    if (f->draining)
        return OK;
    if (!(WIFEXITED(status) && quick) && f->restarts++ < MAX_RESTARTS) {
        start_worker(f, i);
        return OK;
    }
    snprintf(name, sizeof name, "worker-%u.log", i + 1);
    buf_add_str(why, "a worker cannot run");
    last_words(f, name, why);
    return ERR_IO;
}

static bool has_room(const struct farm *f)
{
    struct file_room room;
    return file_look(f->options.data, &room) != OK || room.free >= REDIS_ROOM;
}

// What Redis had acknowledged is in its file, and workers and client connect again: it is
// started anew, once there is room for it.
static enum err look_after_redis(struct farm *f, struct buf *why)
{
    if (f->redis > 0 && waitpid(f->redis, NULL, WNOHANG) <= 0) {
        f->no_room = f->no_room && clock_mono_ms() - f->redis_since < QUICK_MS;
        return OK;
    }
    f->redis = 0;
    if (!has_room(f)) {
        f->no_room = true;
        return OK;
    }
    if (f->restarts++ < MAX_RESTARTS) {
        spawn_redis(f);
        return OK;
    }
    buf_add_str(why, "the private redis-server ended");
    last_words(f, "redis.log", why);
    return ERR_IO;
}

enum err farm_look(struct farm *f, struct buf *why)
{
    int status;
    for (unsigned i = 0; i < f->options.workers; i++)
        if (f->workers[i].pid > 0 && waitpid(f->workers[i].pid, &status, WNOHANG) > 0) {
            enum err e = ended(f, i, status, why);
            if (e != OK)
                return e;
        }
    return f->options.redis_url ? OK : look_after_redis(f, why);
}

bool farm_no_room(const struct farm *f)
{
    return f->no_room;
}

void farm_drain(struct farm *f)
{
    f->draining = true;
    for (unsigned i = 0; i < f->options.workers; i++)
        if (f->workers[i].pid > 0)
            kill(f->workers[i].pid, SIGTERM);
}

bool farm_running(struct farm *f)
{
    struct buf none = {.max = 1};
    (void)!farm_look(f, &none);
    buf_free(&none);
    for (unsigned i = 0; i < f->options.workers; i++)
        if (f->workers[i].pid > 0)
            return true;
    return false;
}

// --- Beginning and end
// -----------------------------------------------------------------------------

enum err farm_start(const struct farm_options *o, struct farm **out, struct buf *why)
{
    struct farm *f = calloc(1, sizeof *f);
    if (!f)
        return ERR_NOMEM;
    f->options = *o;
    if (f->options.workers > MAX_WORKERS)
        f->options.workers = MAX_WORKERS;
    enum err e = file_mkdirs(o->data);
    if (e != OK)
        buf_addf(why, "%s: %s", o->data, strerror(errno));
    if (e == OK && o->redis_url)
        e = (f->url = strdup(o->redis_url)) ? OK : ERR_NOMEM;
    else if (e == OK)
        e = start_redis(f, why);
    if (e != OK) {
        farm_stop(f);
        return e;
    }
    *out = f;
    return OK;
}

const char *farm_url(const struct farm *f)
{
    return f->url;
}

static void stop(struct farm *f, int redis_signal)
{
    if (!f->draining) // a worker that is told twice leaves at once
        farm_drain(f);
    for (unsigned i = 0; i < f->options.workers; i++)
        if (f->workers[i].pid > 0)
            end_child(f->workers[i].pid, STOP_MS);
    if (f->redis > 0) {
        kill(f->redis, redis_signal);
        end_child(f->redis, STOP_MS);
    }
    if (f->folder[0]) {
        char socket[SOCKET_SIZE];
        socket_path(f, socket);
        unlink(socket);
        rmdir(f->folder);
    }
    free(f->url);
    free(f);
}

void farm_stop(struct farm *f)
{
    if (f)
        stop(f, SIGTERM);
}

// Two levels: Redis keeps its append-only files in a folder of their own.
static void remove_folder(const char *path, unsigned depth)
{
    DIR *d = opendir(path);
    struct dirent *entry;
    char child[MAX_PATH];
    struct stat st;
    while (d && (entry = readdir(d))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (snprintf(child, sizeof child, "%s/%s", path, entry->d_name) >= (int)sizeof child ||
            lstat(child, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth > 0)
            remove_folder(child, depth - 1);
        else
            unlink(child);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

void farm_remove(const char *folder)
{
    remove_folder(folder, 2);
}

void farm_forget(struct farm *f)
{
    char *data = strdup(f->options.data);
    stop(f, SIGKILL);
    if (data)
        farm_remove(data);
    free(data);
}
