// waiting.c - see waiting.h. A heap ordered by the time that is due; stalled calls come up in
// it every LOOK_US to be looked at.
#include "emulator/waiting.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define LOOK_US 50000

struct entry {
    int64_t due_us;
    struct MHD_Connection *connection;
    int fd; // -1: due is due
};

struct waiting {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t thread;
    struct entry *heap;
    size_t n, cap;
    bool stopping;
};

int64_t waiting_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void swap(struct entry *a, struct entry *b)
{
    struct entry t = *a;
    *a = *b;
    *b = t;
}

static bool push(struct waiting *w, struct entry e)
{
    if (w->n == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 256;
        struct entry *heap = realloc(w->heap, cap * sizeof *heap);
        if (!heap)
            return false;
        w->heap = heap;
        w->cap = cap;
    }
    size_t i = w->n++;
    w->heap[i] = e;
    for (; i && w->heap[i].due_us < w->heap[(i - 1) / 2].due_us; i = (i - 1) / 2)
        swap(&w->heap[i], &w->heap[(i - 1) / 2]);
    return true;
}

static struct entry pop(struct waiting *w)
{
    struct entry top = w->heap[0];
    w->heap[0] = w->heap[--w->n];
    for (size_t i = 0, child; (child = 2 * i + 1) < w->n; i = child) {
        if (child + 1 < w->n && w->heap[child + 1].due_us < w->heap[child].due_us)
            child++;
        if (w->heap[i].due_us <= w->heap[child].due_us)
            break;
        swap(&w->heap[i], &w->heap[child]);
    }
    return top;
}

static bool gone(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

// Resumes what is due. The connection is not touched afterwards: it may be closed at once.
static void resume_due(struct waiting *w, int64_t now_us)
{
    while (w->n && (w->stopping || w->heap[0].due_us <= now_us)) {
        struct entry e = pop(w);
        if (!w->stopping && e.fd >= 0 && !gone(e.fd)) {
            e.due_us = now_us + LOOK_US;
            push(w, e); // there is room: it was just taken out
        } else {
            MHD_resume_connection(e.connection);
        }
    }
}

static void *look_after(void *arg)
{
    struct waiting *w = arg;
    pthread_mutex_lock(&w->mutex);
    while (!w->stopping || w->n) {
        resume_due(w, waiting_now_us());
        if (w->n == 0 && !w->stopping) {
            pthread_cond_wait(&w->changed, &w->mutex);
        } else if (w->n) {
            struct timespec t = {.tv_sec = w->heap[0].due_us / 1000000,
                                 .tv_nsec = w->heap[0].due_us % 1000000 * 1000};
            pthread_cond_timedwait(&w->changed, &w->mutex, &t);
        }
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

struct waiting *waiting_new(void)
{
    struct waiting *w = calloc(1, sizeof *w);
    pthread_condattr_t monotonic;
    if (!w)
        return NULL;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&w->thread, NULL, look_after, w) != 0) {
        free(w);
        return NULL;
    }
    return w;
}

static enum err add(struct waiting *w, struct entry e)
{
    enum err err = OK;
    pthread_mutex_lock(&w->mutex);
    if (w->stopping)
        err = ERR_ORDER;
    else if (!push(w, e))
        err = ERR_NOMEM;
    else
        MHD_suspend_connection(
            e.connection); // before the lock is gone, so before it is resumed
    if (!err && w->heap[0].connection == e.connection)
        pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    return err;
}

enum err waiting_until(struct waiting *w, struct MHD_Connection *c, int64_t due_us)
{
    return add(w, (struct entry){.due_us = due_us, .connection = c, .fd = -1});
}

enum err waiting_for_close(struct waiting *w, struct MHD_Connection *c, int fd)
{
    int64_t due_us = waiting_now_us() + LOOK_US;
    return add(w, (struct entry){.due_us = due_us, .connection = c, .fd = fd});
}

void waiting_stop(struct waiting *w)
{
    pthread_mutex_lock(&w->mutex);
    bool first = !w->stopping;
    w->stopping = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    if (first)
        pthread_join(w->thread, NULL);
}

void waiting_free(struct waiting *w)
{
    if (!w)
        return;
    waiting_stop(w);
    free(w->heap);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}
