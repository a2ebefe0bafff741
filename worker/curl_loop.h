// curl_loop.h - libcurl's multi interface in a libev loop: the sockets and the timer that it
// asks for, and its word that a transfer has ended.
#ifndef WORKER_CURL_LOOP_H
#define WORKER_CURL_LOOP_H

#include <curl/curl.h>
#include <ev.h>
#include <stdbool.h>

// `of`: the CURLOPT_PRIVATE of a transfer that has ended. It is still among those of `multi`.
typedef void curl_loop_done(void *of, CURLcode code);

struct curl_loop { // embedded; must stay where it is
    CURLM *multi;  // for adding and removing transfers
    struct ev_loop *loop;
    ev_timer timer;
    curl_loop_done *done;
};
// False: out of memory. `done` is called from the loop alone.
bool curl_loop_init(struct curl_loop *l, struct ev_loop *loop, curl_loop_done *done);
void curl_loop_free(struct curl_loop *l); // no transfer may be left
#endif
