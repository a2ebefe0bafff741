// http.h - HTTP calls on curl's multi interface, in the libev loop.
//
// A POST is never sent twice behind our back: libcurl repeats one by itself when a reused
// connection is cut before the first byte of the answer, unless the body cannot be rewound. So
// it comes from a read callback whose seek fails; whether that was ever asked for bytes tells
// whether the server can have had the request (measured with 7.88.1).
//
// Between the start of a call and its first byte lie the name, the connection and its TLS, many
// seconds when they are slow: whoever must not send after a while is asked right before the
// request leaves, and again before each part of its body.
//
// HTTP/1.1, for a cut or stalled connection then costs one call and not all of them.
#ifndef WORKER_HTTP_H
#define WORKER_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct ev_loop;
struct http;
struct http_call;

struct http_options {
    const char *ca_file;  // NULL: the system's; borrowed
    double connect;       // seconds for a connection with its TLS
    double idle;          // seconds without a byte that end a call
    unsigned connections; // kept open at most
};
struct http *http_new(struct ev_loop *loop,
                      const struct http_options *o); // NULL: out of memory
void http_free(struct http *h);                      // no call may be left; NULL is fine

struct http_end {       // how a call ended, borrowed for the time of the callback
    enum err err;       // OK: the answer is whole, whatever its status. ERR_TIMEOUT, ERR_NET,
                        // ERR_FORMAT (a bad URL), ERR_LOST (`may_send` said no), or what
                        // `data` had returned
    long status;        // 0: none came
    bool sent;          // bytes of the body were handed to the connection
    double retry_after; // seconds of the header, 0: none
    int64_t latency_ms;
    int64_t bytes_sent, bytes_received; // of the bodies
    const char *why;                    // curl's words; never NULL
};
struct http_hooks {
    // The body as it arrives. Not OK ends the call with that error.
    enum err (*data)(void *ctx, long status, const char *bytes, size_t n);
    void (*done)(void *ctx, const struct http_end *end); // once, never from inside http_post()
    void (*header)(void *ctx, struct span name, struct span value); // of the answer; or NULL
    // Whether bytes that have not left may leave; false ends the call. NULL: they may.
    bool (*may_send)(void *ctx);
};
struct http_request {
    const char *url;
    const char *const *headers; // "Name: value", ended by NULL
    struct span body;           // owned by the caller until the end
    double timeout;             // seconds in all
    const char *method;         // NULL: POST; "GET" and "DELETE" have no body
    bool from_file;             // the body is not `body`, but the first bytes of a file
    int fd;                     // the file; open until the end
    uint64_t size;              // how many of them
};
MUST_USE enum err http_post(struct http *h, const struct http_request *r,
                            const struct http_hooks *hooks, void *ctx, struct http_call **out);
void http_cancel(struct http_call *c); // cuts the connection; done() is not called
// No data() until it goes on; what has come already may still be told.
void http_pause(struct http_call *c, bool pause);
bool http_sent(const struct http_call *c); // as http_end's
#endif
