// test_job.c - jobs: columns, the wire both ways and its refusals, prompts, names.
#include <stdlib.h>
#include <string.h>

#include "broker/job.h"
#include "common/mp.h"
#include "unit/test.h"

static struct job fresh(void)
{
    return (struct job){
        .priority = JOB_NORMAL, .sample = 1, .samples = 1, .prompt = SPAN("a cat")};
}

static void set(struct job *j, const char *name, const char *value, enum err expected)
{
    struct buf why = {.max = 1024};
    assert_int_equal(job_set(j, span_of(name), span_of(value), &why), expected);
    if (expected == OK || expected == ERR_MISSING)
        assert_int_equal(why.len, 0);
    else
        assert_true(why.len > 0 && why.ptr[0] == '"');
    buf_free(&why);
}

static void columns_are_read_by_any_spelling(void **state)
{
    struct job j = fresh();
    (void)state;
    set(&j, "ID", "scene_1", OK);
    set(&j, "aspect-ratio", "16:9", OK);
    set(&j, "Image_Size", " 4K ", OK);
    set(&j, "priority", "HIGH", OK);
    set(&j, "seed", "-7", OK);
    set(&j, "temperature", "0.5", OK);
    set(&j, "timeout", "2m", OK);
    set(&j, "deadline", "90", OK);
    set(&j, "on-unknown", "fail", OK);
    set(&j, "count", "3", OK);
    assert_true(span_is(j.id, "scene_1"));
    assert_true(span_is(j.aspect_ratio, "16:9"));
    assert_true(span_is(j.image_size, "4K"));
    assert_int_equal(j.priority, JOB_HIGH);
    assert_true(j.has_seed && j.seed == -7);
    assert_true(j.has_temperature && j.temperature > 0.49 && j.temperature < 0.51);
    assert_true(j.timeout > 119.9 && j.timeout < 120.1);
    assert_true(j.fail_unknown);
    assert_int_equal(j.samples, 3);
}

static void bad_columns_are_refused(void **state)
{
    struct job j = fresh();
    (void)state;
    set(&j, "colour", "red", ERR_MISSING);
    set(&j, "batch", "b", ERR_MISSING); // the wire's alone
    set(&j, "input", "1", ERR_MISSING);
    set(&j, "aspect_ratio", "16x9", ERR_FORMAT);
    set(&j, "aspect_ratio", ":9", ERR_FORMAT);
    set(&j, "aspect_ratio", "16:", ERR_FORMAT);
    set(&j, "aspect_ratio", "1:1:1", ERR_FORMAT);
    set(&j, "image_size", "1k", ERR_FORMAT);
    set(&j, "image_size", "K", ERR_FORMAT);
    set(&j, "priority", "urgent", ERR_FORMAT);
    set(&j, "seed", "x", ERR_FORMAT);
    set(&j, "seed", "2147483648", ERR_RANGE);
    set(&j, "temperature", "2.1", ERR_RANGE);
    set(&j, "count", "0", ERR_RANGE);
    set(&j, "count", "1001", ERR_RANGE);
    set(&j, "max_attempts", "101", ERR_RANGE);
    set(&j, "timeout", "0", ERR_RANGE);
    set(&j, "model", "a/b", ERR_FORMAT);
    set(&j, "model", ".hidden", ERR_FORMAT);
    set(&j, "title", "\xff", ERR_FORMAT);
}

static void checks_name_the_member(void **state)
{
    (void)state;
    struct {
        struct job job;
        enum err err;
        const char *why;
    } cases[] = {
        {fresh(), OK, ""},
        {fresh(), ERR_FORMAT, "\"prompt\" is empty"},
        {fresh(), ERR_FORMAT, "\"prompt\" is blank"},
        {fresh(), ERR_FORMAT, "\"prompt\" is not UTF-8 (byte 2)"},
        {fresh(), ERR_RANGE, "\"sample\" is above \"count\""},
    };
    cases[1].job.prompt = SPAN("");
    cases[2].job.prompt = SPAN(" \n\t");
    cases[3].job.prompt = SPAN("ab\xc3");
    cases[4].job.sample = 2;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf why = {.max = 1024};
        assert_int_equal(job_check(&cases[i].job, &why), cases[i].err);
        assert_string_equal(buf_str(&why), cases[i].why);
        buf_free(&why);
    }
}

