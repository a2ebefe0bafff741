// redis_redirect.h - what a node of a cluster answers when the key is not its own, or not now.
#ifndef COMMON_REDIS_REDIRECT_H
#define COMMON_REDIS_REDIRECT_H

#include <stdint.h>

#include "common/buf.h"

struct redis_redirect {
    enum {
        REDIS_STAY,  // none of these
        REDIS_MOVED, // that node serves the slot from now on
        REDIS_ASK,   // that node has the key already: there this once, after ASKING
        REDIS_AGAIN, // the slot is on its way: nobody can do it just now
        REDIS_DOWN,  // the cluster is not whole
    } kind;
    unsigned slot;    // of MOVED and ASK
    struct span host; // as above; part of the text; empty: the host that answered
    uint16_t port;
};

// `text`: of an error, from anywhere. A MOVED or ASK that is malformed is DOWN.
struct redis_redirect redis_redirect_read(struct span text);
#endif
