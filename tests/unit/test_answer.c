// test_answer.c - answers as they stream in: what is kept of them, what is dropped, what is too
// much; and the code that each recorded refusal comes to.
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "unit/suite.h"
#include "unit/test.h"
#include "worker/judge.h"
#include "worker/spool.h"

static struct spool_place place = {.dir = "/tmp"}, nowhere = {.dir = "/nonexistent/folder"};

static enum err feed(struct answer *a, struct span s, size_t piece)
{
    enum err e = OK;
    for (size_t at = 0; at < s.len && e == OK; at += piece)
        e = answer_feed(a, s.ptr + at, s.len - at < piece ? s.len - at : piece);
    return e;
}

// The whole of it, in pieces.
static enum err read_all(struct span s, size_t piece, struct answer **a,
                         struct json_object **doc)
{
    *a = answer_new(&place);
    assert_non_null(*a);
    enum err e = feed(*a, s, piece);
    return e == OK ? answer_end(*a, doc) : e;
}

static enum err outcome(struct span s)
{
    struct answer *a;
    struct json_object *doc;
    enum err e = read_all(s, 1u << 20, &a, &doc);
    answer_free(a);
    return e;
}

// --- What is kept ----------------------------------------------------------------------------

static void signatures_are_dropped(void **state)
{
    (void)state;
    static const size_t pieces[] = {1u << 30, 4096, 7, 1};
    struct buf body = suite_read("gemini/image/gemini-3-pro-image_jpeg_thought-signature.json");
    if (body.len == 0)
        skip();
    struct buf first = {.max = 1 << 20};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct answer *a;
        struct json_object *doc, *signature = NULL;
        struct buf kept = {.max = 1 << 20};
        unsigned seen = 0;
        assert_int_equal(read_all(buf_span(&body), pieces[i], &a, &doc), OK);
        struct json_object *parts = json_at(doc, "candidates.0.content.parts");
        for (size_t k = 0; k < json_object_array_length(parts); k++)
            if (json_get(json_object_array_get_idx(parts, k), "thoughtSignature",
                         json_type_string, &signature)) {
                assert_true(json_split_placeholder(signature) >= 0);
                assert_null(answer_take(a, signature)); // there is nothing of it
                seen++;
            }
        assert_true(seen > 0);
        json_write(&kept,
                   doc); // of megabytes, some hundred bytes are left, and always the same
        assert_int_equal(kept.err, OK);
        assert_true(kept.len < 16384);
        if (i == 0)
            buf_add(&first, buf_span(&kept));
        assert_true(span_equal(buf_span(&kept), buf_span(&first)));
        buf_free(&kept);
        answer_free(a);
    }
    buf_free(&first);
    buf_free(&body);
}

static void either_spelling_and_order_of_keys_will_do(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"QUJD\"}}",
        "{\"inlineData\":{\"data\":\"QUJD\",\"mimeType\":\"image/png\"}}",
        "{\"inline_data\":{\"data\":\"QUJD\",\"mime_type\":\"image/png\"},"
        "\"thought_signature\":\"AAAA\"}",
        "{\"thoughtSignature\":\"AAAA\",\"inlineData\":{\"data\":\"QU\\u004aD\"}}",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (size_t piece = 1; piece < 9; piece++) {
            struct answer *a;
            struct json_object *doc;
            struct provider_result r = {0};
            struct buf body = {.max = 1024};
            buf_addf(&body, "{\"candidates\":[{\"content\":{\"parts\":[%s]}}]}", parts[i]);
            assert_int_equal(read_all(buf_span(&body), piece, &a, &doc), OK);
            judge_answer(&r, a, doc);
            assert_int_equal(r.code, CODE_OK);
            assert_int_equal(r.n_images, 1);
            assert_int_equal(spool_bytes(r.images[0].spool), 3);
            assert_memory_equal(spool_head(r.images[0].spool).ptr, "ABC", 3);
            spool_free(r.images[0].spool);
            answer_free(a);
            buf_free(&body);
        }
}

