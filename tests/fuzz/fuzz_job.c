// Jobs: what is decoded passes its own check, and is encoded as what decodes to the same.
#include "broker/job.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct job first, second;
    struct buf why = {.max = 4096}, once = {.max = 1u << 20}, twice = {.max = 1u << 20};
    enum err e = job_decode(&first, (struct span){(const char *)data, size}, &why);
    FUZZ_CHECK((e == OK) == (why.len == 0));
    if (e == OK) {
        FUZZ_CHECK(job_check(&first, &why) == OK);
        job_encode(&once, &first);
        FUZZ_CHECK(once.err == OK);
        FUZZ_CHECK(job_decode(&second, buf_span(&once), &why) == OK);
        job_encode(&twice, &second);
        FUZZ_CHECK(span_equal(buf_span(&once), buf_span(&twice)));
        buf_clear(&once);
        job_compose(&once, &first);
        job_image_name(&once, &first, first.id, 0, 1, 1, 1, "png");
    }
    buf_free(&why);
    buf_free(&once);
    buf_free(&twice);
    return 0;
}
