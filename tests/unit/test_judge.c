// What an answer comes to: recorded ones whole and in pieces, and every row of the tables.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "suite.h"
#include "test.h"
#include "worker/judge.h"
#include "worker/spool.h"

struct outcome {
    enum err err;
    enum code code;
    enum provider_retry retry;
    unsigned images;
    uint64_t bytes;
    uint8_t digest[DIGEST_SIZE];
    int64_t input_tokens, image_tokens;
    char head[8];
};

static struct spool_place place = {.dir = "/tmp"};

static struct outcome read_in_pieces(struct span body, size_t piece)
{
    struct outcome o = {0};
    struct provider_result r = {0};
    struct answer *a = answer_new(&place);
    struct json_object *doc = NULL;
    assert_non_null(a);
    for (size_t at = 0; at < body.len && o.err == OK; at += piece)
        o.err = answer_feed(a, body.ptr + at, body.len - at < piece ? body.len - at : piece);
    if (o.err == OK)
        o.err = answer_end(a, &doc);
    if (o.err == OK) {
        judge_answer(&r, a, doc);
        o.code = r.code;
        o.retry = r.retry;
        o.images = r.n_images;
        o.input_tokens = r.input_tokens;
        o.image_tokens = r.image_tokens;
        if (r.n_images > 0) {
            o.bytes = spool_bytes(r.images[0].spool);
            memcpy(o.digest, spool_digest(r.images[0].spool), DIGEST_SIZE);
            memcpy(o.head, spool_head(r.images[0].spool).ptr, sizeof o.head);
        }
        for (unsigned i = 0; i < r.n_images; i++)
            spool_free(r.images[i].spool);
    }
    answer_free(a);
    return o;
}

static struct outcome answer(const char *json)
{
    return read_in_pieces(span_of(json), 1u << 20);
}

static void recorded(const char *name, const char *magic, int64_t image_tokens)
{
    struct buf body = suite_read(name);
    if (body.len == 0)
        skip();
    static const size_t pieces[] = {1u << 30, 4096, 7, 1};
    struct outcome first = read_in_pieces(buf_span(&body), pieces[0]);
    assert_int_equal(first.err, OK);
    assert_int_equal(first.code, CODE_OK);
    assert_int_equal(first.images, 1);
    assert_true(first.bytes > 100000);
    assert_memory_equal(first.head, magic, strlen(magic));
    assert_int_equal(first.image_tokens, image_tokens);
    for (size_t i = 1; i < sizeof pieces / sizeof *pieces; i++) {
        struct outcome o = read_in_pieces(buf_span(&body), pieces[i]);
        assert_int_equal(o.err, OK);
        assert_memory_equal(o.digest, first.digest, DIGEST_SIZE);
    }
    // Cut anywhere, it is no answer.
    for (size_t n = 1; n < body.len; n += body.len / 37) {
        struct outcome o = read_in_pieces((struct span){body.ptr, n}, 1u << 30);
        assert_int_not_equal(o.err, OK);
    }
    buf_free(&body);
}

static void recorded_png(void **state)
{
    (void)state;
    recorded("gemini/image/gemini-2.5-flash-image_text-and-png.json", "\x89PNG", 1290);
}

static void recorded_jpeg(void **state)
{
    (void)state;
    recorded("gemini/image/gemini-3-pro-image_jpeg_thought-signature.json", "\xff\xd8\xff",
             1120);
}

static void recorded_text_only(void **state)
{
    (void)state;
    struct buf body = suite_read("gemini/image/gemini-2.5-flash-image_text-only.json");
    if (body.len == 0)
        skip();
    struct outcome o = read_in_pieces(buf_span(&body), 4096);
    assert_int_equal(o.err, OK);
    assert_int_equal(o.code, CODE_TEXT_ONLY);
    assert_int_equal(o.retry, RETRY_LIMITED);
    buf_free(&body);
}

