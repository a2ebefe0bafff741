// log.c - see log.h.
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/text.h"

#define MAX_LINE    8192
#define MAX_SECRETS 260

// The one piece of state that a whole process shares.
static struct {
    const char *prog;
    enum log_level level;
    int fd; // of the file, or -1
    char secret[MAX_SECRETS][256];
    size_t n_secrets;
} out = {.prog = "genfarm", .level = LOG_INFO, .fd = -1};

static const char *const names[] = {"error", "warn", "info", "debug"};

enum err log_open(const char *prog, enum log_level level, const char *dir)
{
    out.prog = prog;
    out.level = level;
    if (!dir)
        return OK;
    enum err e = file_mkdirs(dir);
    if (e != OK)
        return e;
    char when[CLOCK_COMPACT_SIZE];
    struct buf path = {.max = 4096};
    clock_compact(clock_wall_ms(), when);
    buf_addf(&path, "%s/%s-%s-%ld.log", dir, prog, when, (long)getpid());
    if (path.err == OK)
        out.fd = open(buf_str(&path), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    e = path.err ? path.err : out.fd < 0 ? file_err(errno) : OK;
    buf_free(&path);
    return e;
}

void log_close(void)
{
    if (out.fd >= 0)
        close(out.fd);
    out.fd = -1;
    explicit_bzero(out.secret, sizeof out.secret);
    out.n_secrets = 0;
}

bool log_level_parse(const char *name, enum log_level *level)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

bool log_enabled(enum log_level level)
{
    return level <= out.level;
}

void log_secret(struct span secret)
{
    if (secret.len < 6 || secret.len >= sizeof out.secret[0] || out.n_secrets == MAX_SECRETS)
        return;
    memcpy(out.secret[out.n_secrets], secret.ptr, secret.len);
    out.secret[out.n_secrets++][secret.len] = '\0';
}

static void put(int fd, struct span line)
{
    while (line.len > 0) {
        ssize_t n = write(fd, line.ptr, line.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; // there is nowhere to say that the log cannot be written
        line.ptr += n;
        line.len -= (size_t)n;
    }
}

void log_at(enum log_level level, const char *msg, const char *fmt, ...)
{
    if (!log_enabled(level))
        return;
    char when[CLOCK_RFC3339_SIZE];
    struct buf fields = {.max = MAX_LINE}, line = {.max = 5 * MAX_LINE};
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&fields, fmt, ap);
    va_end(ap);
    clock_rfc3339(clock_wall_ms(), when);
    buf_addf(&line, "ts=%s level=%s prog=%s msg=\"%s\"%s", when, names[level], out.prog, msg,
             fields.len ? " " : "");
    text_show(&line, buf_span(&fields), MAX_LINE);
    for (size_t i = 0; i < out.n_secrets; i++)
        text_redact(&line, span_of(out.secret[i]));
    buf_add_byte(&line, '\n');
    put(STDERR_FILENO, buf_span(&line));
    if (out.fd >= 0)
        put(out.fd, buf_span(&line));
    buf_free(&fields);
    buf_free(&line);
}
