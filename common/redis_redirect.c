// redis_redirect.c - see redis_redirect.h.
#include "common/redis_redirect.h"

#include <string.h>

#include "common/redis_hosts.h"
#include "common/redis_slot.h"
#include "common/text.h"

static bool begins(struct span *text, const char *with)
{
    size_t n = strlen(with);
    if (text->len < n || memcmp(text->ptr, with, n) != 0)
        return false;
    text->ptr += n;
    text->len -= n;
    return true;
}

// "3999 127.0.0.1:6381", "3999 ::1:6381", "3999 :6381"
static bool read_place(struct span text, struct redis_redirect *r)
{
    const char *blank = text.len ? memchr(text.ptr, ' ', text.len) : NULL;
    const char *colon = text.len ? memrchr(text.ptr, ':', text.len) : NULL;
    uint64_t slot, port;
    if (!blank || !colon || colon < blank)
        return false;
    struct span digits = {text.ptr, (size_t)(blank - text.ptr)};
    struct span host = {blank + 1, (size_t)(colon - blank - 1)};
    struct span end = {colon + 1, (size_t)(text.ptr + text.len - colon - 1)};
    if (text_uint(digits, 0, REDIS_SLOTS - 1, &slot) != OK ||
        text_uint(end, 1, 65535, &port) != OK || (host.len && !redis_host_ok(host)))
        return false;
    r->slot = (unsigned)slot;
    r->host = host;
    r->port = (uint16_t)port;
    return true;
}

struct redis_redirect redis_redirect_read(struct span text)
{
    struct redis_redirect r = {.kind = REDIS_STAY};
    if (begins(&text, "MOVED "))
        r.kind = REDIS_MOVED;
    else if (begins(&text, "ASK "))
        r.kind = REDIS_ASK;
    else if (begins(&text, "TRYAGAIN"))
        r.kind = REDIS_AGAIN;
    else if (begins(&text, "CLUSTERDOWN"))
        r.kind = REDIS_DOWN;
    if ((r.kind == REDIS_MOVED || r.kind == REDIS_ASK) && !read_place(text, &r))
        r.kind = REDIS_DOWN;
    return r;
}
