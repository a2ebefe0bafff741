#include "unit/fault.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "unit/test.h"

enum kind { SYNC, WRITE, ALLOC, KINDS };

static atomic_uint left[KINDS];
static atomic_bool happened;

static void tell(enum kind k, unsigned n)
{
    atomic_store(&happened, false);
    atomic_store(&left[k], n);
}

void fault_sync(unsigned n)
{
    tell(SYNC, n);
}

void fault_write(unsigned n)
{
    tell(WRITE, n);
}

void fault_alloc(unsigned n)
{
    tell(ALLOC, n);
}

void fault_forget(void)
{
    for (enum kind k = 0; k < KINDS; k++)
        atomic_store(&left[k], 0);
}

bool fault_happened(void)
{
    return atomic_load(&happened);
}

static bool fails(enum kind k)
{
    static const int causes[] = {[SYNC] = EIO, [WRITE] = ENOSPC, [ALLOC] = ENOMEM};
    if (atomic_load(&left[k]) == 0 || atomic_fetch_sub(&left[k], 1) != 1)
        return false;
    atomic_store(&happened, true);
    errno = causes[k];
    return true;
}

void fault_sweep(fault *kind, enum err error, fault_act *act, void *ctx)
{
    for (unsigned n = 1;; n++) {
        kind(n);
        enum err e = act(ctx);
        bool failed = fault_happened();
        kind(0);
        if (e != OK && (!failed || e != error))
            fail_msg("call %u %s: %s", n, failed ? "failed" : "went well", err_text(e));
        if (!failed) {
            assert_true(n > 1); // there was something to fail
            return;
        }
    }
}

// --- In place of the calls -------------------------------------------------------------------

#define WRAP(kind, failure, type, name, parameters, arguments)  \
    type __real_##name parameters;                              \
    type __wrap_##name parameters;                              \
    type __wrap_##name parameters                               \
    {                                                           \
        return fails(kind) ? failure : __real_##name arguments; \
    }

WRAP(SYNC, -1, int, fsync, (int fd), (fd))
WRAP(SYNC, -1, int, fdatasync, (int fd), (fd))
WRAP(WRITE, -1, ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
WRAP(WRITE, -1, ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off_t at),
     (fd, v, n, at)) // pwritev() by its name for large files
WRAP(WRITE, EOF, int, fflush, (FILE * f), (f))
WRAP(WRITE, -1, int, rename, (const char *from, const char *to), (from, to))
WRAP(WRITE, -1, int, link, (const char *from, const char *to), (from, to))
WRAP(WRITE, -1, int, linkat, (int a, const char *from, int b, const char *to, int flags),
     (a, from, b, to, flags))
WRAP(ALLOC, NULL, void *, malloc, (size_t n), (n))
WRAP(ALLOC, NULL, void *, calloc, (size_t n, size_t size), (n, size))
WRAP(ALLOC, NULL, void *, realloc, (void *p, size_t n), (p, n))
WRAP(ALLOC, NULL, void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size))
WRAP(ALLOC, NULL, char *, strdup, (const char *s), (s))
WRAP(ALLOC, NULL, char *, strndup, (const char *s, size_t n), (s, n))
