// pool.c - one mutexed list of tasks, one of results, and a wake-up for each direction.
#include "common/pool.h"

#include <ev.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

STAILQ_HEAD(task_list, pool_task);

struct pool {
    struct ev_loop *loop;
    ev_async wake;
    pthread_mutex_t lock; // guards the lists and `stop`
    pthread_cond_t more;
    struct task_list todo, ready;
    bool stop;
    int nice;
    unsigned threads;
    pthread_t thread[];
};

static struct pool_task *next(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    while (!p->stop && STAILQ_EMPTY(&p->todo))
        pthread_cond_wait(&p->more, &p->lock);
    struct pool_task *t = p->stop ? NULL : STAILQ_FIRST(&p->todo);
    if (t)
        STAILQ_REMOVE_HEAD(&p->todo, link);
    pthread_mutex_unlock(&p->lock);
    return t;
}

static void *run(void *arg)
{
    struct pool *p = arg;
    struct pool_task *t;
    if (p->nice) // on Linux a thread has its own
        setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + p->nice);
    while ((t = next(p))) {
        t->work(t);
        pthread_mutex_lock(&p->lock);
        STAILQ_INSERT_TAIL(&p->ready, t, link);
        pthread_mutex_unlock(&p->lock);
        ev_async_send(p->loop, &p->wake);
    }
    return NULL;
}

static void on_wake(struct ev_loop *loop, ev_async *w, int revents)
{
    (void)loop, (void)revents;
    struct pool *p = w->data;
    struct task_list done = STAILQ_HEAD_INITIALIZER(done);
    pthread_mutex_lock(&p->lock);
    STAILQ_CONCAT(&done, &p->ready);
    pthread_mutex_unlock(&p->lock);
    struct pool_task *t;
    while ((t = STAILQ_FIRST(&done))) {
        STAILQ_REMOVE_HEAD(&done, link);
        t->done(t);
    }
}

unsigned pool_cores(unsigned most)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 2 ? 2 : n > (long)most ? most : (unsigned)n;
}

struct pool *pool_new(struct ev_loop *loop, unsigned threads, int nice)
{
    struct pool *p = calloc(1, sizeof *p + threads * sizeof p->thread[0]);
    if (!p)
        return NULL;
    p->loop = loop;
    p->nice = nice;
    STAILQ_INIT(&p->todo);
    STAILQ_INIT(&p->ready);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->more, NULL);
    ev_async_init(&p->wake, on_wake);
    p->wake.data = p;
    ev_async_start(loop, &p->wake);
    for (; p->threads < threads; p->threads++)
        if (pthread_create(&p->thread[p->threads], NULL, run, p) != 0)
            break;
    if (p->threads == 0) {
        pool_free(p);
        return NULL;
    }
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->more);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->threads; i++)
        pthread_join(p->thread[i], NULL);
    ev_async_stop(p->loop, &p->wake);
    pthread_cond_destroy(&p->more);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void pool_add(struct pool *p, struct pool_task *t)
{
    pthread_mutex_lock(&p->lock);
    STAILQ_INSERT_TAIL(&p->todo, t, link);
    pthread_cond_signal(&p->more);
    pthread_mutex_unlock(&p->lock);
}
