// child.c - see child.h.
#include "client/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/request.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/secret.h"

// A pipe holds this much without a reader.
static int open_input(const char *text)
{
    int ends[2];
    if (!text)
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    size_t n = strnlen(text, PIPE_BUF);
    ssize_t written = write(ends[1], text, n);
    close(ends[1]);
    if (written == (ssize_t)n)
        return ends[0];
    close(ends[0]);
    return -1;
}

static _Noreturn void become(const struct child *c, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setpgid(0, 0);
    if (getppid() != parent)
        _exit(127);
    int fd = open(c->log, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    int in = open_input(c->input);
    if (fd < 0 || in < 0 || dup2(in, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(127);
    if (c->keep > 2 && fcntl(c->keep, F_SETFD, 0) != 0)
        _exit(127);
    if (c->redis_url)
        setenv("GENFARM_REDIS_URL", c->redis_url, 1);
    else
        secret_forget(request_key_names);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(c->path, c->argv);
    dprintf(2, "%s: %s\n", c->path, strerror(errno));
    _exit(127);
}

pid_t child_start(const struct child *c)
{
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(c, parent);
    return pid;
}

void child_nap(long ms)
{
    struct timespec t = {0, ms * 1000000};
    nanosleep(&t, NULL);
}

bool child_wait(pid_t pid, int64_t ms, int *status)
{
    for (int64_t end = clock_mono_ms() + ms; clock_mono_ms() < end; child_nap(5))
        if (waitpid(pid, status, WNOHANG) != 0)
            return true;
    return false;
}

void child_end(pid_t pid, int64_t ms)
{
    if (child_wait(pid, ms, NULL))
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

void child_last_words(const char *folder, const char *name, struct buf *why)
{
    struct buf path = {.max = CHILD_MAX_PATH}, text = {.max = 1u << 24};
    buf_addf(&path, "%s/%s", folder, name);
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
