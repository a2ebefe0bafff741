// Answers of the provider, as they stream in: the first byte says how large the pieces are.
// What comes of them is the same as of the whole, and an image is only what has bytes.
#include <string.h>

#include "fuzz.h"
#include "worker/judge.h"
#include "worker/spool.h"

struct outcome {
    enum err err;
    enum code code;
    enum provider_retry retry;
    unsigned images;
    uint64_t bytes[EVENT_MAX_IMAGES];
    uint8_t sums[EVENT_MAX_IMAGES][DIGEST_SIZE];
    size_t texts;
};

static void look(struct provider_result *r, struct outcome *o)
{
    FUZZ_CHECK((unsigned)r->n_images <= EVENT_MAX_IMAGES);
    FUZZ_CHECK((r->code == CODE_OK) == (r->n_images > 0));
    FUZZ_CHECK(r->code != CODE_OK || r->retry == RETRY_NO || r->retry == RETRY_YES);
    FUZZ_CHECK(!r->has_usage || (r->image_tokens >= 0 && r->input_tokens >= 0));
    FUZZ_CHECK(r->output_tokens >= 0);
    o->code = r->code;
    o->retry = r->retry;
    o->images = r->n_images;
    o->texts = r->text.len + r->message.len + r->reason.len;
    for (unsigned i = 0; i < r->n_images; i++) {
        FUZZ_CHECK(r->images[i].spool);
        o->bytes[i] = spool_bytes(r->images[i].spool);
        memcpy(o->sums[i], spool_digest(r->images[i].spool), DIGEST_SIZE);
        spool_free(r->images[i].spool);
    }
}

static struct outcome read_all(const char *text, size_t size, size_t step)
{
    static struct spool_place place = {.dir = "/dev/shm", .max_memory = 1u << 20};
    struct answer *a = answer_new(&place);
    struct json_object *doc;
    struct provider_result r = {0};
    struct outcome o = {OK};
    FUZZ_CHECK(a);
    for (size_t i = 0; i < size && o.err == OK; i += step)
        o.err = answer_feed(a, text + i, size - i < step ? size - i : step);
    if (o.err == OK)
        o.err = answer_end(a, &doc);
    if (o.err == OK) {
        judge_answer(&r, a, doc);
        look(&r, &o);
    }
    answer_free(a);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    struct outcome whole = read_all(text, size - 1, size);
    struct outcome parts = read_all(text, size - 1, (size_t)data[0] + 1);
    FUZZ_CHECK((whole.err == OK) == (parts.err == OK));
    if (whole.err == OK)
        FUZZ_CHECK(memcmp(&whole, &parts, sizeof whole) == 0);
    return 0;
}
