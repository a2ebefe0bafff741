// Ledger entries: whatever is read can be written again, and means the same.
#include <string.h>

#include "broker/ledger.h"
#include "fuzz.h"

#define HEAD 34

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ledger_call first, second;
    if (ledger_read(&first, (struct span){(const char *)data, size}) != OK)
        return 0;
    struct buf once = {.max = 1u << 20};
    buf_add(&once, (struct span){(const char *)data, HEAD});
    ledger_detail(&once, &first);
    FUZZ_CHECK(once.err == OK);
    FUZZ_CHECK(ledger_read(&second, buf_span(&once)) == OK);
    FUZZ_CHECK(span_equal(first.id, second.id) && span_equal(first.call_id, second.call_id));
    FUZZ_CHECK(first.latency_ms == second.latency_ms && first.ts_ms == second.ts_ms);
    FUZZ_CHECK(memcmp(&first.figures, &second.figures, sizeof first.figures) == 0);
    buf_free(&once);
    return 0;
}
