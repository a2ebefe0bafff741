// Events: what is decoded is encoded as what decodes to the same, and can be shown as JSON.
#include "broker/event.h"
#include "common/json.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event first, second;
    if (event_decode(&first, (struct span){(const char *)data, size}) != OK)
        return 0;
    struct buf once = {.max = 1u << 20}, twice = {.max = 1u << 20};
    event_encode(&once, &first);
    FUZZ_CHECK(once.err == OK);
    FUZZ_CHECK(event_decode(&second, buf_span(&once)) == OK);
    event_encode(&twice, &second);
    FUZZ_CHECK(span_equal(buf_span(&once), buf_span(&twice)));
    struct json_object *o = event_json(&first, SPAN("batch"), SPAN("1-0"));
    FUZZ_CHECK(o);
    buf_clear(&once);
    json_write(&once, o);
    json_object_put(o);
    buf_free(&once);
    buf_free(&twice);
    return 0;
}