static void every_reason(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        enum code code;
        enum provider_retry retry;
    } table[] = {{"SAFETY", CODE_SAFETY, RETRY_NO},
                 {"IMAGE_SAFETY", CODE_SAFETY, RETRY_NO},
                 {"LANGUAGE", CODE_SAFETY, RETRY_NO},
                 {"SPII", CODE_SAFETY, RETRY_NO},
                 {"BLOCKLIST", CODE_SAFETY, RETRY_NO},
                 {"PROHIBITED_CONTENT", CODE_PROHIBITED, RETRY_NO},
                 {"IMAGE_PROHIBITED_CONTENT", CODE_PROHIBITED, RETRY_NO},
                 {"RECITATION", CODE_RECITATION, RETRY_LIMITED},
                 {"IMAGE_RECITATION", CODE_RECITATION, RETRY_LIMITED},
                 {"NO_IMAGE", CODE_NO_IMAGE, RETRY_LIMITED},
                 {"IMAGE_OTHER", CODE_NO_IMAGE, RETRY_LIMITED},
                 {"OTHER", CODE_NO_IMAGE, RETRY_LIMITED},
                 {"STOP", CODE_NO_IMAGE, RETRY_LIMITED},
                 {"MAX_TOKENS", CODE_TRUNCATED, RETRY_NO},
                 {"A_NEW_ONE", CODE_NO_IMAGE, RETRY_LIMITED}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char json[256];
        snprintf(json, sizeof json,
                 "{\"candidates\":[{\"content\":{},\"finishReason\":\"%s\"}]}",
                 table[i].reason);
        struct outcome o = answer(json);
        assert_int_equal(o.code, table[i].code);
        assert_int_equal(o.retry, table[i].retry);
    }
}

static void forms_of_nothing(void **state)
{
    (void)state;
    assert_int_equal(answer("{}").code, CODE_NO_IMAGE);
    assert_int_equal(answer("{\"candidates\":null}").code, CODE_NO_IMAGE);
    assert_int_equal(
        answer("{\"candidates\":[],\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}").code,
        CODE_SAFETY);
    assert_int_equal(
        answer("{\"promptFeedback\":{\"blockReason\":\"PROHIBITED_CONTENT\"}}").code,
        CODE_PROHIBITED);
    assert_int_equal(answer("{\"promptFeedback\":{\"blockReason\":\"OTHER\"}}").code,
                     CODE_SAFETY);
    assert_int_equal(answer("{\"error\":{\"code\":503,\"message\":\"later\"}}").code,
                     CODE_OVERLOADED);
    assert_int_equal(answer("<html>").err, ERR_FORMAT);
    assert_int_equal(
        answer("{\"candidates\":[{\"content\":{\"parts\":[{\"inlineData\":{\"data\":"
               "\"%%%%\"}}]}}]}")
            .err,
        ERR_FORMAT);
}

#define IMAGE(data) "{\"inlineData\":{\"data\":\"" data "\",\"mimeType\":\"image/png\"}"
static void which_image(void **state)
{
    (void)state;
    struct outcome o = answer("{\"candidates\":[{\"content\":{\"parts\":[" IMAGE(
        "AAAA") ",\"thought\":true}," IMAGE("QUJDREVGR0g=") ",\"thoughtSignature\":\"xxxx\"}]},"
                                                            "\"finishReason\":\"STOP\"}]}");
    assert_int_equal(o.images, 1);
    assert_memory_equal(o.head, "ABCDEFGH", 8);
    // Only in a thought: then that one.
    o = answer("{\"candidates\":[{\"content\":{\"parts\":[" IMAGE(
        "QUJDREVGR0g=") ",\"thought\":true}]},\"finishReason\":\"STOP\"}]}");
    assert_int_equal(o.images, 1);
    o = answer("{\"candidates\":[{\"content\":{\"parts\":[" IMAGE("QUJDREVGR0g=") "}," IMAGE(
        "QUJDREVGR0g=") "}]},\"finishReason\":\"STOP\"}]}");
    assert_int_equal(o.images, 2);
}

struct refusal {
    enum code code;
    enum provider_retry retry;
    double floor;
    char allows[PROVIDER_ALLOWS];
    bool bad_key;
    enum provider_quota quota;
};

static struct refusal refuse(long status, const char *body, double retry_after)
{
    struct provider_result r = {0};
    struct json_object *doc = NULL;
    if (json_read(span_of(body), &doc, NULL) != OK)
        doc = NULL;
    judge_refusal(&r, status, doc, span_of("raw"), retry_after);
    struct refusal f = {r.code, r.retry, r.delay_floor, "", r.bad_key, r.quota};
    memcpy(f.allows, r.allows, sizeof f.allows);
    json_object_put(doc);
    return f;
}