static void ids_and_jobs_have_a_limit(void **state)
{
    (void)state;
    struct buf why = {.max = 1024}, big = {.max = 2 * JOB_MAX_BYTES};
    struct job j = fresh();
    for (unsigned i = 0; i < JOB_MAX_BYTES; i++)
        buf_add_byte(&big, 'x');
    j.id = (struct span){big.ptr, JOB_MAX_ID};
    assert_int_equal(job_check(&j, &why), OK);
    j.id.len++;
    assert_int_equal(job_check(&j, &why), ERR_TOOBIG);
    j.id.len = 0;
    j.prompt = (struct span){big.ptr, JOB_MAX_BYTES / 2};
    j.title = (struct span){big.ptr, JOB_MAX_BYTES / 2};
    assert_int_equal(job_check(&j, &why), ERR_TOOBIG);
    buf_free(&big);
    buf_free(&why);
}

static void decode(struct job *j, struct span bytes, enum err expected, const char *because)
{
    struct buf why = {.max = 1024};
    assert_int_equal(job_decode(j, bytes, &why), expected);
    assert_string_equal(buf_str(&why), because);
    buf_free(&why);
}

static void what_is_encoded_is_decoded(void **state)
{
    (void)state;
    struct buf wire = {.max = JOB_MAX_BYTES}, again = {.max = JOB_MAX_BYTES};
    struct job a = fresh(), b;
    a.id = SPAN("x");
    a.title = SPAN("T");
    a.negative = SPAN("blur");
    a.model = SPAN("m-1");
    a.priority = JOB_LOW;
    a.lane = JOB_FLEX;
    a.samples = 4;
    a.sample = 3;
    a.input = 70000;
    a.has_seed = true;
    a.seed = 0;
    a.has_temperature = true;
    a.timeout = 1.5;
    a.max_attempts = 9;
    a.fail_unknown = true;
    a.extra = SPAN("\x81\xa1"
                   "a\x01");
    job_encode(&wire, &a);
    assert_int_equal(wire.err, OK);
    decode(&b, buf_span(&wire), OK, "");
    assert_true(span_equal(a.id, b.id) && span_equal(a.prompt, b.prompt));
    assert_true(span_equal(a.negative, b.negative) && span_equal(a.extra, b.extra));
    assert_int_equal(b.priority, JOB_LOW);
    assert_int_equal(b.lane, JOB_FLEX);
    assert_int_equal(b.sample, 3);
    assert_int_equal(b.samples, 4);
    assert_int_equal(b.input, 70000);
    assert_true(b.has_seed && b.seed == 0 && b.has_temperature && b.fail_unknown);
    job_encode(&again, &b); // canonical, for the digest is made of it
    assert_true(span_equal(buf_span(&wire), buf_span(&again)));
    buf_free(&wire);
    buf_free(&again);
}

