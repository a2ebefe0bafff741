// test_catalogue.c - the built-in catalogue, files that replace it, prices, request bodies.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/catalogue.h"
#include "broker/request.h"
#include "unit/test.h"

static struct job a_cat(void)
{
    return (struct job){
        .priority = JOB_NORMAL, .sample = 1, .samples = 1, .prompt = SPAN("a cat")};
}

static int open_builtin(void **state)
{
    struct catalogue *c;
    if (catalogue_open(NULL, &c, NULL) != OK)
        return -1;
    *state = c;
    return 0;
}

static int close_it(void **state)
{
    catalogue_free(*state);
    return 0;
}

static void models_are_found(void **state)
{
    struct catalogue *c = *state;
    assert_true(span_is(catalogue_default(c), "gemini-3.1-flash-image"));
    assert_non_null(catalogue_find(c, catalogue_default(c)));
    const struct model *m = catalogue_find(c, SPAN("nano-banana"));
    assert_non_null(m);
    assert_true(span_is(model_name(m), "gemini-2.5-flash-image"));
    assert_true(span_is(model_retires(m), "2026-10-02"));
    assert_null(catalogue_find(c, SPAN("gemini-9")));
    assert_null(catalogue_find(c, SPAN("")));
}

static void checks_say_what_is_possible(void **state)
{
    struct buf why = {.max = 1024};
    const struct model *m = catalogue_find(*state, SPAN("gemini-3-pro-image"));
    struct job j = a_cat();
    assert_int_equal(model_check(m, &j, &why), OK);
    j.image_size = SPAN("512");
    assert_int_equal(model_check(m, &j, &why), ERR_RANGE);
    assert_string_equal(
        buf_str(&why),
        "\"image_size\" 512 is not possible with gemini-3-pro-image: 1K, 2K, 4K");
    j.image_size = SPAN("4K");
    j.aspect_ratio = SPAN("1:8");
    assert_int_equal(model_check(m, &j, NULL), ERR_RANGE);
    m = catalogue_find(*state, SPAN("gemini-3.1-flash-image"));
    assert_int_equal(model_check(m, &j, NULL), OK);
    buf_free(&why);
}

// Whatever there is can be asked for, is priced in every size and lane, and has its tiers.
static void every_model_is_whole(void **state)
{
    static const char *const tiers[] = {"tier1", "tier2", "tier3"};
    const struct catalogue *c = *state;
    const struct model *m;
    size_t n = 0;
    for (; (m = catalogue_at(c, n)); n++) {
        struct job j = a_cat();
        struct span size;
        int64_t tokens, estimate, worst;
        assert_ptr_equal(catalogue_find(c, model_name(m)), m);
        assert_true(job_name_ok(model_name(m)));
        assert_int_equal(model_image_tokens(m, SPAN(""), &tokens), OK);
        assert_true(model_retires(m).len == 0 || model_retires(m).len == 10);
        for (size_t t = 0; t < sizeof tiers / sizeof *tiers; t++)
            assert_true(model_tier(m, span_of(tiers[t])).len > 0);
        size_t sizes = 0;
        for (; (size = model_size(m, sizes)).len; sizes++)
            for (int lane = JOB_STANDARD; lane < JOB_LANES; lane++) {
                j.image_size = size;
                j.lane = (enum job_lane)lane;
                assert_int_equal(model_check(m, &j, NULL), OK);
                assert_int_equal(model_estimate(m, &j, 40, &estimate), OK);
                assert_int_equal(model_worst(m, &j, 40, &worst), OK);
                assert_true(estimate > 0 && worst > 2 * (estimate - 100) && worst < 1000000);
            }
        assert_true(sizes > 0);
    }
    assert_true(n >= 4);
}

static int64_t cost(const struct model *m, enum job_lane lane, int64_t in, int64_t text,
                    int64_t image)
{
    int64_t micro = -1;
    assert_int_equal(model_cost(m, lane, &(struct model_usage){in, text, image}, &micro), OK);
    return micro;
}

static void prices(void **state)
{
    const struct model *pro = catalogue_find(*state, SPAN("gemini-3-pro-image"));
    const struct model *old = catalogue_find(*state, SPAN("gemini-2.5-flash-image"));
    assert_int_equal(cost(pro, JOB_STANDARD, 0, 0, 1120), 134400);
    assert_int_equal(cost(pro, JOB_STANDARD, 0, 0, 2000), 240000);
    assert_int_equal(cost(pro, JOB_FLEX, 0, 0, 1120), 67200);
    assert_int_equal(cost(pro, JOB_PRIORITY, 0, 0, 1120), 268800);
    assert_int_equal(cost(pro, JOB_BATCH, 0, 0, 1120), 67200);
    assert_int_equal(cost(pro, JOB_STANDARD, 10, 100, 0), 1220);
    assert_int_equal(cost(old, JOB_STANDARD, 1, 0, 0), 1); // 0.3, rounded up
    assert_int_equal(cost(old, JOB_STANDARD, 0, 0, 1290), 38700);
    int64_t micro;
    assert_int_equal(
        model_cost(pro, JOB_STANDARD, &(struct model_usage){.text_tokens = -1}, &micro),
        ERR_RANGE);
    struct job j = a_cat();
    j.image_size = SPAN("4K");
    assert_int_equal(model_estimate(pro, &j, 40, &micro), OK);
    assert_int_equal(micro, 240000 + 11 * 2);
    j.image_size = SPAN("8K");
    assert_int_equal(model_estimate(pro, &j, 40, &micro), ERR_MISSING);
}

