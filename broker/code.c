// code.c - the table of code.h, both ways.
#include "broker/code.h"

static const char *const names[] = {
#define X(constant, name) name,
    CODE_LIST(X)
#undef X
};

#define N_CODES (sizeof names / sizeof *names)

const char *code_name(enum code c)
{
    return (size_t)c < N_CODES ? names[c] : "unknown";
}

enum err code_parse(struct span name, enum code *out)
{
    for (size_t i = 0; i < N_CODES; i++)
        if (span_is(name, names[i])) {
            *out = (enum code)i;
            return OK;
        }
    return ERR_FORMAT;
}