static void every_status(void **state)
{
    (void)state;
    static const struct {
        long status;
        enum code code;
        enum provider_retry retry;
    } table[] = {{302, CODE_BAD_RESPONSE, RETRY_NO},   {400, CODE_BAD_REQUEST, RETRY_NO},
                 {401, CODE_BAD_KEY, RETRY_BLOCK},     {402, CODE_PERMISSION, RETRY_BLOCK},
                 {403, CODE_PERMISSION, RETRY_BLOCK},  {404, CODE_NOT_FOUND, RETRY_NO},
                 {408, CODE_TIMEOUT, RETRY_YES},       {413, CODE_BAD_REQUEST, RETRY_NO},
                 {429, CODE_RATE_LIMITED, RETRY_COOL}, {499, CODE_SERVER_ERROR, RETRY_YES},
                 {500, CODE_SERVER_ERROR, RETRY_YES},  {502, CODE_SERVER_ERROR, RETRY_YES},
                 {503, CODE_OVERLOADED, RETRY_YES},    {504, CODE_SERVER_ERROR, RETRY_YES}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct refusal f = refuse(table[i].status, "<html>gateway</html>", 0);
        assert_int_equal(f.code, table[i].code);
        assert_int_equal(f.retry, table[i].retry);
    }
    assert_int_equal(refuse(400, "{\"error\":{\"status\":\"FAILED_PRECONDITION\"}}", 0).code,
                     CODE_PERMISSION);
    assert_int_equal(refuse(400,
                            "[{\"error\":{\"details\":[{\"@type\":\"x/google.rpc.ErrorInfo\","
                            "\"reason\":\"API_KEY_INVALID\"}]}}]",
                            0)
                         .code,
                     CODE_BAD_KEY);
}

#define RETRY_INFO(s) "{\"@type\":\"t/google.rpc.RetryInfo\",\"retryDelay\":\"" s "\"}"
#define QUOTA(v)      "{\"@type\":\"t/google.rpc.QuotaFailure\",\"violations\":[" v "]}"
static void kinds_of_429(void **state)
{
    (void)state;
    struct refusal f = refuse(429, "{\"error\":{\"details\":[" RETRY_INFO("48s") "]}}", 0);
    assert_int_equal(f.retry, RETRY_COOL);
    assert_float_equal(f.floor, 49, 0.001); // cut to whole seconds: one more
    f = refuse(429,
               "{\"error\":{\"message\":\"Please retry in 48.5s.\",\"details\":[" RETRY_INFO(
                   "48s") "]}}",
               0);
    assert_float_equal(f.floor, 48.5, 0.001);
    f = refuse(429, "", 7);
    assert_float_equal(f.floor, 7, 0.001);
    f = refuse(
        429,
        "{\"error\":{\"details\":[" QUOTA("{\"quotaId\":\"RequestsPerDay\","
                                          "\"quotaValue\":\"10\"}") "," RETRY_INFO("21s") "]}}",
        0);
    assert_int_equal(f.code, CODE_QUOTA_EXHAUSTED);
    assert_int_equal(f.retry, RETRY_BLOCK);
    f = refuse(429,
               "{\"error\":{\"details\":[" QUOTA("{\"quotaId\":\"PerMinute\","
                                                 "\"quotaValue\":\"60\"}") "]}}",
               0);
    assert_int_equal(f.code, CODE_RATE_LIMITED);
    f = refuse(429, "{\"error\":{\"message\":\"Your prepayment credits are depleted.\"}}", 0);
    assert_int_equal(f.code, CODE_QUOTA_EXHAUSTED);
}

#define MINUTE                                                                    \
    "{\"quotaMetric\":\"m/generate_requests\",\"quotaId\":\"RequestsPerMinute\"," \
    "\"quotaValue\":\"60\"}"
#define INFO(reason, more)                                             \
    "{\"@type\":\"t/google.rpc.ErrorInfo\",\"reason\":\"" reason "\"," \
    "\"metadata\":{" more "}}"
#define SAID(details) "{\"error\":{\"details\":[" details "]}}"
#define WORDS(words, details) \
    "{\"error\":{\"message\":\"" words "\",\"details\":[" details "]}}"