static enum err open_text(const char *text, struct catalogue **c, struct buf *why)
{
    char path[] = "/tmp/genfarm-catalogue-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct span s = span_of(text);
    assert_int_equal(write(fd, s.ptr, s.len), s.len);
    close(fd);
    enum err e = catalogue_open(path, c, why);
    unlink(path);
    return e;
}

static void a_file_replaces_it(void **state)
{
    (void)state;
    struct catalogue *c;
    int64_t micro;
    assert_int_equal(open_text("{\"default\":\"m\",\"models\":[{\"name\":\"m\"}]}", &c, NULL),
                     OK);
    const struct model *m = catalogue_find(c, SPAN("m"));
    assert_non_null(m);
    // No price is no price, never zero.
    assert_int_equal(model_cost(m, JOB_STANDARD, &(struct model_usage){1, 1, 1}, &micro),
                     ERR_MISSING);
    struct job j = a_cat();
    j.image_size = SPAN("16K");
    assert_int_equal(model_check(m, &j, NULL), OK); // nothing is known against it
    catalogue_free(c);
    assert_int_equal(catalogue_open("/nonexistent/catalogue.json", &c, NULL), ERR_MISSING);
}

#define OF(members) "{\"default\":\"m\",\"models\":[{\"name\":\"m\"," members "}]}"
#define SIZES       "\"sizes\":{\"1K\":10}"
#define PRICE       "\"price\":{\"input\":1,\"text\":1,\"image\":1}"

static void bad_files_are_refused_by_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"[]", "the catalogue must be an object"},
        {"{}", "\"models\" must be a list"},
        {"{\"models\":[]}", "\"default\" must be the name of one of the models"},
        {"{\"models\":[{\"name\":\"\"}]}", "models.0.name: 1 to 100 of A-Z a-z 0-9 . _ -"},
        {"{\"models\":[{\"name\":\"m\",\"sizes\":{\"1K\":0}}]}",
         "models.0.sizes: must be an object of sizes and their image tokens"},
        {OF("\"sizes\":[]"), "models.0.sizes: must be an object of sizes"},
        {OF("\"ratios\":[1]"), "models.0.ratios: must be a list as [\"1:1\"]"},
        {OF("\"retires\":\"soon\""), "models.0.retires: must be a date as"},
        {OF("\"retires\":\"2026-02-29\""), "models.0.retires: must be a date as"},
        {OF("\"retires\":\"2026-10-2x\""), "models.0.retires: must be a date as"},
        {OF("\"references\":-1"), "models.0.references: must be how many"},
        {OF("\"references\":\"14\""), "models.0.references: must be how many"},
        {OF("\"tiers\":{\"t\":\"moon=1\"}"), "models.0.tiers: must be an object of names"},
        {OF("\"tiers\":1"), "models.0.tiers: must be an object of names"},
        {OF("\"aliases\":[\"a b\"]"), "models.0.aliases.0: 1 to 100 of A-Z"},
        {OF("\"aliases\":[\"n\",\"m\"]"), "models.0.aliases.1: a model has it already"},
        {OF("\"aliases\":[\"n\",\"n\"]"), "models.0.aliases.1: a model has it already"},
        {OF("\"aliases\":[\"n\"]},{\"name\":\"n\""), "models.1.name: another model has it"},
        {OF("\"aliases\":[]},{\"name\":\"n\",\"aliases\":[\"m\"]"),
         "models.1.aliases.0: a model has it already"},
        // What would have no price without anybody being told.
        {OF(SIZES ",\"prices\":{}"), "models.0.prices: is no member here; there may be name,"},
        {OF(SIZES ",\"default_size\":\"2K\"," PRICE),
         "models.0.default_size: must be one of the sizes"},
        {OF(SIZES "," PRICE), "models.0.default_size: must be there, and sizes"},
        {OF("\"default_size\":\"1K\"," PRICE),
         "models.0.default_size: must be one of the sizes"},
        {OF("\"price\":{\"input\":-1,\"text\":1,\"image\":1}"),
         "models.0.price.input: must be dollars"},
        {OF("\"price\":{\"input\":1,\"txt\":1,\"image\":1}"),
         "models.0.price.text: must be dollars"},
        {OF("\"price\":{\"input\":1,\"text\":1,\"image\":1,\"video\":1}"),
         "models.0.price.video: is no member here; there may be input, text, image"},
        {OF("\"price\":1"), "models.0.price: must be an object"},
        {OF("\"lanes\":{\"standart\":1}"),
         "models.0.lanes.standart: is no member here; there may be standard, flex,"},
        {OF("\"lanes\":{\"flex\":0}"), "models.0.lanes.flex: must be a factor"},
        {OF("\"lanes\":[]"), "models.0.lanes: must be an object"},
        {"{\"default\":\"m\",\"models\":[{\"name\":\"m\"}],\"version\":1}",
         "version: is no member here; there may be default, models, sources"},
        {"{\"default\":\"m\",\"models\":[{\"name\":\"m\"}],\"sources\":\"x\"}",
         "\"sources\" must be a list"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct catalogue *c;
        struct buf why = {.max = 1024};
        enum err e = open_text(cases[i].text, &c, &why);
        if (e != ERR_FORMAT || !strstr(buf_str(&why), cases[i].why))
            fail_msg("%s: %s, not %s", cases[i].text, buf_str(&why), cases[i].why);
        assert_memory_equal(buf_str(&why), "catalogue /", 11); // and which file
        buf_free(&why);
    }
}

