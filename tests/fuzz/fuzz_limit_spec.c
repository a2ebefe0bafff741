// Limits and quotas as people write them: what is taken can be shown, and what is shown means
// the same.
#include "broker/account.h"
#include "broker/limit.h"
#include "fuzz.h"

typedef enum err read_spec(struct span text, struct buf *out, struct buf *why);
typedef void show_spec(struct buf *out, struct span spec);

static void check(read_spec *read, show_spec *show, struct span text)
{
    struct buf spec = {.max = 1u << 16}, shown = {.max = 1u << 17}, again = spec,
               why = {.max = 4096};
    if (read(text, &spec, &why) == OK) {
        FUZZ_CHECK(why.len == 0 && spec.err == OK);
        show(&shown, buf_span(&spec));
        FUZZ_CHECK(shown.err == OK);
        FUZZ_CHECK(spec.len == 0 || read(buf_span(&shown), &again, &why) == OK);
        FUZZ_CHECK(span_equal(buf_span(&spec), buf_span(&again)));
    } else {
        FUZZ_CHECK(why.len > 0);
    }
    buf_free(&spec), buf_free(&shown), buf_free(&again), buf_free(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct buf shown = {.max = 1u << 17};
    check(limit_spec, limit_show, text);
    check(account_spec, account_show_spec, text);
    limit_show(&shown, text); // whatever Redis has
    account_show_spec(&shown, text);
    struct account_state s = {.spec = text};
    account_read_spec(&s);
    buf_free(&shown);
    return 0;
}
