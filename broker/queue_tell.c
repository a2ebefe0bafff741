// queue_tell.c - what is told of a batch by who settles none of its jobs.
#include "broker/queue_call.h"

static const struct reply_outcome codes[] = {{0, ERR_MISSING}, {1, OK}};

enum err queue_tell(struct queue *q, struct span batch, struct span nonce, struct span event,
                    queue_done *done, void *ctx)
{
    struct args *a = script_args(q, 3, 0);
    args_add(a, batch);
    args_add(a, nonce);
    args_add(a, event);
    return call_value(q, SCRIPT_TELL, a, CALL_CODES(codes), done, ctx);
}
