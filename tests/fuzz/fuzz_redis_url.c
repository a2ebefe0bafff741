// Redis addresses: taken or refused with a reason; what is shown is the same
// whatever the password.
#include "common/redis.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redis_url u = {0};
    struct buf why = {.max = 4096}, shown = {.max = 1u << 20}, bare = shown;
    enum err e = redis_url_parse((struct span){(const char *)data, size}, &u, &why);
    FUZZ_CHECK((e == OK) == (why.len == 0));
    if (e == OK) {
        FUZZ_CHECK(u.n_hosts >= 1 && (u.kind != REDIS_SERVER || u.n_hosts == 1));
        for (size_t i = 0; i < u.n_hosts; i++)
            FUZZ_CHECK(u.hosts[i].name[0] && (u.scheme == REDIS_UNIX || u.hosts[i].port > 0));
        FUZZ_CHECK((u.kind == REDIS_SENTINEL) == (u.primary && u.primary[0]));
        redis_url_show(&shown, &u);
        FUZZ_CHECK(shown.err == OK && shown.len > 0);
        struct redis_url open = u;
        open.password = NULL;
        redis_url_show(&bare, &open);
        FUZZ_CHECK(span_equal(buf_span(&shown), buf_span(&bare)));
        redis_url_free(&u);
    }
    buf_free(&why);
    buf_free(&shown);
    buf_free(&bare);
    return 0;
}
