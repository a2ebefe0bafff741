// curl_loop.c - see curl_loop.h.
#include "worker/curl_loop.h"

#include <stdlib.h>

#include "common/timer.h"

struct watch { // one socket of curl's
    struct curl_loop *of;
    ev_io io;
};

static void reap(struct curl_loop *l)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(l->multi, &left)))
        if (m->msg == CURLMSG_DONE) {
            char *of;
            CURLcode code = m->data.result; // m goes with the handle
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &of);
            l->done(of, code);
        }
}

static void on_io(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    struct curl_loop *l = ((struct watch *)w->data)->of;
    int running, what = (revents & EV_READ ? CURL_CSELECT_IN : 0) |
                        (revents & EV_WRITE ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(l->multi, w->fd, what, &running); // may free the watch
    reap(l);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    struct curl_loop *l = w->data;
    int running;
    curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    reap(l);
}

static int set_timer(CURLM *multi, long ms, void *ctx)
{
    (void)multi;
    struct curl_loop *l = ctx;
    if (ms < 0)
        ev_timer_stop(l->loop, &l->timer);
    else
        timer_restart(l->loop, &l->timer, (double)ms / 1000.);
    return 0;
}

static struct watch *watch_new(struct curl_loop *l, curl_socket_t fd)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->of = l;
    ev_init(&w->io, on_io);
    w->io.data = w;
    curl_multi_assign(l->multi, fd, w);
    return w;
}

static void watch_free(struct watch *w)
{
    if (w)
        ev_io_stop(w->of->loop, &w->io);
    free(w);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *of_socket)
{
    (void)easy;
    struct curl_loop *l = ctx;
    struct watch *w = of_socket;
    if (what == CURL_POLL_REMOVE) {
        watch_free(w);
        return 0;
    }
    if (!w && !(w = watch_new(l, fd)))
        return -1;
    ev_io_stop(l->loop, &w->io);
    ev_io_set(&w->io, fd,
              (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
    ev_io_start(l->loop, &w->io);
    return 0;
}

bool curl_loop_init(struct curl_loop *l, struct ev_loop *loop, curl_loop_done *done)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(l->multi = curl_multi_init()))
        return false;
    l->loop = loop;
    l->done = done;
    ev_init(&l->timer, on_timer);
    l->timer.data = l;
    curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    return true;
}

void curl_loop_free(struct curl_loop *l)
{
    curl_multi_cleanup(l->multi);
    ev_timer_stop(l->loop, &l->timer);
}
