#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/fields.h"
#include "client/input.h"
#include "common/file.h"
#include "common/json.h"

// What one test reads: a file in a folder of its own, and what came of it.
struct reading {
    char folder[32];
    char path[96];
    struct inputs *in;
    struct buf said;
    enum err err;
};

static int begin(void **state)
{
    struct reading *r = calloc(1, sizeof *r);
    struct job defaults = {0};
    strcpy(r->folder, "/tmp/genfarm-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    defaults.priority = JOB_NORMAL;
    r->in = inputs_new(&defaults, 1);
    r->said.max = 1 << 20;
    *state = r;
    return 0;
}

static int end(void **state)
{
    struct reading *r = *state;
    char command[64];
    inputs_free(r->in);
    buf_free(&r->said);
    snprintf(command, sizeof command, "rm -rf '%s'", r->folder);
    int failed = system(command);
    free(r);
    return failed;
}

static void read_bytes(struct reading *r, const char *name, struct span bytes)
{
    snprintf(r->path, sizeof r->path, "%s/%s", r->folder, name);
    assert_int_equal(file_write(r->path, bytes), OK);
    r->err = inputs_read(r->in, r->path, NULL, &r->said);
}

static void read_text(struct reading *r, const char *name, const char *text)
{
    read_bytes(r, name, span_of(text));
}

static void finish(struct reading *r)
{
    assert_int_equal(inputs_finish(r->in, &r->said), OK);
}

// The job at i, which must be well-formed.
static struct job job_at(const struct reading *r, size_t i)
{
    struct job j;
    struct buf why = {.max = 256};
    assert_true(i < inputs_count(r->in));
    if (job_decode(&j, inputs_at(r->in, i).map, &why) != OK)
        fail_msg("%s", buf_str(&why));
    buf_free(&why);
    return j;
}

static void assert_span(struct span got, const char *want)
{
    if (!span_is(got, want))
        fail_msg("'%.*s' instead of '%s'", (int)got.len, got.ptr, want);
}

static void assert_said(const struct reading *r, const char *what)
{
    if (!strstr(buf_str(&r->said), what))
        fail_msg("'%s' does not say '%s'", buf_str(&r->said), what);
}

// --- Formats ---------------------------------------------------------------------------------

static void text_is_a_prompt_a_line(void **state)
{
    struct reading *r = *state;
    read_text(r, "a.txt",
              "\xef\xbb\xbf"
              "a fox\r\n\n  an owl  \nlast");
    assert_int_equal(r->err, OK);
    finish(r);
    assert_int_equal(inputs_count(r->in), 3);
    assert_int_equal(inputs_bad(r->in), 0);
    assert_span(job_at(r, 0).prompt, "a fox");
    assert_span(job_at(r, 1).prompt, "an owl");
    assert_span(job_at(r, 2).prompt, "last");
    assert_span(inputs_at(r->in, 2).id, "00000002");
    assert_span(job_at(r, 2).id, "00000002");
    assert_int_equal(inputs_at(r->in, 1).line, 3);
    assert_int_equal(inputs_at(r->in, 1).input, 1);
    assert_string_equal(inputs_at(r->in, 1).file, r->path);
}

static void json_lines_take_all_columns(void **state)
{
    struct reading *r = *state;
    read_text(r, "a.jsonl",
              "{\"ID\":\"s1\",\"title\":\"T\",\"scene\":\"S\",\"mood\":\"M\",\"prompt\":\"P\","
              "\"negative\":\"N\",\"aspect-ratio\":\"16:9\",\"seed\":7,\"temperature\":0.5,"
              "\"title2\":{\"a\":[1,2.5,null,true,\"x\"]},\"model\":null}\n"
              "\r\n"
              "\"just a text\"\n"
              "{\"id\":12,\"prompt\":\"tab\\there\"}");
    assert_int_equal(r->err, OK);
    finish(r);
    assert_string_equal(buf_str(&r->said), "");
    assert_int_equal(inputs_count(r->in), 3);
    struct job j = job_at(r, 0);
    assert_span(j.id, "s1");
    assert_span(j.title, "T");
    assert_span(j.scene, "S");
    assert_span(j.mood, "M");
    assert_span(j.prompt, "P");
    assert_span(j.negative, "N");
    assert_span(j.aspect_ratio, "16:9");
    assert_true(j.has_seed && j.seed == 7);
    assert_true(j.has_temperature && j.temperature == 0.5);
    struct json_object *extra;
    assert_int_equal(fields_unpack(j.extra, &extra), OK);
    assert_string_equal(json_object_to_json_string_ext(extra, JSON_C_TO_STRING_PLAIN),
                        "{\"title2\":{\"a\":[1,2.5,null,true,\"x\"]}}");
    json_object_put(extra);
    assert_span(job_at(r, 1).prompt, "just a text");
    assert_int_equal(inputs_at(r->in, 1).line, 3);
    assert_span(inputs_at(r->in, 2).id, "12");
    assert_span(job_at(r, 2).prompt, "tab\there");
}

static void a_document_is_an_array_or_holds_prompts(void **state)
{
    struct reading *r = *state;
    read_text(
        r, "a.json",
        "\xef\xbb\xbf{\"name\": \"prompts\", \"list\": [[1, {\"prompts\": [2]}]],\n"
        " \"Prompts\": [\n  {\"prompt\": \"a ] } \\\" , [\", \"id\": \"x\"},\n"
        "  \"plain\" ,\n  {\n   \"prompt\": \"third\"\n  }\n ], \"after\": {\"b\": \"]\"}}\n");
    assert_int_equal(r->err, OK);
    read_text(r, "b.json", "[\"fourth\"]");
    assert_int_equal(r->err, OK);
    finish(r);
    assert_string_equal(buf_str(&r->said), "");
    assert_int_equal(inputs_count(r->in), 4);
    assert_span(job_at(r, 0).prompt, "a ] } \" , [");
    assert_int_equal(inputs_at(r->in, 0).line, 3);
    assert_span(job_at(r, 1).prompt, "plain");
    assert_span(job_at(r, 2).prompt, "third");
    assert_int_equal(inputs_at(r->in, 2).line, 5);
    assert_span(inputs_at(r->in, 3).id, "00000003"); // goes on over files
    assert_int_equal(inputs_at(r->in, 3).line, 1);
}

static void csv_is_rfc_4180(void **state)
{
    struct reading *r = *state;
    read_text(r, "a.csv",
              "id,\"Prompt\",note,\r\n"
              "a,\"with, comma and \"\"quotes\"\"\",n1,\r\n"
              "\r\n"
              "b,\"two\r\nlines\",,7\r\n"
              ",plain,n3,");
    assert_int_equal(r->err, OK);
    finish(r);
    assert_string_equal(buf_str(&r->said), "");
    assert_int_equal(inputs_count(r->in), 3);
    assert_span(job_at(r, 0).prompt, "with, comma and \"quotes\"");
    assert_span(job_at(r, 1).prompt, "two\r\nlines");
    assert_int_equal(inputs_at(r->in, 1).line, 4);
    assert_span(inputs_at(r->in, 2).id, "00000002");
    assert_int_equal(inputs_at(r->in, 2).line, 6);
    struct json_object *extra;
    assert_int_equal(fields_unpack(job_at(r, 1).extra, &extra), OK);
    assert_string_equal(json_object_to_json_string_ext(extra, JSON_C_TO_STRING_PLAIN),
                        "{\"note\":\"\",\"column_4\":\"7\"}");
    json_object_put(extra);
}

static void tsv_takes_quotes_as_they_stand(void **state)
{
    struct reading *r = *state;
    read_text(r, "a.tsv", "prompt\tseed\n\"G\" painted, big\t3\n");
    finish(r);
    assert_int_equal(r->err, OK);
    assert_span(job_at(r, 0).prompt, "\"G\" painted, big");
    assert_int_equal(job_at(r, 0).seed, 3);
}

static void the_real_prompts_are_1632(void **state)
{
    struct reading *r = *state;
    const char *data = getenv("GENFARM_DATA");
    char path[4096];
    snprintf(path, sizeof path, "%s/prompts/parti/PartiPrompts.tsv",
             data ? data : GENFARM_DATA_DIR);
    if (!file_exists(path)) {
        print_message("PartiPrompts.tsv is not here: skipped\n");
        skip();
    }
    assert_int_equal(inputs_read(r->in, path, NULL, &r->said), OK);
    finish(r);
    assert_string_equal(buf_str(&r->said), "");
    assert_int_equal(inputs_count(r->in), 1632);
    assert_span(job_at(r, 0).prompt, "bond");
    assert_span(inputs_at(r->in, 1631).id, "00001631");
    assert_int_equal(inputs_at(r->in, 1631).line, 1633);
    struct json_object *extra;
    assert_int_equal(fields_unpack(job_at(r, 0).extra, &extra), OK);
    assert_string_equal(json_object_get_string(json_at(extra, "Challenge")), "Basic");
    json_object_put(extra);
}

static void the_format_may_be_named(void **state)
{
    struct reading *r = *state;
    read_text(r, "prompts", "a\n");
    assert_int_equal(r->err, ERR_FORMAT);
    assert_said(r, "by --format");
    assert_int_equal(inputs_read(r->in, r->path, "txt", &r->said), OK);
    assert_int_equal(inputs_read(r->in, r->path, "xml", &r->said), ERR_FORMAT);
    assert_said(r, "no such format: \"xml\"");
    finish(r);
    assert_int_equal(inputs_count(r->in), 1);
}

// --- What is made of entries -----------------------------------------------------------------

static void defaults_come_first_and_count_multiplies(void **state)
{
    struct reading *r = *state;
    struct job defaults = {.model = SPAN("m1"), .priority = JOB_LOW, .has_seed = true};
    inputs_free(r->in);
    r->in = inputs_new(&defaults, 2);
    read_text(r, "a.jsonl",
              "{\"prompt\":\"a\"}\n"
              "{\"prompt\":\"b\",\"model\":\"m2\",\"count\":3,\"id\":\"b\"}\n");
    assert_int_equal(r->err, OK);
    finish(r);
    assert_int_equal(inputs_count(r->in), 5);
    struct job j = job_at(r, 1);
    assert_span(j.model, "m1");
    assert_int_equal(j.priority, JOB_LOW);
    assert_int_equal(j.sample, 2);
    assert_int_equal(j.samples, 2);
    assert_span(j.id, "00000000");
    j = job_at(r, 4);
    assert_span(j.model, "m2");
    assert_int_equal(j.sample, 3);
    assert_int_equal(j.samples, 3);
    assert_int_equal(j.input, 1);
    assert_span(inputs_at(r->in, 4).id, "b");
}

static void an_entry_written_out_reads_the_same(void **state)
{
    struct reading *r = *state;
    read_text(
        r, "a.jsonl",
        "{\"id\":\"x\",\"prompt\":\"p\",\"scene\":\"s\",\"priority\":\"high\",\"timeout\":90,"
        "\"on_unknown\":\"fail\",\"temperature\":0.1,\"big\":18446744073709551615,"
        "\"low\":-9223372036854775808,\"z\":0.1}\n");
    struct buf line = {.max = 4096};
    assert_int_equal(r->err, OK);
    finish(r);
    struct job first = job_at(r, 0);
    struct json_object *entry = fields_entry(&first);
    json_write(&line, entry);
    json_object_put(entry);
    assert_non_null(strstr(buf_str(&line), "\"big\":18446744073709551615"));
    assert_non_null(strstr(buf_str(&line), "\"z\":0.1}"));
    struct reading again = {.said = {.max = 4096}};
    struct job none = {.priority = JOB_NORMAL};
    strcpy(again.folder, r->folder);
    again.in = inputs_new(&none, 1);
    read_text(&again, "b.jsonl", buf_str(&line));
    assert_int_equal(again.err, OK);
    finish(&again);
    assert_int_equal(inputs_count(again.in), 1);
    assert_true(span_equal(inputs_at(again.in, 0).map, inputs_at(r->in, 0).map));
    inputs_free(again.in);
    buf_free(&again.said);
    buf_free(&line);
}

// --- What is refused -------------------------------------------------------------------------

static void every_bad_line_is_named(void **state)
{
    struct reading *r = *state;
    static const char text[] = "{\"prompt\":\"good\"}\n"
                               "{\"prompt\":\"\"}\n"
                               "{\"prompt\":\"  \\n\"}\n"
                               "{\"id\":\"x\"}\n"
                               "{\"prompt\":\"a\",}\n"
                               "{\"prompt\":\"\xff\"}\n"
                               "{\"prompt\":\"a\0b\"}\n"
                               "{\"prompt\":\"a\\u0000b\"}\n"
                               "[1]\n"
                               "{\"prompt\":5}\n"
                               "{\"prompt\":\"a\",\"seed\":\"many\"}\n"
                               "{\"prompt\":\"a\",\"count\":0}\n"
                               "{\"prompt\":\"a\"} {\"prompt\":\"b\"}\n"
                               "{\"prompt\":\"good too\"}\n";
    read_bytes(r, "a.jsonl", (struct span){text, sizeof text - 1});
    assert_int_equal(r->err, OK);
    finish(r);
    assert_int_equal(inputs_count(r->in), 2);
    assert_int_equal(inputs_bad(r->in), 12);
    static const char *const said[] = {"a.jsonl:2: \"prompt\" is empty\n",
                                       "a.jsonl:3: \"prompt\" is blank\n",
                                       "a.jsonl:4: \"prompt\" is empty\n",
                                       "a.jsonl:5: malformed JSON",
                                       "a.jsonl:6: not UTF-8 at byte 11\n",
                                       "a.jsonl:7: a NUL byte at byte 12\n",
                                       "a.jsonl:8: \"prompt\" holds a NUL character\n",
                                       "a.jsonl:9: neither an object nor a text\n",
                                       "a.jsonl:10: \"prompt\" is not a text\n",
                                       "a.jsonl:11: \"seed\" must be a number",
                                       "a.jsonl:12: \"count\" must lie between 1 and 1000",
                                       "a.jsonl:13: malformed JSON"};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        assert_said(r, said[i]);
    assert_int_equal(inputs_rejected(r->in, 0).line, 2);
    assert_span(inputs_rejected(r->in, 0).raw, "{\"prompt\":\"\"}");
    assert_span(inputs_rejected(r->in, 0).why, "\"prompt\" is empty");
    assert_span(inputs_at(r->in, 1).id,
                "00000013"); // its place in the file, not among the good
}

static void long_entries_are_refused_and_passed_over(void **state)
{
    struct reading *r = *state;
    static const size_t sizes[] = {JOB_MAX_BYTES - 2048, JOB_MAX_BYTES, 3u << 20};
    struct buf text = {.max = 8u << 20};
    for (size_t i = 0; i < 3; i++) {
        char *room = buf_room(&text, sizes[i]);
        memset(room, 'x', sizes[i]);
        buf_added(&text, sizes[i]);
        buf_add_str(&text, "\n");
    }
    buf_add_str(&text, "short\n");
    read_bytes(r, "a.txt", buf_span(&text));
    buf_free(&text);
    assert_int_equal(r->err, OK);
    finish(r);
    assert_int_equal(inputs_count(r->in), 2);
    assert_int_equal(inputs_bad(r->in), 2);
    assert_said(r, "a.txt:2: ");
    assert_said(r, "a.txt:3: longer than 256 KiB\n");
    assert_int_equal(inputs_at(r->in, 1).line, 4);
}

static void fifty_are_shown_and_the_rest_counted(void **state)
{
    struct reading *r = *state;
    struct buf text = {.max = 4096};
    for (int i = 0; i < 75; i++)
        buf_add_str(&text, "{}\n");
    read_bytes(r, "a.jsonl", buf_span(&text));
    buf_free(&text);
    finish(r);
    assert_int_equal(inputs_bad(r->in), 75);
    assert_said(r, "a.jsonl:50: ");
    assert_null(strstr(buf_str(&r->said), "a.jsonl:51: "));
    assert_said(r, "and 25 more bad entries\n");
}

static void ids_are_unique(void **state)
{
    struct reading *r = *state;
    read_text(r, "a.jsonl",
              "{\"prompt\":\"a\",\"id\":\"00000002\"}\n"
              "{\"prompt\":\"b\",\"id\":\"x\",\"count\":2}\n"
              "{\"prompt\":\"c\"}\n"
              "{\"prompt\":\"d\",\"id\":\"x\",\"note\":\"n\",\"count\":2}\n"
              "{\"prompt\":\"e\",\"id\":\"X\"}\n");
    assert_int_equal(r->err, OK);
    finish(r);
    assert_said(r, "a.jsonl:1: \"id\" \"00000002\" is what ");
    assert_said(r, "a.jsonl:3 gets");
    assert_said(r, "a.jsonl:4: \"id\" \"x\" is that of ");
    assert_int_equal(inputs_bad(r->in), 2);
    assert_int_equal(inputs_count(r->in), 4); // b twice, c, e
    assert_span(job_at(r, 0).prompt, "b");
    assert_span(inputs_at(r->in, 2).id, "00000002");
    assert_span(inputs_rejected(r->in, 1).raw,
                "{\"id\":\"x\",\"prompt\":\"d\",\"note\":\"n\",\"count\":2}");
}

static void ids_that_look_like_paths_are_only_names(void **state)
{
    struct reading *r = *state;
    read_text(r, "a.jsonl", "{\"prompt\":\"a\",\"id\":\"../../etc/passwd\"}\n");
    finish(r);
    assert_int_equal(inputs_count(r->in), 1);
    assert_span(inputs_at(r->in, 0).id, "../../etc/passwd");
}

static void tables_must_be_whole(void **state)
{
    struct reading *r = *state;
    read_text(r, "a.csv",
              "id,prompt\na,b,c\nonly\nx,\"y\"z\nq,a\"b\ngood,fine\nz,\"never closed\n1,2\n");
    assert_int_equal(r->err, OK);
    finish(r);
    assert_int_equal(inputs_count(r->in), 1);
    assert_said(r, "a.csv:2: 3 fields where the header has 2\n");
    assert_said(r, "a.csv:3: 1 fields where the header has 2\n");
    assert_said(r, "a.csv:4: text behind a closing quote");
    assert_said(r, "a.csv:5: a quote in a field");
    assert_said(r, "a.csv:7: a quoted field is not closed\n");
}

static void headers_must_name_the_prompt(void **state)
{
    struct reading *r = *state;
    read_text(r, "a.csv", "text,category\na,b\n");
    assert_int_equal(r->err, ERR_FORMAT);
    assert_said(r,
                "a.csv:1: no column is named \"prompt\"; the first line names: text, category");
    read_text(r, "b.tsv", "prompt\tPROMPT\na\tb\n");
    assert_int_equal(r->err, ERR_FORMAT);
    assert_said(r, "b.tsv:1: column \"PROMPT\" stands there twice");
    read_text(r, "c.csv", "prompt\n");
    assert_int_equal(r->err, ERR_FORMAT);
    assert_said(r, "c.csv: holds no prompts");
    read_text(r, "d.csv", "\n\n");
    assert_int_equal(r->err, ERR_FORMAT);
    assert_said(r, "d.csv: has no header line");
    read_text(r, "e.csv", "prompt,\xc0\x80\nx,y\n");
    assert_int_equal(r->err, ERR_FORMAT);
    assert_said(r, "e.csv:1: not UTF-8 at byte 7");
}

static void documents_must_be_whole(void **state)
{
    struct reading *r = *state;
    static const struct {
        const char *name, *text, *said;
    } bad[] = {
        {"a.json", "[{\"prompt\":\"a\"},\n]", "a.json:2: malformed JSON"},
        {"b.json", "{\"prompts\":[\"a\"\n", "b.json:"},
        {"c.json", "{\"prompts\":\n[\"a\"]] ", "c.json:2: malformed JSON"},
        {"d.json", "{\"list\":[\"a\"]}", "d.json: neither an array nor an object with"},
        {"e.json", "", "e.json: is empty"},
        {"f.json", "[]", "f.json: holds no prompts"},
        {"g.json", "{\"a\":\nNaN,\"prompts\":[\"x\"]}", "g.json:2: malformed JSON"},
        {"h.json", "\"a\"", "h.json: neither"},
        {"i.json", "[\"a\" \"b\"]", NULL},
        {"j.json", "[\"a\"", "j.json:"},
        {"k.json", "[\"a\"][\"b\"]", "k.json:1: malformed JSON"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t before = inputs_bad(r->in);
        read_text(r, bad[i].name, bad[i].text);
        if (r->err == OK && inputs_bad(r->in) == before)
            fail_msg("%s was taken", bad[i].name);
        if (bad[i].said) {
            assert_int_not_equal(r->err, OK);
            assert_said(r, bad[i].said);
        }
    }
}

static void bad_elements_of_a_document_are_named_alone(void **state)
{
    struct reading *r = *state;
    read_text(r, "a.json", "[\n{\"prompt\":\"a\"},\n{\"prompt\":01},\n7,\n{\"prompt\":\"b\"}]");
    assert_int_equal(r->err, OK);
    finish(r);
    assert_int_equal(inputs_count(r->in), 2);
    assert_said(r, "a.json:3: malformed JSON");
    assert_said(r, "a.json:4: neither an object nor a text");
}

static void files_that_cannot_be_read_are_named(void **state)
{
    struct reading *r = *state;
    assert_int_equal(inputs_read(r->in, "/nonexistent/a.txt", NULL, &r->said), ERR_MISSING);
    assert_said(r, "/nonexistent/a.txt: cannot be opened: No such file");
    assert_int_equal(inputs_read(r->in, r->folder, "txt", &r->said), ERR_IO);
    assert_said(r, "cannot be read: Is a directory");
    read_text(r, "b.txt", "\n \n");
    assert_int_equal(r->err, ERR_FORMAT);
    assert_said(r, "b.txt: holds no prompts");
    read_text(r, "c.jsonl", "\xef\xbb\xbf");
    assert_int_equal(r->err, ERR_FORMAT);
    assert_said(r, "c.jsonl: holds no prompts");
}

static void rejects_can_be_written(void **state)
{
    struct reading *r = *state;
    char path[96];
    struct buf text = {.max = 4096};
    read_text(r, "a.txt", "good\nbad \xff here\n");
    finish(r);
    snprintf(path, sizeof path, "%s/rejects.jsonl", r->folder);
    assert_int_equal(inputs_write_rejects(r->in, path), OK);
    assert_int_equal(file_read(path, &text), OK);
    assert_non_null(strstr(buf_str(&text), "\"line\":2,\"error\":\"not UTF-8 at byte 4\""));
    assert_non_null(strstr(buf_str(&text), "bad \\\\xff here"));
    struct json_object *o;
    assert_int_equal(json_read(buf_span(&text), &o, NULL), OK);
    json_object_put(o);
    buf_free(&text);
}

static void many_lines_are_read_flat(void **state)
{
    struct reading *r = *state;
    FILE *f;
    snprintf(r->path, sizeof r->path, "%s/many.jsonl", r->folder);
    assert_non_null(f = fopen(r->path, "w"));
    for (int i = 0; i < 20000; i++)
        fprintf(f, "{\"id\":\"n%d\",\"prompt\":\"number %d\"}\n", i, i);
    fclose(f);
    assert_int_equal(inputs_read(r->in, r->path, NULL, &r->said), OK);
    finish(r);
    assert_int_equal(inputs_count(r->in), 20000);
    assert_span(job_at(r, 19999).prompt, "number 19999");
    assert_span(inputs_at(r->in, 19999).id, "n19999");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(text_is_a_prompt_a_line),
        TEST(json_lines_take_all_columns),
        TEST(a_document_is_an_array_or_holds_prompts),
        TEST(csv_is_rfc_4180),
        TEST(tsv_takes_quotes_as_they_stand),
        TEST(the_real_prompts_are_1632),
        TEST(the_format_may_be_named),
        TEST(defaults_come_first_and_count_multiplies),
        TEST(an_entry_written_out_reads_the_same),
        TEST(every_bad_line_is_named),
        TEST(long_entries_are_refused_and_passed_over),
        TEST(fifty_are_shown_and_the_rest_counted),
        TEST(ids_are_unique),
        TEST(ids_that_look_like_paths_are_only_names),
        TEST(tables_must_be_whole),
        TEST(headers_must_name_the_prompt),
        TEST(documents_must_be_whole),
        TEST(bad_elements_of_a_document_are_named_alone),
        TEST(files_that_cannot_be_read_are_named),
        TEST(rejects_can_be_written),
        TEST(many_lines_are_read_flat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
