// What a remote batch is called, as Redis keeps it, and what the provider answers about it:
// where a call goes is a place below the endpoint, whatever the name; the key goes nowhere
// else; and what is told is a name, a state and a count, or that it was none.
//
// An input: which call, a status, a line with the name, then answers, with 0x1e between them.
// http_post() is this file's own (see --wrap in CMakeLists.txt): it hands them over.
#include <ev.h>
#include <string.h>

#include "broker/projects.h"
#include "common/log.h"
#include "fuzz.h"
#include "worker/keyring.h"
#include "worker/provider_gemini_remote.h"

#define BASE "https://api.test"
#define KEY  "AIzaSecretSecretSecret"

static struct {
    struct http_hooks hooks;
    void *ctx;
    unsigned posts;
    bool under_way;
} wire;

static void check_request(const struct http_request *r)
{
    bool below = strncmp(r->url, BASE "/", sizeof BASE) == 0, keyed = false;
    for (size_t i = 0; r->headers[i]; i++) {
        FUZZ_CHECK(!strpbrk(r->headers[i], "\r\n"));
        keyed = keyed || strstr(r->headers[i], KEY);
    }
    FUZZ_CHECK(keyed == below);
    for (const char *at = r->url; *at; at++)
        FUZZ_CHECK(*at > ' ' && *at < 0x7f);
}

enum err __wrap_http_post(struct http *h, const struct http_request *r,
                          const struct http_hooks *hooks, void *ctx, struct http_call **out);
enum err __wrap_http_post(struct http *h, const struct http_request *r,
                          const struct http_hooks *hooks, void *ctx, struct http_call **out)
{
    (void)h, (void)out;
    FUZZ_CHECK(!wire.under_way);
    check_request(r);
    wire.hooks = *hooks;
    wire.ctx = ctx;
    wire.under_way = true;
    wire.posts++;
    return OK;
}

// --- What is told ----------------------------------------------------------------------------

static unsigned told, kind;

static bool is_name(struct span s, const char *of)
{
    return s.len == 0 || gemini_name_ok(s, of);
}

static void on_told(void *ctx, const struct remote_reply *r)
{
    (void)ctx;
    told++;
    FUZZ_CHECK(r->state >= REMOTE_WAITING && r->state <= REMOTE_EXPIRED && r->good >= -1);
    FUZZ_CHECK(!r->why.message.len ||
               !memmem(r->why.message.ptr, r->why.message.len, KEY, sizeof KEY - 1));
    if (r->why.code != CODE_OK)
        return;
    FUZZ_CHECK(is_name(r->name, "batches/") && is_name(r->result, "files/") &&
               is_name(r->file, "files/"));
    FUZZ_CHECK(kind != 'l' || r->name.len);
    FUZZ_CHECK(kind != 'm' || r->name.len);
    FUZZ_CHECK(kind != 'u' || r->file.len);
}

static void on_row(void *ctx, struct span key, struct provider_result *r)
{
    (void)ctx, (void)key;
    FUZZ_CHECK((r->code == CODE_OK) == (r->n_images > 0));
}

static bool may_send(void *ctx)
{
    (void)ctx;
    return true;
}

// --- A call and its answers ------------------------------------------------------------------

static struct span cut(struct span *rest, char at)
{
    const char *end = rest->len ? memchr(rest->ptr, at, rest->len) : NULL;
    struct span s = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    size_t used = s.len + (end != NULL);
    *rest = (struct span){rest->ptr + used, rest->len - used};
    return s;
}

static void answer(long status, struct span *rest)
{
    struct span body = cut(rest, 0x1e);
    struct http_end end = {.status = status, .sent = true, .why = ""};
    wire.under_way = false;
    if (kind == 'u' && wire.posts == 1)
        wire.hooks.header(wire.ctx, SPAN("X-Goog-Upload-URL"), body);
    else
        for (size_t i = 0; end.err == OK && i < body.len; i += 61)
            end.err = wire.hooks.data(wire.ctx, status, body.ptr + i,
                                      body.len - i < 61 ? body.len - i : 61);
    wire.hooks.done(wire.ctx, &end);
}

static enum err call(struct provider *p, struct keyring *k, struct spool *lines,
                     struct span name)
{
    const struct remote_ops *r = p->ops->remote;
    struct remote_call *c;
    switch (kind) {
    case 'l': return r->look(p, k, name, on_told, NULL, &c);
    case 'f': return r->find(p, k, name, on_told, NULL, &c);
    case 'c': return r->cancel(p, k, name, on_told, NULL, &c);
    case 'm': return r->make(p, k, SPAN("m"), SPAN("t"), name, may_send, on_told, NULL, &c);
    case 'u': return r->upload(p, k, name, lines, on_told, NULL, &c);
    case 'a': return r->fetch(p, k, name, on_row, on_told, NULL, &c);
    default: r->forget(p, k, name); return wire.posts ? OK : ERR_FORMAT;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct provider *gemini;
    static struct projects projects;
    static struct spool *lines;
    static const long statuses[] = {200, 200, 200, 404, 429, 400, 401, 503};
    struct span rest = {(const char *)data, size};
    if (size < 2)
        return 0;
    if (!gemini) {
        static const struct gemini_options o = {BASE, .spool_dir = "/tmp", .concurrency = 1};
        struct buf key = {.max = 100};
        FUZZ_CHECK(log_open("fuzz", LOG_ERROR, NULL) == OK);
        buf_add_str(&key, KEY);
        projects_one(&projects, "p", &key, SPAN(""));
        gemini = provider_gemini_new(ev_loop_new(EVFLAG_AUTO), &o);
        lines = spool_new(gemini->ops->remote->place(gemini), 1000);
        FUZZ_CHECK(lines && spool_end(lines) == OK);
    }
    struct keyring *k = keyring_new(&projects.at[0]);
    long status = statuses[data[1] % 8];
    kind = data[0];
    told = wire.posts = 0;
    rest = (struct span){rest.ptr + 2, rest.len - 2};
    enum err e = call(gemini, k, lines, cut(&rest, '\n'));
    FUZZ_CHECK((e == OK) == wire.under_way);
    while (wire.under_way)
        answer(status, &rest);
    FUZZ_CHECK(e == ERR_FORMAT || e == ERR_TOOBIG || e == OK);
    FUZZ_CHECK(told == (e == OK && strchr("lfcmua", (int)kind) && kind) && wire.posts <= 200);
    keyring_free(k);
    return 0;
}
