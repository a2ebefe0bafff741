// test_mp.c - msgpack: every form of every value, and nothing beyond the bytes that are there.
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mp.h"
#include "unit/suite.h"
#include "unit/test.h"

// --- The suite -------------------------------------------------------------------------------

// "c4-01-ff" as bytes.
static size_t unhex(const char *text, char *out, size_t max)
{
    size_t n = 0;
    for (const char *p = text; *p; p += p[2] ? 3 : 2) {
        char digits[3] = {p[0], p[1], 0};
        assert_true(n < max);
        out[n++] = (char)strtoul(digits, NULL, 16);
    }
    return n;
}

static void assert_same(struct mp *m, struct json_object *want);

static void assert_same_map(struct mp *m, struct json_object *want)
{
    uint32_t n;
    struct span key;
    assert_int_equal(mp_map(m, &n), OK);
    assert_int_equal(n, json_object_object_length(want));
    while (n-- > 0) {
        char name[64];
        struct json_object *value;
        assert_int_equal(mp_str(m, &key), OK);
        snprintf(name, sizeof name, "%.*s", (int)key.len, key.ptr);
        assert_true(json_object_object_get_ex(want, name, &value));
        assert_same(m, value);
    }
}

static void assert_same_number(struct mp *m, struct json_object *want)
{
    double d;
    int64_t i;
    if (mp_peek(m) == MP_INT && json_object_get_double(want) < 9e18) {
        assert_int_equal(mp_int(m, &i), OK);
        assert_true(i == json_object_get_int64(want));
    } else if (mp_peek(m) == MP_INT) {
        assert_int_equal(mp_int(m, &i), ERR_RANGE);
        assert_int_equal(mp_skip(m), OK);
    } else {
        assert_int_equal(mp_double(m, &d), OK);
        assert_true(d == json_object_get_double(want));
    }
}

static void assert_same(struct mp *m, struct json_object *want)
{
    struct span s;
    uint32_t n;
    bool b;
    switch (json_object_get_type(want)) {
    case json_type_null: assert_int_equal(mp_nil(m), OK); break;
    case json_type_boolean:
        assert_int_equal(mp_bool(m, &b), OK);
        assert_int_equal(b, json_object_get_boolean(want));
        break;
    case json_type_int:
    case json_type_double: assert_same_number(m, want); break;
    case json_type_string:
        assert_int_equal(mp_str(m, &s), OK);
        assert_true(span_is(s, json_object_get_string(want)));
        break;
    case json_type_array:
        assert_int_equal(mp_array(m, &n), OK);
        assert_int_equal(n, json_object_array_length(want));
        for (size_t i = 0; i < n; i++)
            assert_same(m, json_object_array_get_idx(want, i));
        break;
    case json_type_object: assert_same_map(m, want); break;
    }
}

static void assert_bytes(struct mp *m, const char *hex)
{
    char want[1000];
    struct span s;
    size_t n = unhex(hex, want, sizeof want);
    assert_int_equal(mp_bin(m, &s), OK);
    assert_true(span_equal(s, (struct span){want, n}));
}

static void assert_ext(struct mp *m, struct json_object *want)
{
    char bytes[1000];
    struct span s;
    int8_t type;
    size_t n =
        unhex(json_object_get_string(json_object_array_get_idx(want, 1)), bytes, sizeof bytes);
    assert_int_equal(mp_ext(m, &type, &s), OK);
    assert_int_equal(type, json_object_get_int(json_object_array_get_idx(want, 0)));
    assert_true(span_equal(s, (struct span){bytes, n}));
}

static bool member(struct json_object *vector, const char *name, struct json_object **out)
{
    return json_object_object_get_ex(vector, name, out);
}

