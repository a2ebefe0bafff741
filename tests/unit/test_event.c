// test_event.c - events: the wire both ways, what scripts write, the JSON people read.
#include <stdlib.h>
#include <string.h>

#include "broker/event.h"
#include "common/json.h"
#include "unit/test.h"

static const char sha[33] = "0123456789abcdef0123456789ABCDEF";

static struct event completed(void)
{
    struct event e = {.type = EVENT_COMPLETED,
                      .run = 2,
                      .index = 77,
                      .ts_ms = 1769351422123,
                      .id = SPAN("scene_001"),
                      .attempts = 1,
                      .model = SPAN("m"),
                      .latency_ms = 5123,
                      .cost_micro = 39000,
                      .input_tokens = 12,
                      .output_tokens = 1290,
                      .worker = SPAN("host:1"),
                      .n_images = 1};
    e.images[0] = (struct event_image){.path = SPAN("images/00077_scene_001.png"),
                                       .type = IMAGE_PNG,
                                       .bytes = 1483022,
                                       .width = 1024,
                                       .height = 768,
                                       .sha256 = {sha, 32}};
    return e;
}

static void what_is_encoded_is_decoded(void **state)
{
    (void)state;
    struct buf wire = {.max = 65536}, again = {.max = 65536};
    struct event a = completed(), b;
    event_encode(&wire, &a);
    assert_int_equal(wire.err, OK);
    assert_int_equal(event_decode(&b, buf_span(&wire)), OK);
    assert_int_equal(b.type, EVENT_COMPLETED);
    assert_int_equal(b.run, 2);
    assert_int_equal(b.index, 77);
    assert_int_equal(b.ts_ms, 1769351422123);
    assert_true(span_is(b.id, "scene_001") && span_is(b.worker, "host:1"));
    assert_int_equal(b.n_images, 1);
    assert_int_equal(b.images[0].width, 1024);
    assert_true(span_equal(b.images[0].sha256, a.images[0].sha256));
    event_encode(&again, &b);
    assert_true(span_equal(buf_span(&wire), buf_span(&again)));
    for (size_t n = 0; n < wire.len; n++) { // no cut of it is an event
        char *part = malloc(n + 1);
        assert_non_null(part);
        memcpy(part, wire.ptr, n);
        assert_int_equal(event_decode(&b, (struct span){part, n}), ERR_FORMAT);
        free(part);
    }
    buf_free(&wire);
    buf_free(&again);
}

static void long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    struct buf text = {.max = 65536}, wire = {.max = 65536};
    struct event e = completed(), back;
    buf_add_byte(&text, 'x');
    while (text.len < EVENT_MAX_TEXT + 100)
        buf_add_str(&text, "é");
    e.text = buf_span(&text);
    event_encode(&wire, &e);
    assert_int_equal(event_decode(&back, buf_span(&wire)), OK); // it is UTF-8 still
    assert_int_equal(back.text.len, EVENT_MAX_TEXT - 1);
    buf_free(&text);
    buf_free(&wire);
}

// As lua/prelude.lua writes them: type, run, index, time, id, and a map of cmsgpack's.
#define HEAD(type) type "\0\1\0\0\0\5\0\0\1\0\0\0\0\0\0\2id"

static void what_scripts_write_is_read(void **state)
{
    (void)state;
    struct event e;
    assert_int_equal(event_decode(&e, SPAN(HEAD("\4") "\x80")), OK);
    assert_int_equal(e.type, EVENT_CANCELLED);
    assert_int_equal(e.index, 5);
    assert_true(span_is(e.id, "id"));
    assert_int_equal(
        event_decode(&e, SPAN(HEAD("\6") "\x82\xa4"
                                         "code\xabworker_lost\xa6policy\xa5retry")),
        OK);
    assert_int_equal(e.code, CODE_WORKER_LOST);
    assert_true(span_is(e.policy, "retry"));
    // What a later version adds is passed over.
    assert_int_equal(event_decode(&e, SPAN(HEAD("\4") "\x81\xa3new\x91\xc0")), OK);
}

