// farm.c - see farm.h.
#include "client/farm.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/child.h"
#include "client/private_redis.h"
#include "common/clock.h"
#include "common/file.h"

#define MAX_WORKERS  64
#define MAX_RESTARTS 20
#define STOP_MS      10000
#define CHECK_MS     30000
#define CANNOT_START 127  // of child.c
#define QUICK_MS     2000 // a worker that ends sooner than this cannot run at all

struct farm {
    struct farm_options options;
    struct private_redis *redis; // NULL: it is another's
    struct {
        pid_t pid; // 0: none
        int64_t since;
    } workers[MAX_WORKERS];
    unsigned restarts;
    bool draining;
};

// --- Workers --------------------------------------------------------------------------------

// Beside our own program, else wherever PATH says.
static void worker_path(char out[static CHILD_MAX_PATH])
{
    ssize_t n = readlink("/proc/self/exe", out, CHILD_MAX_PATH - 32);
    char *slash = n > 0 ? memrchr(out, '/', (size_t)n) : NULL;
    if (slash)
        strcpy(slash + 1, "genfarm-worker");
    if (!slash || access(out, X_OK) != 0)
        strcpy(out, "genfarm-worker");
}

struct arguments {
    char *at[32];
    size_t n;
};

static void add_argument(struct arguments *a, const char *option, const char *value)
{
    if (!value)
        return;
    a->at[a->n++] = strdup(option);
    a->at[a->n++] = strdup(value);
}

static void make_arguments(struct arguments *a, const struct farm_options *o)
{
    char concurrency[24], sink[CHILD_MAX_PATH + 8];
    snprintf(concurrency, sizeof concurrency, "%llu", (unsigned long long)o->concurrency);
    snprintf(sink, sizeof sink, "dir:%s", o->sink);
    const char *const all[][2] = {
        {"--queue", o->queue},           {"--sink", sink},
        {"--concurrency", concurrency},  {"--limit", o->limit},
        {"--api-key-file", o->key_file}, {"--projects", o->projects},
        {"--catalogue", o->catalogue},   {"--gemini-base-url", o->base_url},
        {"--verify", o->verify},         {"--gemini-ca", o->gemini_ca},
        {"--redis-ca", o->redis_ca}};
    *a = (struct arguments){{strdup("genfarm-worker")}, 1};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        add_argument(a, all[i][0], all[i][1]);
}

static void free_arguments(struct arguments *a)
{
    while (a->n > 0)
        free(a->at[--a->n]);
}

static void start_worker(struct farm *f, unsigned i)
{
    char path[CHILD_MAX_PATH], log[CHILD_MAX_PATH];
    struct arguments a;
    worker_path(path);
    snprintf(log, sizeof log, "%s/worker-%u.log", f->options.data, i + 1);
    make_arguments(&a, &f->options);
    f->workers[i].pid = child_start(&(struct child){path, a.at, log, farm_url(f), NULL, 0});
    f->workers[i].since = clock_mono_ms();
    free_arguments(&a);
}

// What the worker said, without its name.
static void take_words(int fd, struct buf *why)
{
    char text[2048];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    char *from = strncmp(text, "genfarm-worker: ", 16) == 0 ? text + 16 : text;
    from[strcspn(from, "\n")] = '\0';
    buf_add_str(why, *from ? from : "a worker cannot run");
}

static enum err run_check(const char *path, char *const *argv, const char *url, int fd,
                          struct buf *why)
{
    char log[64];
    int status = 0;
    snprintf(log, sizeof log, "/proc/self/fd/%d", fd);
    pid_t pid = child_start(&(struct child){path, argv, log, url, NULL, 0});
    if (pid < 0 || !child_wait(pid, CHECK_MS, &status)) {
        buf_addf(why, "cannot start a worker: %s", strerror(pid < 0 ? errno : ETIMEDOUT));
        if (pid > 0)
            child_end(pid, 0);
        return ERR_IO;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return OK;
    take_words(fd, why);
    return WIFEXITED(status) && WEXITSTATUS(status) != CANNOT_START ? ERR_FORMAT : ERR_IO;
}

enum err farm_check(const struct farm_options *o, struct buf *why)
{
    char path[CHILD_MAX_PATH];
    struct arguments a;
    int fd = memfd_create("genfarm-check", MFD_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    worker_path(path);
    make_arguments(&a, o);
    a.at[a.n++] = strdup("--check");
    enum err e = run_check(path, a.at, o->redis_url ? o->redis_url : "unix:///none", fd, why);
    free_arguments(&a);
    close(fd);
    return e;
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
    child_last_words(f->options.data, name, why);
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
    return f->redis ? private_redis_look(f->redis, why) : OK;
}

bool farm_no_room(const struct farm *f)
{
    return f->redis && private_redis_no_room(f->redis);
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

// --- Beginning and end ----------------------------------------------------------------------

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
    if (e == OK && !o->redis_url)
        e = private_redis_start(o->data, o->lock, &f->redis, why);
    if (e != OK) {
        farm_stop(f);
        return e;
    }
    *out = f;
    return OK;
}

const char *farm_url(const struct farm *f)
{
    return f->redis ? private_redis_url(f->redis) : f->options.redis_url;
}

static void end_workers(struct farm *f)
{
    if (!f->draining) // a worker that is told twice leaves at once
        farm_drain(f);
    for (unsigned i = 0; i < f->options.workers; i++)
        if (f->workers[i].pid > 0)
            child_end(f->workers[i].pid, STOP_MS);
}

void farm_stop(struct farm *f)
{
    if (!f)
        return;
    end_workers(f);
    private_redis_stop(f->redis);
    free(f);
}

// Two levels: Redis keeps its append-only files in a folder of their own.
static void remove_folder(const char *path, unsigned depth)
{
    DIR *d = opendir(path);
    struct dirent *entry;
    char child[CHILD_MAX_PATH];
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
    end_workers(f);
    private_redis_kill(f->redis);
    free(f);
    if (data)
        farm_remove(data);
    free(data);
}
