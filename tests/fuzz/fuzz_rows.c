// The rows of a batch: whatever comes, in whatever pieces, the same rows are told, one at most
// of each line; every line that has anything is told or counted as bad.
#include <string.h>

#include "fuzz.h"
#include "worker/rows.h"
#include "worker/spool.h"

static struct spool_place place = {.dir = "/tmp"};

struct seen {
    unsigned rows, images, codes;
    size_t keys;
};

static void told(void *ctx, struct span key, struct provider_result *r)
{
    struct seen *s = ctx;
    s->rows++;
    s->keys += key.len;
    s->images += r->n_images;
    s->codes = s->codes * 31 + (unsigned)r->code;
    FUZZ_CHECK((r->code == CODE_OK) == (r->n_images > 0));
}

static struct seen read_rows(const char *bytes, size_t size, size_t step, unsigned *bad)
{
    struct seen s = {0};
    struct rows *r = rows_new(&place, told, &s);
    FUZZ_CHECK(r);
    for (size_t i = 0; i < size; i += step)
        FUZZ_CHECK(rows_feed(r, bytes + i, size - i < step ? size - i : step) == OK);
    FUZZ_CHECK(rows_end(r) == OK);
    *bad = rows_bad(r);
    rows_free(r);
    return s;
}

static unsigned lines_of(const char *bytes, size_t size)
{
    unsigned n = 0;
    bool any = false;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n')
            any = false;
        else if (!any && bytes[i] != ' ' && bytes[i] != '\t' && bytes[i] != '\r')
            any = true, n++;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    unsigned bad, bad_again;
    struct seen whole = read_rows(bytes, size, size + 1, &bad);
    struct seen parts = read_rows(bytes, size, 5, &bad_again);
    FUZZ_CHECK(memcmp(&whole, &parts, sizeof whole) == 0 && bad == bad_again);
    FUZZ_CHECK(whole.rows + bad == lines_of(bytes, size));
    return 0;
}
