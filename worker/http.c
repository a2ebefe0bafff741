// http.c - see http.h.
#include "worker/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/text.h"
#include "worker/curl_loop.h"

#define SENT      16384      // bytes, of curl's buffer for what a call sends
#define RECEIVED  (16 << 20) // of its buffers for what comes, all calls together
#define MAX_AGE_S 90L        // an idle connection is not used again after this long
#define RESOLVE_S 60L

struct http {
    struct http_options options;
    struct curl_loop curl;
};

struct http_call {
    struct http *http;
    CURL *easy;
    struct curl_slist *headers;
    struct http_hooks hooks;
    void *ctx;
    struct span body; // what is left of it
    bool from_file;
    int fd;
    uint64_t at, size; // of the file: sent, and in all
    bool sent;
    bool withheld; // may_send() said no
    enum err data_err;
    int64_t began_us;
    char why[CURL_ERROR_SIZE];
};

// --- Ends ------------------------------------------------------------------------------------

static const struct {
    CURLcode curl;
    enum err err;
} ends[] = {
    {CURLE_OK, OK},
    {CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT},
    {CURLE_OUT_OF_MEMORY, ERR_NOMEM},
    {CURLE_URL_MALFORMAT, ERR_FORMAT},
    {CURLE_UNSUPPORTED_PROTOCOL, ERR_FORMAT},
};

static enum err end_err(const struct http_call *c, CURLcode code)
{
    if (c->withheld)
        return ERR_LOST;
    if (code == CURLE_WRITE_ERROR && c->data_err != OK)
        return c->data_err;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends[i].curl == code)
            return ends[i].err;
    return ERR_NET;
}

static void call_free(struct http_call *c)
{
    curl_easy_cleanup(c->easy);
    curl_slist_free_all(c->headers);
    free(c);
}

static void finish(void *of, CURLcode code)
{
    struct http_call *c = of;
    struct http_end end = {.err = end_err(c, code),
                           .sent = c->sent,
                           .latency_ms = (clock_boot_us() - c->began_us) / 1000,
                           .why = c->why[0] ? c->why : curl_easy_strerror(code)};
    curl_off_t retry_after = 0, up = 0, down = 0;
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &end.status);
    curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &retry_after);
    curl_easy_getinfo(c->easy, CURLINFO_SIZE_UPLOAD_T, &up);
    curl_easy_getinfo(c->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
    end.retry_after = (double)retry_after;
    end.bytes_sent = up;
    end.bytes_received = down;
    curl_multi_remove_handle(c->http->curl.multi, c->easy);
    c->hooks.done(c->ctx, &end);
    call_free(c);
}

// --- One call -------------------------------------------------------------------------------

static bool may_send(struct http_call *c)
{
    if (!c->withheld && c->hooks.may_send && !c->hooks.may_send(c->ctx))
        c->withheld = true;
    return !c->withheld;
}

