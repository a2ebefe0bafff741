// redis_script.c - scripts by their digest, and whole where the server does not know them yet.
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "common/redis.h"

struct eval { // one call; keeps its arguments for a second try
    struct redis *redis;
    double timeout;
    redis_done *done;
    void *ctx;
    struct redis_script *script;
    char keys[24];
    size_t argc;
    struct span argv[]; // EVALSHA, digest, number of keys, keys and arguments; bytes follow
};

static void name_script(struct redis_script *s)
{
    unsigned char d[20];
    if (s->sha[0])
        return;
    if (EVP_Digest(s->source.ptr, s->source.len, d, NULL, EVP_sha1(), NULL) != 1)
        abort(); // out of memory inside the library
    digest_hex(d, sizeof d, s->sha);
}

static void on_reply(void *ctx, enum err e, const redisReply *reply)
{
    struct eval *v = ctx;
    bool unknown = e == ERR_SERVER && reply && strncmp(reply->str, "NOSCRIPT", 8) == 0;
    if (unknown) {
        v->argv[0] = SPAN("EVAL");
        v->argv[1] = v->script->source;
        e = redis_call(v->redis, v->timeout, v->done, v->ctx, v->argc, v->argv);
        reply = NULL;
    }
    if (!unknown || e != OK)
        v->done(v->ctx, e, reply);
    free(v);
}

// One piece of memory for the call and all its bytes.
static struct eval *eval_new(size_t argc, const struct span *argv)
{
    size_t bytes = 0;
    for (size_t i = 0; i < argc; i++)
        bytes += argv[i].len;
    struct eval *v = malloc(sizeof *v + (argc + 3) * sizeof v->argv[0] + bytes);
    if (!v)
        return NULL;
    char *to = (char *)&v->argv[argc + 3];
    for (size_t i = 0; i < argc; i++) {
        if (argv[i].len)
            memcpy(to, argv[i].ptr, argv[i].len);
        v->argv[3 + i] = (struct span){to, argv[i].len};
        to += argv[i].len;
    }
    v->argc = argc + 3;
    return v;
}

enum err redis_eval(struct redis *r, double timeout, redis_done *done, void *ctx,
                    struct redis_script *script, size_t nkeys, size_t argc,
                    const struct span *argv)
{
    if (!redis_ready(r))
        return ERR_NET;
    name_script(script);
    struct eval *v = eval_new(argc, argv);
    if (!v)
        return ERR_NOMEM;
    snprintf(v->keys, sizeof v->keys, "%zu", nkeys);
    v->redis = r;
    v->timeout = timeout;
    v->done = done;
    v->ctx = ctx;
    v->script = script;
    v->argv[0] = SPAN("EVALSHA");
    v->argv[1] = span_of(script->sha);
    v->argv[2] = span_of(v->keys);
    enum err e = redis_call(r, timeout, on_reply, v, v->argc, v->argv);
    if (e != OK)
        free(v);
    return e;
}
