// What is stored beside images, and what the queue keeps of jobs: read as it is, or not at all.
#include "broker/ledger.h"
#include "broker/queue.h"
#include "fuzz.h"
#include "worker/sink.h"

static void records(struct span bytes)
{
    struct record r, again;
    struct buf once = {.max = 1u << 22}, twice = {.max = 1u << 22};
    if (record_decode(&r, bytes) != OK)
        return;
    record_encode(&once, &r);
    FUZZ_CHECK(once.err == OK && record_decode(&again, buf_span(&once)) == OK);
    FUZZ_CHECK(span_equal(r.nonce, again.nonce) && span_equal(r.event, again.event) &&
               span_equal(r.text, again.text) && span_equal(r.call_id, again.call_id) &&
               r.digest == again.digest);
    record_encode(&twice, &again);
    FUZZ_CHECK(span_equal(buf_span(&once), buf_span(&twice)));
    struct event e;
    if (event_decode(&e, r.event) == OK)
        FUZZ_CHECK(e.n_images <= EVENT_MAX_IMAGES);
    buf_free(&once);
    buf_free(&twice);
}

static void inputs(struct span bytes)
{
    struct span id, map;
    struct buf again = {.max = 1u << 22};
    if (job_input_read(bytes, &id, &map) != OK)
        return;
    FUZZ_CHECK(id.len <= JOB_MAX_ID && 6 + id.len + map.len == bytes.len);
    job_input(&again, id, map); // the digest in front may be a lie: whoever reads checks it
    FUZZ_CHECK(again.err == OK && again.len == bytes.len);
    FUZZ_CHECK(span_equal((struct span){again.ptr + 4, again.len - 4},
                          (struct span){bytes.ptr + 4, bytes.len - 4}));
    buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = {(const char *)data, size};
    struct ledger_call call;
    records(bytes);
    inputs(bytes);
    if (ledger_read(&call, bytes) == OK)
        FUZZ_CHECK(call.call_id.len <= QUEUE_CALL_ID);
    return 0;
}