static void malformed_jobs_are_refused(void **state)
{
    (void)state;
    struct job j;
    static const struct {
        struct span bytes;
        enum err err;
        const char *why;
    } cases[] = {
        {{"", 0}, ERR_FORMAT, "the job is not a msgpack map"},
        {{"\xc0", 1}, ERR_FORMAT, "the job is not a msgpack map"},
        {{"\xdf\x01\x00\x00\x00", 5}, ERR_FORMAT, "the job is not a msgpack map"},
        {{"\x81\x01\x01", 3}, ERR_FORMAT, "a key of the map is not a string"},
        {{"\x80", 1}, ERR_FORMAT, "\"prompt\" is empty"},
        {{"\x81\xa6prompt\x01", 9}, ERR_FORMAT, "\"prompt\" must be a string"},
        {{"\x81\xa6prompt\xc0", 9}, ERR_FORMAT, "\"prompt\" is empty"},
        {{"\x81\xa6prompt\xa1y\x00", 11}, ERR_FORMAT, "there are bytes after the map"},
        {{"\x82\xa6prompt\xa1y\xa6prompt\xa1y", 19}, ERR_FORMAT, "\"prompt\" is there twice"},
        {{"\x82\xa6prompt\xa1y\xa4seed\xa1y", 17}, ERR_FORMAT, "\"seed\" must be an integer"},
        {{"\x82\xa6prompt\xa1y\xa5"
          "count\x00",
          17},
         ERR_RANGE,
         "\"count\" must lie between 1 and 1000"},
        {{"\x82\xa6prompt\xa1y\xa5"
          "extra\x01",
          17},
         ERR_FORMAT,
         "\"extra\" must be a map"},
        {{"\x82\xa6prompt\xa1y\xa1z", 12}, ERR_FORMAT, "the map is cut or malformed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        decode(&j, cases[i].bytes, cases[i].err, cases[i].why);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    struct buf wire = {.max = JOB_MAX_BYTES};
    struct job a = fresh(), b;
    a.id = SPAN("id");
    a.has_temperature = true;
    a.temperature = 0.7;
    job_encode(&wire, &a);
    for (size_t n = 0; n < wire.len; n++) {
        char *part = malloc(n + 1); // so that ASan sees a read beyond it
        assert_non_null(part);
        memcpy(part, wire.ptr, n);
        assert_int_not_equal(job_decode(&b, (struct span){part, n}, NULL), OK);
        free(part);
    }
    buf_free(&wire);
}

static void unknown_keys_are_kept(void **state)
{
    (void)state;
    struct job j;
    struct buf extra = {.max = 1024};
    // {prompt: y, n: 5, extra: {e: 1}, x: [1]}
    struct span wire = SPAN("\x84\xa6prompt\xa1y\xa1n\x05\xa5"
                            "extra\x81\xa1"
                            "e\x01\xa1x\x91\x01");
    decode(&j, wire, OK, "");
    assert_int_equal(job_extra(&extra, &j, wire), OK);
    assert_true(span_equal(buf_span(&extra), SPAN("\x83\xa1"
                                                  "e\x01\xa1n\x05\xa1x\x91\x01")));
    buf_clear(&extra);
    wire = SPAN("\x81\xa6prompt\xa1y");
    decode(&j, wire, OK, "");
    assert_int_equal(job_extra(&extra, &j, wire), OK);
    assert_int_equal(extra.len, 0);
    buf_free(&extra);
}

static void prompts_are_composed(void **state)
{
    (void)state;
    struct buf out = {.max = 1024};
    struct job j = fresh();
    j.prompt = SPAN(" a cat\n");
    job_compose(&out, &j);
    assert_string_equal(buf_str(&out), " a cat\n"); // as it stands
    buf_clear(&out);
    j.title = SPAN("Cats");
    j.mood = SPAN("calm ");
    j.negative = SPAN("dogs");
    job_compose(&out, &j);
    assert_string_equal(buf_str(&out), "Subject:\nCats\n\nMood:\ncalm\n\nPrompt:\na cat\n\n"
                                       "Constraints:\nAvoid: dogs");
    buf_free(&out);
}

static void names_of_images(void **state)
{
    (void)state;
    struct job j = fresh();
    static const struct {
        const char *id;
        uint32_t index, total;
        uint16_t sample, samples;
        unsigned part, parts;
        const char *name;
    } cases[] = {
        {"scene_001", 0, 10, 1, 1, 1, 1, "images/00000_scene_001.png"},
        {"a", 7, 123456, 1, 1, 1, 1, "images/000007_a.png"},
        {"a", 7, 10, 2, 3, 1, 1, "images/00007_a_2.png"},
        {"a", 7, 10, 2, 3, 2, 2, "images/00007_a_2.2.png"},
        {"../x", 1, 10, 1, 1, 1, 1, "images/00001_%2E.%2Fx.png"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {.max = 1024};
        j.sample = cases[i].sample;
        j.samples = cases[i].samples;
        job_image_name(&out, &j, span_of(cases[i].id), cases[i].index, cases[i].total,
                       cases[i].part, cases[i].parts, "png");
        assert_string_equal(buf_str(&out), cases[i].name);
        buf_free(&out);
    }
    struct buf id = {.max = 64};
    job_show_id(&id, &j, 42);
    assert_string_equal(buf_str(&id), "00000042");
    buf_free(&id);
}

static void inputs_are_read_back(void **state)
{
    (void)state;
    struct buf out = {.max = 1024};
    struct span id, map;
    job_input(&out, SPAN("id"), SPAN("\x80"));
    assert_int_equal(out.len, 9);
    assert_int_equal(job_input_read(buf_span(&out), &id, &map), OK);
    assert_true(span_is(id, "id") && span_is(map, "\x80"));
    assert_int_equal(job_input_read((struct span){out.ptr, 7}, &id, &map), ERR_FORMAT);
    assert_int_equal(job_input_read((struct span){out.ptr, 5}, &id, &map), ERR_FORMAT);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_read_by_any_spelling),
        cmocka_unit_test(bad_columns_are_refused),
        cmocka_unit_test(checks_name_the_member),
        cmocka_unit_test(ids_and_jobs_have_a_limit),
        cmocka_unit_test(what_is_encoded_is_decoded),
        cmocka_unit_test(malformed_jobs_are_refused),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(unknown_keys_are_kept),
        cmocka_unit_test(prompts_are_composed),
        cmocka_unit_test(names_of_images),
        cmocka_unit_test(inputs_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