// "\x01" and a number is how the document says that an image stood there. An answer that writes
// such a string itself, under whatever spelling of the keys, gets no image by it.
static void a_forged_placeholder_is_no_image(void **state)
{
    (void)state;
    static const char *const forged[] = {
        "{\"text\":\"\\u00010\"}",
        "{\"data\":\"\\u00010\"}",
        "{\"inlineData\":\"\\u00010\"}",
        "{\"fileData\":{\"data\":\"\\u00010\"}}",
    };
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
        struct answer *a;
        struct json_object *doc;
        struct provider_result r = {0};
        struct buf body = {.max = 1024};
        buf_addf(&body,
                 "{\"candidates\":[{\"content\":{\"parts\":[{\"inlineData\":{\"data\":"
                 "\"QUJD\"},\"thought\":true},%s]}}]}",
                 forged[i]);
        assert_int_equal(read_all(buf_span(&body), 5, &a, &doc), OK);
        judge_answer(&r, a, doc);
        assert_int_equal(r.n_images, 1); // that of the thought, for there is no other
        spool_free(r.images[0].spool);
        answer_free(a);
        buf_free(&body);
    }
    static const char *const data[] = {
        "[{\"inlineData\":{\"data\":\"\\u00010\"}}]",
        "[{\"inlineData\":{\"d\\u0061ta\":\"\\u00010\"}}]",
        "[{\"inline\\u0044ata\":{\"data\":\"\\u00010\"}}]",
        "[{\"inlineData\":{\"data\":\"QUJD\",\"data\":\"\\u00010\"}}]",
    };
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        assert_int_equal(outcome(span_of(data[i])), ERR_FORMAT); // diverted, and no base64
}

static void an_image_is_taken_once(void **state)
{
    (void)state;
    struct answer *a;
    struct json_object *doc, *data;
    assert_int_equal(read_all(SPAN("[{\"inlineData\":{\"data\":\"QUJD\"}}]"), 5, &a, &doc), OK);
    assert_true(json_get(json_at(doc, "0.inlineData"), "data", json_type_string, &data));
    struct spool *s = answer_take(a, data);
    assert_non_null(s);
    assert_null(answer_take(a, data));
    spool_free(s);
    answer_free(a);
}

// --- What is too much ------------------------------------------------------------------------

static struct span repeated(struct buf *b, const char *head, const char *what, size_t n,
                            const char *tail)
{
    *b = (struct buf){.max = 16u << 20};
    buf_add_str(b, head);
    for (size_t i = 0; i < n; i++)
        buf_add_str(b, what);
    buf_add_str(b, tail);
    assert_int_equal(b->err, OK);
    return buf_span(b);
}

static void limits_hold(void **state)
{
    (void)state;
    static const char image[] = ",{\"inlineData\":{\"data\":\"QUJD\"}}";
    struct buf b;
    assert_int_equal(outcome(repeated(&b, "[0", image, ANSWER_MAX_SPOOLS, "]")), OK);
    buf_free(&b);
    enum err e = outcome(repeated(&b, "[0", image, ANSWER_MAX_SPOOLS + 1, "]"));
    assert_int_not_equal(e, OK);
    buf_free(&b);
    e = outcome(repeated(&b, "{\"text\":\"", "xxxxxxxx", ANSWER_MAX_STRING / 8 + 1, "\"}"));
    assert_int_equal(e, ERR_TOOBIG);
    buf_free(&b);
    e = outcome(repeated(&b, "[0", ",12345678", ANSWER_MAX_KEPT / 9 + 1, "]"));
    assert_int_equal(e, ERR_TOOBIG);
    buf_free(&b);
    // A signature is not kept, so that it may be longer than what is.
    e = outcome(
        repeated(&b, "{\"thoughtSignature\":\"", "AAAAAAAA", ANSWER_MAX_KEPT / 8 + 1, "\"}"));
    assert_int_equal(e, OK);
    buf_free(&b);
}

static void what_has_no_folder_cannot_arrive(void **state)
{
    (void)state;
    struct answer *a = answer_new(&nowhere);
    struct span body = SPAN("[{\"inlineData\":{\"data\":\"QUJD\"}}]");
    assert_non_null(a);
    assert_int_equal(feed(a, body, body.len), ERR_MISSING);
    answer_free(a);
    answer_free(NULL);
}

// --- Reasons that test_judge.c does not name -------------------------------------------------

static void judge_text(const char *json, enum code *code, enum provider_retry *retry,
                       unsigned *limit)
{
    struct answer *a;
    struct json_object *doc;
    struct provider_result r = {0};
    assert_int_equal(read_all(span_of(json), 64, &a, &doc), OK);
    judge_answer(&r, a, doc);
    *code = r.code;
    *retry = r.retry;
    *limit = r.retry_limit;
    answer_free(a);
}

