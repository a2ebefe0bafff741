// test_opt.c - the command line: flag, then environment, then default; bad values named.
#include <stdlib.h>
#include <string.h>

#include "common/opt.h"
#include "unit/test.h"

struct values {
    bool flag;
    const char *name, *maybe;
    struct opt_strs many;
    uint64_t jobs, memory;
    int64_t level, money;
    double rate, wait;
};

#define OPTS 16
static void make_table(struct opt *t, struct values *v)
{
    const struct opt rows[] = {
        {.type = OPT_GROUP, .help = "Things:"},
        {"flag", 'f', OPT_FLAG, &v->flag, NULL, NULL, "TEST_FLAG", "a flag", 0, 0},
        {"name", 'n', OPT_STR, &v->name, "NAME", "nobody", "TEST_NAME,TEST_NAME_2", "a name", 0,
         0},
        {"maybe", 'y', OPT_MAYBE, &v->maybe, "TIME", NULL, NULL, "with a time or without", 0,
         0},
        {"many", 0, OPT_STRS, &v->many, "X", NULL, NULL, "several", 0, 0},
        {"jobs", 'j', OPT_UINT, &v->jobs, "N", "4", "TEST_JOBS", "how many", 1, 64},
        {"level", 0, OPT_INT, &v->level, "N", NULL, NULL, "a level", -3, 3},
        {"rate", 0, OPT_DECIMAL, &v->rate, "X", NULL, NULL, "a rate", 0, 1},
        {"wait", 0, OPT_SECONDS, &v->wait, "TIME", "2m", NULL, "how long", 1, 600},
        {"memory", 'm', OPT_BYTES, &v->memory, "SIZE", NULL, NULL, "how much", 1024, 1 << 20},
        {"budget", 0, OPT_USD, &v->money, "USD", NULL, NULL, "money", 0, 0},
    };
    memset(t, 0, OPTS * sizeof *t);
    memcpy(t, rows, sizeof rows);
}

struct run {
    struct values v;
    struct opt_strs words;
    struct buf why;
    enum err e;
};