static void malformed_events_are_refused(void **state)
{
    (void)state;
    struct event e;
    static const struct span cases[] = {
        SPAN(""),
        SPAN("\4"),
        SPAN(HEAD("\0") "\x80"),               // no such type
        SPAN(HEAD("\x0c") "\x80"),             // nor such
        SPAN(HEAD("\4")),                      // no map
        SPAN(HEAD("\4") "\x90"),               // another value
        SPAN(HEAD("\4") "\x80\x80"),           // bytes after it
        SPAN(HEAD("\2") "\x81\xa6images\xc0"), // wrong types
        SPAN(HEAD("\2") "\x81\xa6images\xdd\x01\x00\x00\x00"),
        SPAN(HEAD("\2") "\x81\xa8"
                        "attempts\xff"),
        SPAN(HEAD("\3") "\x81\xa7message\xa1\xff"), // not UTF-8
        SPAN("\4\0\1\0\0\0\5\0\0\1\0\0\0\0\0\xff\xffid\x80"),
        SPAN("\4\0\1\0\0\0\5\xff\0\1\0\0\0\0\0\0\2id\x80"), // a time beyond all
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(event_decode(&e, cases[i]), ERR_FORMAT);
}

static void json_is(const struct event *e, const char *expected)
{
    struct buf out = {.max = 65536};
    struct json_object *o = event_json(e, SPAN("b"), SPAN("17-0"));
    assert_non_null(o);
    json_write(&out, o);
    assert_string_equal(buf_str(&out), expected);
    json_object_put(o);
    buf_free(&out);
}

static void json_is_what_the_interface_says(void **state)
{
    (void)state;
    struct event e = completed();
#define FRONT(name)      \
    "{\"event\":\"" name \
    "\",\"batch\":\"b\",\"event_id\":\"17-0\",\"ts\":\"2026-01-25T14:30:22.123Z\","
    json_is(&e,
            FRONT("completed") "\"id\":\"scene_001\",\"index\":77,\"run\":2,\"attempts\":1,"
                               "\"model\":\"m\",\"latency_ms\":5123,\"cost_usd\":0.039,"
                               "\"usage\":{\"input_tokens\":12,\"output_tokens\":1290},"
                               "\"worker\":\"host:1\",\"images\":[{\"path\":"
                               "\"images/00077_scene_001.png\",\"mime\":\"image/png\","
                               "\"bytes\":1483022,\"width\":1024,\"height\":768,\"sha256\":"
                               "\"3031323334353637383961626364656630313233343536373839414243"
                               "444546\"}]}");
    e = (struct event){.type = EVENT_FAILED,
                       .run = 1,
                       .index = 1,
                       .ts_ms = 1769351422123,
                       .id = SPAN("x"),
                       .attempts = 1,
                       .code = CODE_SAFETY,
                       .reason = SPAN("PROHIBITED_CONTENT")};
    json_is(&e, FRONT("failed") "\"id\":\"x\",\"index\":1,\"run\":1,\"attempts\":1,\"error\":"
                                "{\"code\":\"safety\",\"reason\":\"PROHIBITED_CONTENT\","
                                "\"retryable\":false}}");
    e = (struct event){
        .type = EVENT_CANCELLED, .run = 1, .ts_ms = 1769351422123, .id = SPAN("x")};
    json_is(&e, FRONT("cancelled") "\"id\":\"x\",\"index\":0,\"run\":1}");
    e = (struct event){.type = EVENT_SUBMITTED, .ts_ms = 1769351422123, .total = 1632};
    json_is(&e, FRONT("submitted") "\"total\":1632}");
}

static void names_and_terminals(void **state)
{
    (void)state;
    assert_string_equal(event_name(EVENT_BATCH_DONE), "batch_done");
    int terminal = 0;
    for (int t = 0; t < EVENT_TYPES; t++)
        terminal += event_terminal((enum event_type)t);
    assert_int_equal(terminal, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_is_decoded),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(what_scripts_write_is_read),
        cmocka_unit_test(malformed_events_are_refused),
        cmocka_unit_test(json_is_what_the_interface_says),
        cmocka_unit_test(names_and_terminals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