static void how_often_a_reason_is_tried_again(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        enum code code;
        unsigned limit;
    } reasons[] = {
        {"SAFETY", CODE_SAFETY, 0},
        {"IMAGE_SAFETY", CODE_SAFETY, 0},
        {"ESCALATION", CODE_SAFETY, 0},
        {"MODEL_ARMOR", CODE_PROHIBITED, 0},
        {"MAX_TOKENS", CODE_TRUNCATED, 0},
        {"RECITATION", CODE_RECITATION, 1},
        {"IMAGE_RECITATION", CODE_RECITATION, 1},
        {"NO_IMAGE", CODE_NO_IMAGE, 2},
        {"IMAGE_OTHER", CODE_NO_IMAGE, 2},
        {"OTHER", CODE_NO_IMAGE, 2},
        {"STOP", CODE_NO_IMAGE, 2},
        {"MALFORMED_RESPONSE", CODE_NO_IMAGE, 1},
        {"FINISH_REASON_UNSPECIFIED", CODE_NO_IMAGE, 1},
        {"MALFORMED_FUNCTION_CALL", CODE_NO_IMAGE, 1},
        {"MISSING_THOUGHT_SIGNATURE", CODE_NO_IMAGE, 1},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        char json[200];
        enum code code;
        enum provider_retry retry;
        unsigned limit;
        snprintf(json, sizeof json, "{\"candidates\":[{\"finishReason\":\"%s\"}]}",
                 reasons[i].reason);
        judge_text(json, &code, &retry, &limit);
        if (code != reasons[i].code || limit != reasons[i].limit)
            fail_msg("%s: %s, %u times", reasons[i].reason, code_name(code), limit);
        assert_int_equal(retry, limit ? RETRY_LIMITED : RETRY_NO);
    }
}

static void every_block_reason(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        enum code code;
    } reasons[] = {
        {"BLOCK_REASON_UNSPECIFIED", CODE_SAFETY},
        {"SAFETY", CODE_SAFETY},
        {"OTHER", CODE_SAFETY},
        {"BLOCKLIST", CODE_SAFETY},
        {"IMAGE_SAFETY", CODE_SAFETY},
        {"PROHIBITED_CONTENT", CODE_PROHIBITED},
        {"MODEL_ARMOR", CODE_PROHIBITED},
        {"JAILBREAK", CODE_PROHIBITED},
        {"A_NEW_ONE", CODE_SAFETY},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        char json[200];
        enum code code;
        enum provider_retry retry;
        unsigned limit;
        snprintf(json, sizeof json, "{\"promptFeedback\":{\"blockReason\":\"%s\"}}",
                 reasons[i].reason);
        judge_text(json, &code, &retry, &limit);
        if (code != reasons[i].code || retry != RETRY_NO)
            fail_msg("%s: %s", reasons[i].reason, code_name(code));
    }
}

// --- Recordings ------------------------------------------------------------------------------

#define FOLDER "gemini/text-and-errors/"

