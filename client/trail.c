// trail.c - see trail.h.
#include "client/trail.h"

#include <inttypes.h>
#include <string.h>

void trail_step(struct trail *t, const struct queue_event *last)
{
    t->number = last->number;
    t->known = true;
    digest_of(last->bytes, t->digest);
}

void trail_doubt(struct trail *t)
{
    t->doubt = true;
}

bool trail_doubtful(const struct trail *t)
{
    return t->doubt && t->known;
}

uint64_t trail_before(const struct trail *t)
{
    return t->number - 1;
}

bool trail_same(struct trail *t, const struct queue_event *ev, size_t n)
{
    uint8_t digest[DIGEST_SIZE];
    if (n == 0 || ev[0].number != t->number)
        return false;
    digest_of(ev[0].bytes, digest);
    t->doubt = memcmp(digest, t->digest, sizeof digest) != 0;
    return !t->doubt;
}

void trail_explain(const struct trail *t, const char *then, struct buf *why)
{
    buf_addf(why,
             "the server has lost what it had acknowledged (in a failover, or when it was "
             "killed): event %" PRIu64 "-0 is not there any more as it was read; %s",
             t->number, then);
}
