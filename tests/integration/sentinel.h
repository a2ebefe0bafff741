// sentinel.h - a primary, its replica, and a sentinel that watches over them, on 127.0.0.1.
#ifndef TESTS_SENTINEL_H
#define TESTS_SENTINEL_H

#include <stdbool.h>

#include "redis_server.h"

struct sentinel_site {
    struct redis_server *primary, *replica, *sentinel;
    char ports[3][8]; // of these
    char dead[8];     // where nobody listens
    char file[160];   // the sentinel's settings
    const char *args[3][12];
    char url[256];  // redis+sentinel://, of one that is away and of the sentinel
    unsigned epoch; // of the last switch
};

struct sentinel_site *sentinel_site_start(void); // the primary is called "farm"
void sentinel_site_stop(struct sentinel_site *s);
bool sentinel_is_listened_to(void *site); // by somebody who calls himself "test"
// The two change their roles, and the sentinel hears of it at once, as it does from another one
// that led the failover.
void sentinel_site_switch(struct sentinel_site *s);
#endif