// The connection is there, and nothing of the request has left.
static int on_connected(void *ctx, char *to, char *from, int to_port, int from_port)
{
    (void)to, (void)from, (void)to_port, (void)from_port;
    return may_send(ctx) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static size_t read_file(struct http_call *c, char *to, size_t room)
{
    uint64_t left = c->size - c->at;
    ssize_t n = left == 0 ? 0 : pread(c->fd, to, left < room ? left : room, (off_t)c->at);
    if (n < 0 || (n == 0 && left > 0))
        return CURL_READFUNC_ABORT;
    c->at += (uint64_t)n;
    return (size_t)n;
}

static size_t on_read(char *to, size_t size, size_t n, void *ctx)
{
    struct http_call *c = ctx;
    if (!may_send(c))
        return CURL_READFUNC_ABORT;
    if (c->from_file) {
        c->sent = true;
        return read_file(c, to, size * n);
    }
    size_t k = size * n < c->body.len ? size * n : c->body.len;
    c->sent = true;
    memcpy(to, c->body.ptr, k);
    c->body.ptr += k;
    c->body.len -= k;
    return k;
}

static int on_seek(void *ctx, curl_off_t offset, int origin)
{
    (void)offset, (void)origin;
    struct http_call *c = ctx;
    return c->sent ? CURL_SEEKFUNC_FAIL : CURL_SEEKFUNC_OK;
}

static size_t on_write(char *bytes, size_t size, size_t n, void *ctx)
{
    struct http_call *c = ctx;
    long status = 0;
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    c->data_err = c->hooks.data(c->ctx, status, bytes, size * n);
    return c->data_err == OK ? size * n : (size * n == 0 ? 1 : 0);
}

// "Name: value\r\n"; the status line has no colon before a blank.
static size_t on_header(char *bytes, size_t size, size_t n, void *ctx)
{
    struct http_call *c = ctx;
    struct span line = text_trim((struct span){bytes, size * n});
    const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
    if (colon) {
        size_t k = (size_t)(colon - line.ptr);
        c->hooks.header(c->ctx, (struct span){line.ptr, k},
                        text_trim((struct span){colon + 1, line.len - k - 1}));
    }
    return size * n;
}

static bool set_headers(struct http_call *c, const struct http_request *r)
{
    for (size_t i = 0; r->headers[i]; i++) {
        struct curl_slist *more = curl_slist_append(c->headers, r->headers[i]);
        if (!more)
            return false;
        c->headers = more;
    }
    return true;
}

// Fewer and larger reads cost the kernel less; a thousand calls have to make do with 16 KB
// each.
static long receive_buffer(unsigned calls)
{
    long share = RECEIVED / (calls ? (long)calls : 1);
    return share < 16384 ? 16384 : share > 65536 ? 65536 : share;
}

static void set_body(struct http_call *c, const struct http_request *r)
{
    CURL *e = c->easy;
    curl_off_t size = r->from_file ? (curl_off_t)r->size : (curl_off_t)r->body.len;
    if (r->method) {
        curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
        return;
    }
    curl_easy_setopt(e, CURLOPT_POST, 1L);
    curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, size);
    curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(e, CURLOPT_READDATA, c);
    curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(e, CURLOPT_SEEKDATA, c);
}

static void set_options(struct http_call *c, const struct http_request *r)
{
    const struct http_options *o = &c->http->options;
    CURL *e = c->easy;
    curl_easy_setopt(e, CURLOPT_URL, r->url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    set_body(c, r);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, c);
    if (c->hooks.header) {
        curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
    }
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "genfarm/" GENFARM_VERSION);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->why);
    curl_easy_setopt(e, CURLOPT_PRIVATE, c);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, receive_buffer(o->connections));
    curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)SENT);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(o->connect * 1000));
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)(r->timeout * 1000));
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)o->idle);
    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, MAX_AGE_S);
    curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, RESOLVE_S);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    if (o->ca_file)
        curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_file);
}

enum err http_post(struct http *h, const struct http_request *r, const struct http_hooks *hooks,
                   void *ctx, struct http_call **out)
{
    struct http_call *c = calloc(1, sizeof *c);
    if (!c)
        return ERR_NOMEM;
    *c = (struct http_call){.http = h,
                            .easy = curl_easy_init(),
                            .hooks = *hooks,
                            .ctx = ctx,
                            .body = r->body,
                            .from_file = r->from_file,
                            .fd = r->fd,
                            .size = r->size,
                            .began_us = clock_boot_us()};
    if (!c->easy || !set_headers(c, r)) {
        call_free(c);
        return ERR_NOMEM;
    }
    set_options(c, r);
    if (curl_multi_add_handle(h->curl.multi, c->easy) != CURLM_OK) {
        call_free(c);
        return ERR_NOMEM;
    }
    *out = c;
    return OK;
}

void http_cancel(struct http_call *c)
{
    curl_multi_remove_handle(c->http->curl.multi, c->easy);
    call_free(c);
}

void http_pause(struct http_call *c, bool pause)
{
    curl_easy_pause(c->easy, pause ? CURLPAUSE_RECV : CURLPAUSE_CONT);
}

bool http_sent(const struct http_call *c)
{
    return c->sent;
}

// --- Beginning and end ----------------------------------------------------------------------

struct http *http_new(struct ev_loop *loop, const struct http_options *o)
{
    struct http *h = calloc(1, sizeof *h);
    if (!h || !curl_loop_init(&h->curl, loop, finish)) {
        free(h);
        return NULL;
    }
    h->options = *o;
    curl_multi_setopt(h->curl.multi, CURLMOPT_MAXCONNECTS, (long)o->connections);
    return h;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    curl_loop_free(&h->curl);
    free(h);
}