// Quotas, spend and capacity are told apart by what is named, and not by whether a delay is.
static void what_a_429_is_about(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum provider_quota quota;
        enum provider_retry retry;
        double floor;
    } table[] = {
        {SAID(QUOTA(MINUTE)), QUOTA_RATE, RETRY_COOL, 0},
        {SAID(QUOTA(MINUTE) "," RETRY_INFO("48s")), QUOTA_RATE, RETRY_COOL, 49},
        // Without its value, but not described either.
        {SAID(QUOTA("{\"quotaId\":\"PerMinute\"}")), QUOTA_RATE, RETRY_COOL, 0},
        {SAID(QUOTA("{\"subject\":\"project:1\"}")), QUOTA_RATE, RETRY_COOL, 0},
        {SAID(INFO("RATE_LIMIT_EXCEEDED",
                   "\"quota_limit\":\"RequestsPerMinute\",\"quota_limit_value\":\"9\"")),
         QUOTA_RATE, RETRY_COOL, 0},
        {SAID(QUOTA("{\"quotaMetric\":\"m/x\",\"quotaId\":\"PerMinute\"}")), QUOTA_ZERO,
         RETRY_BLOCK, 600},
        {WORDS("* Quota exceeded for metric: m, limit: 0, model: x", QUOTA(MINUTE)), QUOTA_ZERO,
         RETRY_BLOCK, 600},
        {SAID(QUOTA(MINUTE ",{\"quotaMetric\":\"m/x\",\"quotaId\":\"RequestsPerDay\","
                           "\"quotaValue\":\"10\"}")),
         QUOTA_DAILY, RETRY_BLOCK, 600},
        {WORDS("You have exceeded the spend rate limit of your tier", ""), QUOTA_SPEND,
         RETRY_COOL, 120},
        {WORDS("You have exceeded the spend rate limit", RETRY_INFO("300s")), QUOTA_SPEND,
         RETRY_COOL, 301},
        {WORDS("", QUOTA("{\"quotaMetric\":\"m/spend\",\"quotaId\":\"SpendPerTenMinutes\","
                         "\"quotaValue\":\"10\"}")),
         QUOTA_SPEND, RETRY_COOL, 120},
        {WORDS("See how to spend less.", QUOTA(MINUTE)), QUOTA_RATE, RETRY_COOL, 0},
        {"", QUOTA_CAPACITY, RETRY_COOL, 0},
        {"<html>", QUOTA_CAPACITY, RETRY_COOL, 0},
        {WORDS("Resource has been exhausted (e.g. check quota).", ""), QUOTA_CAPACITY,
         RETRY_COOL, 0},
        {WORDS("Resource exhausted. Please try again later.", RETRY_INFO("3s")), QUOTA_CAPACITY,
         RETRY_COOL, 4},
        {SAID(INFO("MODEL_CAPACITY_EXHAUSTED", "") "," RETRY_INFO("0.3738s")), QUOTA_CAPACITY,
         RETRY_COOL, 1.3738},
        {SAID(QUOTA("")), QUOTA_CAPACITY, RETRY_COOL, 0},
        {WORDS("Your prepayment credits are depleted.", ""), QUOTA_CREDITS, RETRY_BLOCK, 600},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct refusal f = refuse(429, table[i].body, 0);
        if (f.quota != table[i].quota || f.retry != table[i].retry)
            fail_msg("row %zu: quota %d, retry %d", i, (int)f.quota, (int)f.retry);
        assert_float_equal(f.floor, table[i].floor, 0.001);
        assert_int_equal(f.code,
                         f.retry == RETRY_COOL ? CODE_RATE_LIMITED : CODE_QUOTA_EXHAUSTED);
    }
    assert_int_equal(refuse(402, "", 0).quota, QUOTA_CREDITS);
    assert_float_equal(refuse(402, "", 0).floor, 600, 0.001);
    assert_int_equal(refuse(503, "", 0).quota, QUOTA_NONE);
}

static void recorded_429s(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum provider_quota quota;
        double floor;
        const char *allows;
    } table[] = {
        {"gemini/recorded/error-429-paid-tier-input-tokens-per-minute.json", QUOTA_RATE,
         48.939935699, "tpm=1000000/60000000"},
        {"gemini/recorded/vercel-google-429-retry-info.json", QUOTA_RATE, 35.4, ""},
        {"gemini/text-and-errors/vertexai-unary-failure-quota-exceeded.json", QUOTA_ZERO, 600,
         ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct buf body = suite_read(table[i].name);
        if (body.len == 0)
            skip();
        struct refusal f = refuse(429, buf_str(&body), 0);
        assert_int_equal(f.quota, table[i].quota);
        assert_float_equal(f.floor, table[i].floor, 0.001);
        assert_string_equal(f.allows, table[i].allows);
        buf_free(&body);
    }
}