static void assert_vector(struct json_object *vector, struct span bytes)
{
    static const char *const plain[] = {"nil", "bool", "string", "array", "map", "number"};
    struct mp m = {bytes};
    struct json_object *want;
    if (member(vector, "binary", &want))
        assert_bytes(&m, json_object_get_string(want));
    else if (member(vector, "ext", &want))
        assert_ext(&m, want);
    else if (member(vector, "timestamp", &want))
        assert_int_equal(mp_skip(&m), OK);
    else if (member(vector, "bignum", &want))
        assert_int_equal(mp_skip(&m), OK);
    for (size_t i = 0; m.left.ptr == bytes.ptr && i < sizeof plain / sizeof *plain; i++)
        if (member(vector, plain[i], &want)) {
            assert_same(&m, want);
            break;
        }
    assert_int_equal(m.left.len, 0);
}

static void assert_forms(struct json_object *vector)
{
    struct json_object *forms;
    assert_true(member(vector, "msgpack", &forms));
    for (size_t i = 0; i < json_object_array_length(forms); i++) {
        char bytes[2000];
        const char *hex = json_object_get_string(json_object_array_get_idx(forms, i));
        size_t n = unhex(hex, bytes, sizeof bytes);
        assert_vector(vector, (struct span){bytes, n});
        assert_true(mp_valid((struct span){bytes, n}));
        for (size_t cut = 0; cut < n; cut++) {
            char *part = malloc(cut + 1); // so that a byte too far is seen
            assert_non_null(part);
            memcpy(part, bytes, cut);
            assert_false(mp_valid((struct span){part, cut}));
            free(part);
        }
    }
}

static void the_suite_is_read_right(void **state)
{
    (void)state;
    struct buf text = suite_read("suites/msgpack-test-suite/dist/msgpack-test-suite.json");
    struct json_object *groups;
    size_t vectors = 0;
    if (text.len == 0)
        skip();
    assert_int_equal(json_read(buf_span(&text), &groups, NULL), OK);
    json_object_object_foreach(groups, name, group)
    {
        (void)name;
        for (size_t i = 0; i < json_object_array_length(group); i++, vectors++)
            assert_forms(json_object_array_get_idx(group, i));
    }
    assert_int_equal(vectors, 85);
    json_object_put(groups);
    buf_free(&text);
}

// --- Bounds ----------------------------------------------------------------------------------

static void counts_larger_than_what_is_left_are_refused(void **state)
{
    (void)state;
    static const struct span lies[] = {
        {"\xdd\x01\0\0\0", 5},
        {"\xdd\xff\xff\xff\xff", 5},
        {"\xdf\xff\xff\xff\xff", 5},
        {"\xdb\xff\xff\xff\xff", 5},
        {"\xc6\xff\xff\xff\xff", 5},
        {"\xc9\xff\xff\xff\xff\0", 6},
        {"\x92\xc0", 2},
        {"\x82\xc0\xc0\xc0", 4},
        {"\x81\xc0", 2},
        {"\xd4\0", 2},
        {"\xc7\0", 2},
        {"\xa2x", 2},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct mp m = {lies[i]};
        struct span s;
        uint32_t n;
        int8_t type;
        assert_int_equal(mp_skip(&m), ERR_FORMAT);
        assert_int_equal(mp_raw(&m, &s), ERR_FORMAT);
        assert_int_equal(mp_array(&m, &n), ERR_FORMAT);
        assert_int_equal(mp_map(&m, &n), ERR_FORMAT);
        assert_int_equal(mp_str(&m, &s), ERR_FORMAT);
        assert_int_equal(mp_bin(&m, &s), ERR_FORMAT);
        assert_int_equal(mp_ext(&m, &type, &s), ERR_FORMAT);
        assert_ptr_equal(m.left.ptr, lies[i].ptr);
    }
}

