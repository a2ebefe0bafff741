// redis_hosts.c - see redis_hosts.h.
#include "common/redis_hosts.h"

#include <stdlib.h>
#include <string.h>

#define MAX_HOSTS 1000

bool redis_host_ok(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i], letter = (char)(c | 32);
        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= ':') && c != '.' &&
            c != '_' && c != '-')
            return false;
    }
    return name.len >= 1 && name.len <= REDIS_HOST_MAX;
}

bool redis_host_same(const struct redis_host *a, struct span name, uint16_t port)
{
    return a->port == port && span_is(name, a->name);
}

enum err redis_hosts_add(struct redis_hosts *h, struct span name, uint16_t port)
{
    for (size_t i = 0; i < h->n; i++)
        if (redis_host_same(&h->at[i], name, port))
            return OK;
    if (h->n == MAX_HOSTS)
        return ERR_FULL;
    struct redis_host *more = realloc(h->at, (h->n + 1) * sizeof *more);
    if (!more)
        return ERR_NOMEM;
    h->at = more;
    char *copy = strndup(name.ptr, name.len);
    if (!copy)
        return ERR_NOMEM;
    h->at[h->n++] = (struct redis_host){copy, port};
    return OK;
}

void redis_hosts_prefer(struct redis_hosts *h, size_t i)
{
    struct redis_host it = h->at[i];
    memmove(&h->at[1], &h->at[0], i * sizeof *h->at);
    h->at[0] = it;
}

void redis_hosts_free(struct redis_hosts *h)
{
    for (size_t i = 0; i < h->n; i++)
        free(h->at[i].name);
    free(h->at);
    *h = (struct redis_hosts){0};
}
