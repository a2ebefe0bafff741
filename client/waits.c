// waits.c - see waits.h. The queue keeps who holds a batch back: '1' a person, "fsck" for a
// moment, "budget", or "account", and then "ACCOUNT LIMIT" of what has no room.
#include "client/waits.h"

#include <string.h>

#include "broker/code.h"
#include "common/json.h"
#include "common/text.h"

#define MAX_WHY 300

static const char *for_account(struct span why, struct buf *message)
{
    const char *space = memchr(why.ptr, ' ', why.len);
    size_t n = space ? (size_t)(space - why.ptr) : why.len;
    struct span limit = {why.ptr + n, why.len - n};
    bool usd = limit.len > 5 && memcmp(limit.ptr, " usd/", 5) == 0;
    text_show(message, (struct span){why.ptr, n}, MAX_WHY);
    buf_add_str(message, " has no room for one more call:");
    text_show(message, limit, MAX_WHY);
    return code_name(usd ? CODE_BUDGET : CODE_QUOTA_EXHAUSTED);
}

const char *waits_for(const struct collect_batch *b, struct buf *message)
{
    struct span by = buf_span(&b->paused_by), why = buf_span(&b->blocked_by);
    if (b->done_ms || span_is(by, "1") || span_is(by, "fsck"))
        return NULL;
    if (why.len)
        return for_account(why, message);
    if (!span_is(by, "budget"))
        return NULL;
    buf_add_str(message, "the budget has no room for one more call; genfarm resume BATCH "
                         "--budget USD raises it");
    return code_name(CODE_BUDGET);
}

struct json_object *waits_json(const struct collect_batch *b)
{
    struct buf message = {.max = 2048};
    const char *code = waits_for(b, &message);
    struct json_object *o = code ? json_object_new_object() : NULL;
    if (o) {
        json_put_cstr(o, "code", code);
        json_put_str(o, "message", buf_span(&message));
    }
    buf_free(&message);
    return o;
}
