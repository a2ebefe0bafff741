// msgpack: what is skipped as one value can be read value by value, and takes the same bytes; a
// read that fails leaves the cursor where it was.
#include "common/mp.h"
#include "fuzz.h"

static void read_value(struct mp *m, unsigned depth);

static void read_values(struct mp *m, uint64_t n, unsigned depth)
{
    while (n-- > 0)
        read_value(m, depth + 1);
}

static void read_number(struct mp *m)
{
    int64_t i;
    struct mp before = *m;
    enum err e = mp_int(m, &i);
    if (e == OK)
        return;
    FUZZ_CHECK(e == ERR_RANGE && m->left.ptr == before.left.ptr);
    FUZZ_CHECK(mp_skip(m) == OK);
}

// The next value, of which mp_skip has said that it is well-formed.
static void read_value(struct mp *m, unsigned depth)
{
    struct span s;
    uint32_t n;
    int8_t type;
    double d;
    bool b;
    FUZZ_CHECK(depth <= MP_MAX_DEPTH);
    switch (mp_peek(m)) {
    case MP_NIL: FUZZ_CHECK(mp_nil(m) == OK); break;
    case MP_BOOL: FUZZ_CHECK(mp_bool(m, &b) == OK); break;
    case MP_INT: read_number(m); break;
    case MP_FLOAT: FUZZ_CHECK(mp_double(m, &d) == OK); break;
    case MP_STR: FUZZ_CHECK(mp_str(m, &s) == OK); break;
    case MP_BIN: FUZZ_CHECK(mp_bin(m, &s) == OK); break;
    case MP_EXT: FUZZ_CHECK(mp_ext(m, &type, &s) == OK); break;
    case MP_ARRAY:
        FUZZ_CHECK(mp_array(m, &n) == OK);
        read_values(m, n, depth);
        break;
    case MP_MAP:
        FUZZ_CHECK(mp_map(m, &n) == OK);
        read_values(m, 2 * (uint64_t)n, depth);
        break;
    default: FUZZ_CHECK(!"a value of a known type");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mp all = {{(const char *)data, size}}, one = all;
    struct span raw;
    while (mp_raw(&all, &raw) == OK) {
        FUZZ_CHECK(raw.ptr == one.left.ptr && mp_valid(raw));
        read_value(&one, 0);
        FUZZ_CHECK(one.left.ptr == all.left.ptr && one.left.len == all.left.len);
    }
    FUZZ_CHECK(one.left.ptr == all.left.ptr); // the failure took nothing
    int8_t type;
    uint32_t n; // none of these may read beyond the end
    (void)!mp_array(&one, &n);
    (void)!mp_map(&one, &n);
    (void)!mp_str(&one, &raw);
    (void)!mp_ext(&one, &type, &raw);
    return 0;
}
