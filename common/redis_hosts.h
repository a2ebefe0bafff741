// redis_hosts.h - a list of servers, each of them once.
#ifndef COMMON_REDIS_HOSTS_H
#define COMMON_REDIS_HOSTS_H

#include "common/redis.h"

#define REDIS_HOST_MAX 253 // bytes of a name

struct redis_hosts { // owned; {0} is a valid empty list
    struct redis_host *at;
    size_t n;
};

// Whether it may be the name or address of a host: letters, digits and . : _ - only. What comes
// from a server is looked at with this before it is believed.
bool redis_host_ok(struct span name);
bool redis_host_same(const struct redis_host *a, struct span name, uint16_t port);

// At the end, unless it is there. ERR_NOMEM; ERR_FULL: a thousand are there already.
MUST_USE enum err redis_hosts_add(struct redis_hosts *h, struct span name, uint16_t port);
void redis_hosts_prefer(struct redis_hosts *h, size_t i); // to the front
void redis_hosts_free(struct redis_hosts *h);             // leaves an empty list
#endif
