// opt.h - command-line options from one table: flag, then environment, then default. The same
// table makes --help.
#ifndef COMMON_OPT_H
#define COMMON_OPT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/err.h"

enum opt_type {
    OPT_FLAG,    // bool *: no value
    OPT_STR,     // const char **: borrowed from argv or the environment
    OPT_MAYBE,   // const char **: as OPT_STR, but `--name` alone is a value, too: ""
    OPT_STRS,    // struct opt_strs *: may be given several times
    OPT_UINT,    // uint64_t *: min..max
    OPT_INT,     // int64_t *: min..max
    OPT_DECIMAL, // double *: min..max
    OPT_SECONDS, // double *: text_duration(), min..max
    OPT_BYTES,   // uint64_t *: text_bytes(), min..max
    OPT_USD,     // int64_t *: millionths, text_usd()
    OPT_GROUP,   // no option: `help` is a heading for those that follow
};

#define OPT_STRS_MAX 1024
struct opt_strs {
    const char *at[OPT_STRS_MAX]; // borrowed
    size_t n;
};

struct opt {
    const char *name; // "concurrency"; long options only, without the dashes
    char letter;      // 'o', or 0
    enum opt_type type;
    void *to;             // where the value goes, per type
    const char *arg;      // "N", shown in --help; NULL for flags
    const char *fallback; // the default as text; NULL: leave *to as it is
    const char *env;      // "A,B": environment variables, first one set wins; NULL: none
    const char *help;     // one line
    double min, max;      // for numbers; both 0: no bounds
};

// Reads argv[1..] into the table (ended by a zeroed entry). Words that are no options are
// gathered in `words` ("-" is a word; "--" ends the options). `--name=value` and `--name value`
// are the same; a unique prefix is not enough. On ERR_FORMAT or ERR_RANGE `why` says which
// option, what is wrong and what would be right, in one line.
MUST_USE enum err opt_read(const struct opt *table, int argc, char *const argv[],
                           struct opt_strs *words, struct buf *why);
bool opt_given(const struct opt *table, int argc, char *const argv[], const char *name);
void opt_help(FILE *out, const struct opt *table); // aligned, wrapped at 96 columns
#endif
