// Redis addresses: taken or refused with a reason; what is shown has no password in it.
#include <string.h>

#include "common/redis.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redis_url u = {0};
    struct buf why = {.max = 4096}, shown = {.max = 1u << 20};
    enum err e = redis_url_parse((struct span){(const char *)data, size}, &u, &why);
    FUZZ_CHECK((e == OK) == (why.len == 0));
    if (e == OK) {
        FUZZ_CHECK(u.host && u.host[0]);
        redis_url_show(&shown, &u);
        FUZZ_CHECK(shown.err == OK && shown.len > 0);
        bool elsewhere = strstr(u.host, u.password ? u.password : "") ||
                         (u.user && strstr(u.user, u.password ? u.password : ""));
        if (u.password && strlen(u.password) >= 8 && !elsewhere)
            FUZZ_CHECK(!strstr(buf_str(&shown), u.password));
        redis_url_free(&u);
    }
    buf_free(&why);
    buf_free(&shown);
    return 0;
}
