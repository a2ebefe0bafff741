// err.c - the table of err.h, as text.
#include "common/err.h"

#include <stddef.h>

static const struct {
    const char *text;
    bool retry;
} table[] = {
#define X(name, text, retry) {text, retry},
    ERR_LIST(X)
#undef X
};

static bool known(enum err e)
{
    return (size_t)e < sizeof table / sizeof *table;
}

const char *err_text(enum err e)
{
    return known(e) ? table[e].text : "unknown error";
}

bool err_retryable(enum err e)
{
    return known(e) && table[e].retry;
}
