#include "unit/fault.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
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

// --- Places ----------------------------------------------------------------------------------

#define PLACES 5000
#define DEPTH  10 // of the callers that make up a place

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t places[PLACES]; // where one failed
static unsigned n_places;
static atomic_bool by_place;

void fault_place(unsigned n)
{
    pthread_mutex_lock(&lock);
    if (n == 1)
        n_places = 0;
    pthread_mutex_unlock(&lock);
    tell(ALLOC, 0);
    atomic_store(&by_place, n > 0);
}

static uint64_t place(void)
{
    void *callers[DEPTH];
    uint64_t hash = 0;
    int n = backtrace(callers, DEPTH);
    for (int i = 0; i < n; i++)
        hash = (hash ^ (uintptr_t)callers[i]) * UINT64_C(0x100000001b3);
    return hash;
}

// With the lock.
static bool is_fresh(uint64_t here)
{
    for (unsigned i = 0; i < n_places; i++)
        if (places[i] == here)
            return false;
    if (n_places == PLACES)
        fail_msg("there are too many places");
    places[n_places++] = here;
    return true;
}

static bool fails_here(void)
{
    uint64_t here = place();
    pthread_mutex_lock(&lock);
    bool yes = atomic_load(&by_place) && is_fresh(here);
    if (yes)
        atomic_store(&by_place, false);
    pthread_mutex_unlock(&lock);
    return yes;
}

// --- What fails ------------------------------------------------------------------------------

void fault_forget(void)
{
    atomic_store(&by_place, false);
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
    bool nth = atomic_load(&left[k]) > 0 && atomic_fetch_sub(&left[k], 1) == 1;
    if (!nth && !(k == ALLOC && atomic_load(&by_place) && fails_here()))
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