static void what_is_of_another_type_stays(void **state)
{
    (void)state;
    struct mp m = {SPAN("\x93\x01\xa1x\xc1")};
    struct span s;
    uint32_t n;
    int64_t i;
    double d;
    bool b;
    assert_int_equal(mp_peek(&m), MP_ARRAY);
    assert_int_equal(mp_int(&m, &i), ERR_FORMAT);
    assert_int_equal(mp_map(&m, &n), ERR_FORMAT);
    assert_int_equal(mp_array(&m, &n), OK);
    assert_int_equal(n, 3);
    assert_int_equal(mp_str(&m, &s), ERR_FORMAT);
    assert_int_equal(mp_bool(&m, &b), ERR_FORMAT);
    assert_int_equal(mp_nil(&m), ERR_FORMAT);
    assert_int_equal(mp_double(&m, &d), OK);
    assert_true(d == 1);
    assert_int_equal(mp_int(&m, &i), ERR_FORMAT);
    assert_int_equal(mp_bin(&m, &s), ERR_FORMAT);
    assert_int_equal(mp_str(&m, &s), OK);
    assert_int_equal(mp_peek(&m), MP_BAD); // 0xc1 is reserved
    assert_int_equal(mp_skip(&m), ERR_FORMAT);
    m.left.len = 0;
    assert_int_equal(mp_peek(&m), MP_END);
    assert_int_equal(mp_skip(&m), ERR_FORMAT);
    assert_int_equal(mp_int(&m, &i), ERR_FORMAT);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    char nested[MP_MAX_DEPTH + 2];
    memset(nested, '\x91', sizeof nested);
    nested[MP_MAX_DEPTH] = '\xc0';
    assert_true(mp_valid((struct span){nested, MP_MAX_DEPTH + 1}));
    nested[MP_MAX_DEPTH] = '\x91';
    nested[MP_MAX_DEPTH + 1] = '\xc0';
    assert_false(mp_valid((struct span){nested, MP_MAX_DEPTH + 2}));
    // Wide is not deep.
    char wide[200] = "\xdc\0\xc5";
    memset(wide + 3, '\x90', 197);
    assert_true(mp_valid((struct span){wide, 200}));
}

static void one_value_is_exactly_one(void **state)
{
    (void)state;
    struct mp m = {SPAN("\x82\xa1\x61\x92\x01\xc0\xa1\x62\xc3\x07")};
    struct span raw;
    int64_t i;
    assert_false(mp_valid(m.left));
    assert_int_equal(mp_raw(&m, &raw), OK);
    assert_int_equal(raw.len, 9);
    assert_true(mp_valid(raw));
    assert_int_equal(mp_int(&m, &i), OK);
    assert_int_equal(i, 7);
    assert_int_equal(m.left.len, 0);
}

static void integers_above_int64_are_out_of_range(void **state)
{
    (void)state;
    struct mp m = {SPAN("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\xcf\x80\0\0\0\0\0\0\0")};
    int64_t i;
    assert_int_equal(mp_int(&m, &i), OK);
    assert_true(i == INT64_MAX);
    assert_int_equal(mp_int(&m, &i), ERR_RANGE);
    assert_int_equal(m.left.len, 9);
    assert_int_equal(mp_skip(&m), OK);
}

static void what_is_packed_is_read(void **state)
{
    (void)state;
    struct buf b = {.max = 100};
    msgpack_packer pk;
    struct mp m;
    struct span s;
    uint32_t n;
    mp_packer(&pk, &b);
    msgpack_pack_array(&pk, 2);
    mp_pack_span(&pk, (struct span){0});
    mp_pack_cstr(&pk, "text");
    assert_int_equal(b.err, OK);
    m.left = buf_span(&b);
    assert_int_equal(mp_array(&m, &n), OK);
    assert_int_equal(mp_str(&m, &s), OK);
    assert_int_equal(s.len, 0);
    assert_int_equal(mp_str(&m, &s), OK);
    assert_true(span_is(s, "text"));
    for (int i = 0; i < 30; i++)
        mp_pack_cstr(&pk, "more than fits");
    assert_int_equal(b.err, ERR_TOOBIG);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_suite_is_read_right),
        cmocka_unit_test(counts_larger_than_what_is_left_are_refused),
        cmocka_unit_test(what_is_of_another_type_stays),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(one_value_is_exactly_one),
        cmocka_unit_test(integers_above_int64_are_out_of_range),
        cmocka_unit_test(what_is_packed_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
