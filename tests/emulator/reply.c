// reply.c - see reply.h.
#include "emulator/reply.h"

void reply_free(struct reply *r)
{
    rope_free(&r->body);
}