// Reads a command line of at most twenty words, ended by NULL.
static struct run *run(const char *const *line)
{
    char *argv[24] = {(char[]){"prog"}};
    int argc = 1;
    struct opt table[OPTS];
    struct run *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->why.max = 1000;
    for (; line[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)line[argc - 1]; // opt_read changes none of them
    make_table(table, &r->v);
    r->e = opt_read(table, argc, argv, &r->words, &r->why);
    assert_true((r->e == OK) == (r->why.len == 0));
    return r;
}

static void done(struct run *r)
{
    buf_free(&r->why);
    free(r);
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void assert_refused(enum err e, const char *words, struct run *r)
{
    assert_int_equal(r->e, e);
    if (!strstr(buf_str(&r->why), words))
        fail_msg("\"%s\" does not say \"%s\"", buf_str(&r->why), words);
    assert_null(strchr(buf_str(&r->why), '\n'));
    done(r);
}

static void defaults_are_those_of_the_table(void **state)
{
    (void)state;
    struct run *r = run((const char *const[]){NULL});
    assert_int_equal(r->e, OK);
    assert_false(r->v.flag);
    assert_string_equal(r->v.name, "nobody");
    assert_int_equal(r->v.jobs, 4);
    assert_true(r->v.wait == 120);
    assert_int_equal(r->v.memory, 0); // no default: left as it was
    assert_int_equal(r->words.n, 0);
    done(r);
}

static void every_form_of_an_option_is_read(void **state)
{
    (void)state;
    struct run *r =
        RUN("-f", "--name=a=b", "word", "-j", "8", "--level", "-3", "--rate", "0.25",
            "--wait=1.5s", "-m64K", "--budget", "1.25", "--many", "x", "--many=y");
    assert_int_equal(r->e, OK);
    assert_true(r->v.flag);
    assert_string_equal(r->v.name, "a=b");
    assert_int_equal(r->v.jobs, 8);
    assert_int_equal(r->v.level, -3);
    assert_true(r->v.rate == .25 && r->v.wait == 1.5);
    assert_int_equal(r->v.memory, 65536);
    assert_int_equal(r->v.money, 1250000);
    assert_int_equal(r->v.many.n, 2);
    assert_string_equal(r->v.many.at[1], "y");
    assert_int_equal(r->words.n, 1);
    assert_string_equal(r->words.at[0], "word");
    done(r);
}

static void a_value_may_be_left_out(void **state)
{
    (void)state;
    struct run *r = RUN("--maybe", "word", "-n", "me");
    assert_int_equal(r->e, OK);
    assert_string_equal(r->v.maybe, "");
    assert_string_equal(r->v.name, "me");
    assert_string_equal(r->words.at[0], "word"); // and not its value
    done(r);
    r = RUN("--maybe=5m", "--maybe");
    assert_string_equal(r->v.maybe, "");
    done(r);
    r = RUN("-y5m", "word");
    assert_string_equal(r->v.maybe, "5m");
    done(r);
    r = RUN("word");
    assert_null(r->v.maybe);
    done(r);
}

static void words_may_look_like_options(void **state)
{
    (void)state;
    struct run *r = RUN("-", "--", "--name", "-j");
    assert_int_equal(r->e, OK);
    assert_int_equal(r->words.n, 3);
    assert_string_equal(r->words.at[0], "-");
    assert_string_equal(r->words.at[1], "--name");
    assert_string_equal(r->words.at[2], "-j");
    assert_string_equal(r->v.name, "nobody");
    done(r);
    r = RUN("--name", "--jobs", "--name=");
    assert_int_equal(r->e, OK);
    assert_string_equal(r->v.name, ""); // the last one counts, and empty is a value
    assert_int_equal(r->v.jobs, 4);
    done(r);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    assert_refused(ERR_FORMAT, "--jobs", RUN("--jobs", "many"));
    assert_refused(ERR_FORMAT, "a whole number", RUN("-j", "1.5"));
    assert_refused(ERR_RANGE, "from 1 to 64", RUN("--jobs=65"));
    assert_refused(ERR_RANGE, "from 1 to 64", RUN("--jobs=0"));
    assert_refused(ERR_RANGE, "from -3 to 3", RUN("--level=4"));
    assert_refused(ERR_RANGE, "from 0 to 1", RUN("--rate=1.01"));
    assert_refused(ERR_RANGE, "from 1 to 600", RUN("--wait=11m"));
    assert_refused(ERR_RANGE, "--memory", RUN("--memory=2M"));
    assert_refused(ERR_FORMAT, "dollars", RUN("--budget=$5"));
    assert_refused(ERR_FORMAT, "needs", RUN("--jobs"));
    assert_refused(ERR_FORMAT, "takes no value", RUN("--flag=1"));
    assert_refused(ERR_FORMAT, "did you mean --jobs?", RUN("--job", "3"));
    assert_refused(ERR_FORMAT, "unknown option", RUN("--something-else"));
    assert_refused(ERR_FORMAT, "unknown option", RUN("-x"));
    assert_refused(ERR_FORMAT, "\\x0a", RUN("--jobs", "a\nb"));
}

static void the_environment_is_asked_before_the_default(void **state)
{
    (void)state;
    setenv("TEST_JOBS", "9", 1);
    setenv("TEST_NAME_2", "second", 1);
    setenv("TEST_FLAG", "1", 1);
    struct run *r = run((const char *const[]){NULL});
    assert_int_equal(r->v.jobs, 9);
    assert_string_equal(r->v.name, "second");
    assert_true(r->v.flag);
    done(r);
    setenv("TEST_NAME", "first", 1);
    setenv("TEST_FLAG", "0", 1);
    r = RUN("-j", "2");
    assert_int_equal(r->v.jobs, 2);
    assert_string_equal(r->v.name, "first");
    assert_false(r->v.flag);
    done(r);
    setenv("TEST_JOBS", "lots", 1);
    assert_refused(ERR_FORMAT, "TEST_JOBS", run((const char *const[]){NULL}));
    done(RUN("-j", "2")); // given: the environment does not matter
    unsetenv("TEST_JOBS");
    unsetenv("TEST_NAME");
    unsetenv("TEST_NAME_2");
    unsetenv("TEST_FLAG");
}

static void given_is_what_stands_on_the_line(void **state)
{
    (void)state;
    struct values v = {0};
    struct opt table[OPTS];
    char *argv[] = {(char[]){"prog"}, (char[]){"--name"}, (char[]){"--rate"},
                    (char[]){"-j3"},  (char[]){"--"},     (char[]){"--flag"}};
    make_table(table, &v);
    assert_true(opt_given(table, 6, argv, "name"));
    assert_true(opt_given(table, 6, argv, "jobs"));
    assert_false(opt_given(table, 6, argv, "rate")); // a value
    assert_false(opt_given(table, 6, argv, "flag")); // a word
}

static void too_many_words_are_refused(void **state)
{
    (void)state;
    struct values v = {0};
    struct opt table[OPTS];
    struct buf why = {.max = 100};
    static struct opt_strs words;
    static char *argv[OPT_STRS_MAX + 2];
    char word[] = "w";
    for (int i = 0; i < OPT_STRS_MAX + 2; i++)
        argv[i] = word;
    make_table(table, &v);
    assert_int_equal(opt_read(table, OPT_STRS_MAX + 1, argv, &words, &why), OK);
    words.n = 0;
    assert_int_equal(opt_read(table, OPT_STRS_MAX + 2, argv, &words, &why), ERR_TOOBIG);
    assert_string_equal(buf_str(&why), "more than 1024 arguments");
    buf_clear(&why);
    char many[] = "--many=x";
    for (int i = 1; i < OPT_STRS_MAX + 2; i++)
        argv[i] = many;
    assert_int_equal(opt_read(table, OPT_STRS_MAX + 1, argv, &words, &why), OK);
    v.many.n = 0;
    assert_int_equal(opt_read(table, OPT_STRS_MAX + 2, argv, &words, &why), ERR_TOOBIG);
    assert_string_equal(buf_str(&why), "--many: given more than 1024 times");
    buf_free(&why);
}

static void help_tells_of_every_option(void **state)
{
    (void)state;
    static const char *const parts[] = {"\nThings:\n", "  -f, --flag ", "--many X",
                                        "how many (default 4) [TEST_JOBS]",
                                        "-m, --memory SIZE"};
    struct values v = {0};
    struct opt table[OPTS];
    char *text;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    make_table(table, &v);
    table[9].help = "a long explanation that goes on, and on, and on, and on, and on until it "
                    "has to be continued on another line";
    opt_help(f, table);
    fclose(f);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(text, parts[i]))
            fail_msg("no \"%s\" in:\n%s", parts[i], text);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 96);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_table),
        cmocka_unit_test(every_form_of_an_option_is_read),
        cmocka_unit_test(a_value_may_be_left_out),
        cmocka_unit_test(words_may_look_like_options),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(the_environment_is_asked_before_the_default),
        cmocka_unit_test(given_is_what_stands_on_the_line),
        cmocka_unit_test(too_many_words_are_refused),
        cmocka_unit_test(help_tells_of_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