static const struct recording {
    const char *name;
    long status; // as it came
    enum code code;
    enum provider_retry retry;
} recordings[] = {
    {"googleai-unary-failure-api-key.json", 400, CODE_BAD_KEY, RETRY_BLOCK},
    {"vertexai-unary-failure-api-key.json", 400, CODE_BAD_KEY, RETRY_BLOCK},
    {"vertexai-unary-failure-context-cache-model-doesnt-match.json", 400, CODE_BAD_REQUEST,
     RETRY_NO},
    {"vertexai-unary-failure-image-rejected.json", 400, CODE_BAD_REQUEST, RETRY_NO},
    {"vertexai-unary-failure-unsupported-user-location.json", 400, CODE_PERMISSION,
     RETRY_BLOCK},
    {"googleai-unary-failure-generativelanguage-api-not-enabled.json", 403, CODE_PERMISSION,
     RETRY_BLOCK},
    {"vertexai-unary-failure-iam-permission-denied.json", 403, CODE_PERMISSION, RETRY_BLOCK},
    {"googleai-unary-failure-unknown-model.json", 404, CODE_NOT_FOUND, RETRY_NO},
    {"vertexai-unary-failure-model-not-found.json", 404, CODE_NOT_FOUND, RETRY_NO},
    {"vertexai-unary-failure-invalid-location-url-not-found.html", 404, CODE_NOT_FOUND,
     RETRY_NO},
    {"vertexai-unary-failure-quota-exceeded.json", 429, CODE_QUOTA_EXHAUSTED, RETRY_BLOCK},
    {"googleai-unary-failure-finish-reason-safety.json", 200, CODE_SAFETY, RETRY_NO},
    {"vertexai-unary-failure-finish-reason-safety.json", 200, CODE_SAFETY, RETRY_NO},
    {"vertexai-unary-failure-finish-reason-safety-no-content.json", 200, CODE_SAFETY, RETRY_NO},
    {"vertexai-unary-failure-prompt-blocked-safety.json", 200, CODE_SAFETY, RETRY_NO},
    {"vertexai-unary-failure-prompt-blocked-safety-with-message.json", 200, CODE_SAFETY,
     RETRY_NO},
    {"vertexai-unary-failure-unknown-enum-prompt-blocked.json", 200, CODE_SAFETY, RETRY_NO},
    {"googleai-unary-failure-only-prompt-feedback.json", 200, CODE_NO_IMAGE, RETRY_LIMITED},
    {"googleai-unary-failure-with-message-no-content.json", 200, CODE_NO_IMAGE, RETRY_LIMITED},
    {"vertexai-unary-failure-empty-content.json", 200, CODE_NO_IMAGE, RETRY_LIMITED},
    {"vertexai-unary-failure-malformed-content.json", 200, CODE_NO_IMAGE, RETRY_LIMITED},
    {"vertexai-unary-failure-unknown-enum-finish-reason.json", 200, CODE_NO_IMAGE,
     RETRY_LIMITED},
    {"vertexai-unary-failure-invalid-response.json", 200, CODE_NO_IMAGE, RETRY_LIMITED},
    {"googleai-unary-success-basic-reply-long.json", 200, CODE_TEXT_ONLY, RETRY_LIMITED},
    {"googleai-unary-success-thinking-reply-thought-summary.json", 200, CODE_TEXT_ONLY,
     RETRY_LIMITED},
    {"vertexai-unary-success-partial-usage-metadata.json", 200, CODE_TEXT_ONLY, RETRY_LIMITED},
};

static void assert_recording(const struct recording *want, struct span body)
{
    struct provider_result r = {0};
    struct json_object *doc = NULL;
    struct answer *a = NULL;
    if (want->status == 200) {
        assert_int_equal(read_all(body, 7, &a, &doc), OK);
        judge_answer(&r, a, doc);
    } else {
        if (json_read(body, &doc, NULL) != OK)
            doc = NULL;
        judge_refusal(&r, want->status, doc, body, 0);
    }
    if (r.code != want->code || r.retry != want->retry)
        fail_msg("%s: %s, retry %d", want->name, code_name(r.code), (int)r.retry);
    assert_int_equal(r.n_images, 0);
    if (r.code == CODE_TEXT_ONLY)
        assert_true(r.text.len > 0);
    if (want->status != 200)
        json_object_put(doc);
    answer_free(a);
}

static void recordings_come_to_their_codes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof recordings / sizeof *recordings; i++) {
        struct buf name = {.max = 200};
        buf_addf(&name, FOLDER "%s", recordings[i].name);
        struct buf body = suite_read(buf_str(&name));
        buf_free(&name);
        if (body.len == 0)
            skip();
        assert_recording(&recordings[i], buf_span(&body));
        buf_free(&body);
    }
}

// The recorded 429 of a minute's quota tells its delay twice; the exact one counts.
static void a_recorded_delay_is_exact(void **state)
{
    (void)state;
    struct buf body =
        suite_read("gemini/recorded/error-429-paid-tier-input-tokens-per-minute.json");
    struct json_object *doc;
    struct provider_result r = {0};
    if (body.len == 0)
        skip();
    assert_int_equal(json_read(buf_span(&body), &doc, NULL), OK);
    judge_refusal(&r, 429, doc, SPAN(""), 0);
    assert_int_equal(r.code, CODE_RATE_LIMITED);
    assert_int_equal(r.retry, RETRY_COOL);
    assert_float_equal(r.delay_floor, 48.939935699, 1e-6);
    json_object_put(doc);
    buf_free(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_dropped),
        cmocka_unit_test(either_spelling_and_order_of_keys_will_do),
        cmocka_unit_test(a_forged_placeholder_is_no_image),
        cmocka_unit_test(an_image_is_taken_once),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(what_has_no_folder_cannot_arrive),
        cmocka_unit_test(how_often_a_reason_is_tried_again),
        cmocka_unit_test(every_block_reason),
        cmocka_unit_test(recordings_come_to_their_codes),
        cmocka_unit_test(a_recorded_delay_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
