// What a node of a cluster answers instead of an answer: the text may be anything, but where it
// sends us is a place.
#include "common/redis_hosts.h"
#include "common/redis_redirect.h"
#include "common/redis_slot.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct redis_redirect r = redis_redirect_read(text);
    bool named = r.kind == REDIS_MOVED || r.kind == REDIS_ASK;
    FUZZ_CHECK(named == (r.port > 0));
    if (!named)
        return 0;
    struct buf again = {.max = 1000};
    FUZZ_CHECK(r.slot < REDIS_SLOTS);
    FUZZ_CHECK(r.host.len == 0 || redis_host_ok(r.host));
    buf_addf(&again, "%s %u %.*s:%u", r.kind == REDIS_MOVED ? "MOVED" : "ASK", r.slot,
             (int)r.host.len, r.host.len ? r.host.ptr : "", r.port);
    FUZZ_CHECK(again.err == OK);
    struct redis_redirect twin = redis_redirect_read(buf_span(&again));
    FUZZ_CHECK(twin.kind == r.kind && twin.slot == r.slot && twin.port == r.port);
    FUZZ_CHECK(span_equal(twin.host, r.host));
    buf_free(&again);
    return 0;
}