static void requests_have_only_what_is_set(void **state)
{
    (void)state;
    struct buf out = {.max = 65536};
    struct job j = a_cat();
    request_body(&out, &j);
    assert_string_equal(buf_str(&out),
                        "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a cat\"}]}],"
                        "\"generationConfig\":{\"responseModalities\":[\"TEXT\",\"IMAGE\"]}}");
    buf_clear(&out);
    j.aspect_ratio = SPAN("16:9");
    j.image_size = SPAN("2K");
    j.has_seed = true;
    j.seed = 42;
    j.lane = JOB_FLEX;
    request_body(&out, &j);
    assert_string_equal(buf_str(&out),
                        "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a cat\"}]}],"
                        "\"generationConfig\":{\"responseModalities\":[\"TEXT\",\"IMAGE\"],"
                        "\"imageConfig\":{\"aspectRatio\":\"16:9\",\"imageSize\":\"2K\"},"
                        "\"seed\":42},\"serviceTier\":\"flex\"}");
    buf_clear(&out);
    j = a_cat();
    j.lane = JOB_BATCH; // told by the endpoint, not by the request
    request_body(&out, &j);
    assert_null(memmem(out.ptr, out.len, "serviceTier", 11));
    buf_clear(&out);
    request_path(&out, SPAN("m"));
    assert_string_equal(buf_str(&out), "/v1beta/models/m:generateContent");
    buf_free(&out);
}

static void assert_same_request(const struct job *a, const struct job *b, bool same)
{
    char x[DIGEST_HEX], y[DIGEST_HEX];
    request_digest(a, x);
    request_digest(b, y);
    assert_int_equal(strlen(x), DIGEST_HEX - 1);
    assert_int_equal(strcmp(x, y) == 0, same);
}

// What decides what comes back makes a request another one; who asks for it, and how soon, not.
static void requests_are_the_same_or_not(void **state)
{
    (void)state;
    const struct job cat = a_cat();
    struct job j[] = {cat, cat, cat, cat, cat, cat, cat, cat};
    j[0].model = SPAN("another");
    j[1].prompt = SPAN("a cat ");
    j[2].negative = SPAN("a dog");
    j[3].aspect_ratio = SPAN("1:1");
    j[4].image_size = SPAN("1K");
    j[5].has_seed = true; // of 0, which is not none
    j[6].has_temperature = true;
    j[7].samples = j[7].sample = 2;
    for (size_t i = 0; i < sizeof j / sizeof *j; i++) {
        assert_same_request(&cat, &j[i], false);
        for (size_t k = 0; k < i; k++)
            assert_same_request(&j[k], &j[i], false);
    }
    struct job same = cat;
    same.id = SPAN("id");
    same.lane = JOB_FLEX;
    same.priority = JOB_HIGH;
    same.samples = 4;
    same.sample = 1;
    same.max_attempts = 2;
    same.timeout = same.deadline = same.dedupe = 5;
    same.fail_unknown = true;
    assert_same_request(&cat, &same, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(models_are_found, open_builtin, close_it),
        cmocka_unit_test_setup_teardown(checks_say_what_is_possible, open_builtin, close_it),
        cmocka_unit_test_setup_teardown(every_model_is_whole, open_builtin, close_it),
        cmocka_unit_test_setup_teardown(prices, open_builtin, close_it),
        cmocka_unit_test(a_file_replaces_it),
        cmocka_unit_test(bad_files_are_refused_by_place),
        cmocka_unit_test(requests_have_only_what_is_set),
        cmocka_unit_test(requests_are_the_same_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
