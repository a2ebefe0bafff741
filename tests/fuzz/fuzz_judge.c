// Refusals: the first byte chooses the status, the others are the body. Whatever a server says,
// it is no image, and nobody waits for ever or not at all.
#include <math.h>

#include "common/json.h"
#include "fuzz.h"
#include "worker/judge.h"

static void look(long status, struct json_object *doc, struct span raw, double retry_after)
{
    struct provider_result r = {0};
    judge_refusal(&r, status, doc, raw, retry_after);
    FUZZ_CHECK(r.code != CODE_OK && r.n_images == 0);
    FUZZ_CHECK(code_name(r.code) && (unsigned)r.retry <= RETRY_BLOCK);
    FUZZ_CHECK(isfinite(r.delay_floor) && r.delay_floor >= 0 && r.delay_floor <= 2 * 86400.);
    FUZZ_CHECK(r.retry != RETRY_BLOCK || r.delay_floor > 0);
    FUZZ_CHECK(!r.unknown && !r.has_usage);
    size_t sum = 0;
    for (size_t i = 0; i < r.message.len; i++)
        sum += (unsigned char)r.message.ptr[i];
    for (size_t i = 0; i < r.reason.len; i++)
        sum += (unsigned char)r.reason.ptr[i];
    FUZZ_CHECK(sum <= 255 * (r.message.len + r.reason.len)); // all of it can be read
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const long statuses[] = {400, 401, 402, 403, 404, 408, 413, 429, 499, 500,
                                    502, 503, 504, 301, 418, 599, 204, 0,   -1,  100000};
    struct json_object *doc = NULL;
    if (size == 0)
        return 0;
    struct span raw = {(const char *)data + 1, size - 1};
    long status = statuses[data[0] % (sizeof statuses / sizeof *statuses)];
    double wait = judge_duration(raw);
    FUZZ_CHECK(isfinite(wait) && wait >= 0);
    if (json_read(raw, &doc, NULL) != OK)
        doc = NULL;
    look(status, doc, raw, 0);
    look(status, doc, raw, wait);
    look(status, NULL, raw, 0);
    json_object_put(doc);
    return 0;
}
