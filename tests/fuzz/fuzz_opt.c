// Command lines, a word a line: taken, with every number within its bounds, or refused with a
// reason in one line.
#include <string.h>

#include "common/opt.h"
#include "fuzz.h"

#define MOST 64

struct values {
    bool flag;
    const char *name, *maybe;
    struct opt_strs many;
    uint64_t jobs, memory;
    int64_t level, money;
    double rate, wait;
};

static size_t split(char *text, char **argv)
{
    size_t n = 1;
    static char program[] = "prog";
    argv[0] = program;
    for (char *p = text; p && n < MOST;) {
        argv[n++] = p;
        p = strchr(p, '\n');
        if (p)
            *p++ = '\0';
    }
    argv[n] = NULL;
    return n;
}

static void look(const struct values *v)
{
    FUZZ_CHECK(v->jobs >= 1 && v->jobs <= 64);
    FUZZ_CHECK(v->memory == 0 || (v->memory >= 1024 && v->memory <= 1 << 20));
    FUZZ_CHECK(v->level >= -3 && v->level <= 3);
    FUZZ_CHECK(v->rate >= 0 && v->rate <= 1);
    FUZZ_CHECK(v->wait >= 1 && v->wait <= 600);
    FUZZ_CHECK(v->name && v->many.n <= OPT_STRS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct values v = {0};
    const struct opt table[] = {
        {.type = OPT_GROUP, .help = "Things:"},
        {"flag", 'f', OPT_FLAG, &v.flag, NULL, NULL, NULL, "a flag", 0, 0},
        {"name", 'n', OPT_STR, &v.name, "NAME", "nobody", NULL, "a name", 0, 0},
        {"maybe", 'y', OPT_MAYBE, &v.maybe, "TIME", NULL, NULL, "with a time or without", 0, 0},
        {"many", 0, OPT_STRS, &v.many, "X", NULL, NULL, "several", 0, 0},
        {"jobs", 'j', OPT_UINT, &v.jobs, "N", "4", NULL, "how many", 1, 64},
        {"level", 0, OPT_INT, &v.level, "N", NULL, NULL, "a level", -3, 3},
        {"rate", 0, OPT_DECIMAL, &v.rate, "X", NULL, NULL, "a rate", 0, 1},
        {"wait", 0, OPT_SECONDS, &v.wait, "TIME", "2m", NULL, "how long", 1, 600},
        {"memory", 'm', OPT_BYTES, &v.memory, "SIZE", NULL, NULL, "how much", 1024, 1 << 20},
        {"budget", 0, OPT_USD, &v.money, "USD", NULL, NULL, "money", 0, 0},
        {0}};
    char *argv[MOST + 1], *text = malloc(size + 1);
    struct opt_strs *words = calloc(1, sizeof *words);
    struct buf why = {.max = 4096};
    FUZZ_CHECK(text && words);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    int argc = (int)split(text, argv);
    enum err e = opt_read(table, argc, argv, words, &why);
    FUZZ_CHECK((e == OK) == (why.len == 0) && why.err == OK);
    FUZZ_CHECK(e == OK || (!memchr(why.ptr, '\n', why.len) && words->n <= OPT_STRS_MAX));
    if (e == OK)
        look(&v);
    (void)opt_given(table, argc, argv, "jobs");
    buf_free(&why);
    free(words);
    free(text);
    return 0;
}
