// secret.c - see secret.h.
#include "common/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/text.h"

static enum err from_file(struct buf *out, const char *path, struct buf *why)
{
    struct buf file = {.max = SECRET_MAX};
    enum err e = file_read(path, &file);
    struct span key = text_trim(buf_span(&file));
    if (e != OK)
        buf_addf(why, "%s: %s", path, e == ERR_TOOBIG ? err_text(e) : strerror(errno));
    else if (key.len == 0)
        buf_addf(why, "%s: the file is empty", path);
    buf_add(out, key);
    secret_free(&file);
    return e != OK ? e : key.len ? out->err : ERR_MISSING;
}

static enum err from_environment(struct buf *out, const char *const *names, struct buf *why)
{
    for (size_t i = 0; names[i]; i++) {
        struct span key = text_trim(span_of(getenv(names[i])));
        if (key.len > 0) {
            buf_add(out, key);
            return out->err;
        }
    }
    buf_add_str(why, "none is set: ");
    for (size_t i = 0; names[i]; i++)
        buf_addf(why, "%s%s", i ? " or " : "", names[i]);
    return ERR_MISSING;
}

// A key goes into a header: anything but printable ASCII would end it.
static enum err check(const struct buf *key, const char *file, struct buf *why)
{
    for (size_t i = 0; i < key->len; i++)
        if (key->ptr[i] < 0x21 || key->ptr[i] > 0x7e) {
            buf_addf(why, "%s%sthe key has a character no key can have (at position %zu)",
                     file ? file : "", file ? ": " : "", i + 1);
            return ERR_RANGE;
        }
    return OK;
}

enum err secret_read(struct buf *out, const char *file, const char *const *names,
                     struct buf *why)
{
    *out = (struct buf){.max = SECRET_MAX};
    enum err e = file ? from_file(out, file, why) : from_environment(out, names, why);
    return e == OK ? check(out, file, why) : e;
}

bool secret_exposed(const char *file)
{
    struct stat s;
    return stat(file, &s) == 0 && S_ISREG(s.st_mode) && (s.st_mode & 077) != 0;
}

void secret_free(struct buf *key)
{
    if (key->ptr)
        explicit_bzero(key->ptr, key->cap);
    buf_free(key);
}

// The text of the environment that /proc shows is the one the process was started with.
void secret_forget(const char *const *names)
{
    for (size_t i = 0; names[i]; i++) {
        char *value = getenv(names[i]);
        if (value)
            explicit_bzero(value, strlen(value));
        unsetenv(names[i]);
    }
}

// The program goes on with a copy, which lives as long as it does.
static void hide(char **argument)
{
    char *from = strstr(*argument, "://"), *at = from ? strrchr(from, '@') : NULL;
    char *colon = at ? memchr(from + 3, ':', (size_t)(at - from - 3)) : NULL;
    char *copy = colon ? strdup(*argument) : NULL;
    if (!copy)
        return;
    memset(colon + 1, '*', (size_t)(at - colon - 1));
    *argument = copy;
}

void secret_hide_arguments(int argc, char *argv[])
{
    for (int i = 1; i < argc; i++)
        hide(&argv[i]);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

// The limit alone does not hold for dumps that are piped to a program. Leak detection looks
// into its own process as a debugger does, and could not any more.
void secret_no_dumps(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    if (!SANITIZED)
        prctl(PR_SET_DUMPABLE, 0);
}