#define V(id, value) "{\"quotaId\":\"" id "\",\"quotaValue\":\"" value "\"}"
static void what_quotas_allow(void **state)
{
    (void)state;
    static const struct {
        const char *violations, *allows;
    } table[] = {
        {V("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "15"), "rpm=15/60000000"},
        {V("GenerateRequestsPerDayPerProjectPerModel", "2000"), "rpd=2000/day"},
        {V("GenerateImagesPerMinutePerProjectPerModel",
           "10") "," V("GenerateContentPaidTierInputTokensPerModelPerMinute", "1000000"),
         "ipm=10/60000000,tpm=1000000/60000000"},
        {V("GenerateContentInputTokensPerModelPerDay-FreeTier", "5"), "tpd=5/day"},
        {V("GenerateRequestsPerMinutePerProject", "9") "," V("GenerateRequestsPerMinute", "7"),
         "rpm=9/60000000"}, // the first one
        {V("GenerateRequestsPerHour", "9"), ""},
        {V("SomethingPerMinute", "9"), ""},
        {V("GenerateRequestsPerMinute", "0"), ""},
        {V("GenerateRequestsPerMinute", "-1"), ""},
        {V("GenerateRequestsPerMinute", "99999999999"), ""},
        {"{\"quotaId\":7,\"quotaValue\":\"9\"},3", ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct buf body = {.max = 2000};
        buf_addf(&body, "{\"error\":{\"details\":[" QUOTA("%s") "]}}", table[i].violations);
        assert_string_equal(refuse(429, buf_str(&body), 0).allows, table[i].allows);
        buf_free(&body);
    }
}

static void keys_at_fault(void **state)
{
    (void)state;
    assert_true(refuse(401, "", 0).bad_key);
    assert_true(refuse(403,
                       "{\"error\":{\"details\":[{\"@type\":\"x/google.rpc.ErrorInfo\","
                       "\"reason\":\"API_KEY_SERVICE_BLOCKED\"}]}}",
                       0)
                    .bad_key);
    assert_false(refuse(403,
                        "{\"error\":{\"details\":[{\"@type\":\"x/google.rpc.ErrorInfo\","
                        "\"reason\":\"CONSUMER_SUSPENDED\"}]}}",
                        0)
                     .bad_key);
    assert_false(refuse(429, "", 0).bad_key);
}

static void durations(void **state)
{
    (void)state;
    assert_float_equal(judge_duration(SPAN("48s")), 48, 1e-6);
    assert_float_equal(judge_duration(SPAN("373.8ms")), 0.3738, 1e-6);
    assert_float_equal(judge_duration(SPAN("1h2m3.5s")), 3723.5, 1e-6);
    assert_float_equal(judge_duration(SPAN("")), 0, 1e-6);
    assert_float_equal(judge_duration(SPAN("soon")), 0, 1e-6);
}

static void each_error(void *ctx, const char *name, struct span bytes)
{
    struct json_object *doc = NULL;
    struct provider_result r = {0};
    int64_t code;
    unsigned *seen = ctx;
    if (json_read(bytes, &doc, NULL) != OK)
        return;
    struct json_object *error;
    if (json_get(doc, "error", json_type_object, &error) &&
        json_get_int(error, "code", &code)) {
        judge_refusal(&r, (long)code, doc, SPAN(""), 0);
        if (r.code == CODE_OK || r.message.len == 0)
            fail_msg("%s: not judged", name);
        ++*seen;
    }
    json_object_put(doc);
}

static void recorded_errors(void **state)
{
    (void)state;
    unsigned seen = 0;
    if (suite_each("gemini/text-and-errors", ".json", each_error, &seen) == 0)
        skip();
    assert_true(seen > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_png),        cmocka_unit_test(recorded_jpeg),
        cmocka_unit_test(recorded_text_only),  cmocka_unit_test(every_reason),
        cmocka_unit_test(forms_of_nothing),    cmocka_unit_test(which_image),
        cmocka_unit_test(every_status),        cmocka_unit_test(kinds_of_429),
        cmocka_unit_test(what_a_429_is_about), cmocka_unit_test(recorded_429s),
        cmocka_unit_test(what_quotas_allow),   cmocka_unit_test(keys_at_fault),
        cmocka_unit_test(durations),           cmocka_unit_test(recorded_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
