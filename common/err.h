// err.h - every way a call can fail, what to tell a person, and whether trying again may help.
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stdbool.h>

#define MUST_USE __attribute__((warn_unused_result))

// name, text shown to people, whether the same call may succeed later
#define ERR_LIST(X)                                                     \
    X(OK, "ok", false)                                                  \
    X(ERR_NOMEM, "out of memory", true)                                 \
    X(ERR_TOOBIG, "larger than the limit set for it", false)            \
    X(ERR_FORMAT, "malformed input", false)                             \
    X(ERR_RANGE, "out of range", false)                                 \
    X(ERR_EXISTS, "exists already, with other content", false)          \
    X(ERR_MISSING, "not found", false)                                  \
    X(ERR_ORDER, "not possible in the present state", false)            \
    X(ERR_IO, "reading or writing a file failed", true)                 \
    X(ERR_FULL, "no room left", true)                                   \
    X(ERR_NET, "connection failed or was lost", true)                   \
    X(ERR_TIMEOUT, "no answer in time", true)                           \
    X(ERR_AUTH, "refused: wrong user or password", false)               \
    X(ERR_DENIED, "refused: this Redis user has no right to it", false) \
    X(ERR_SERVER, "the server answered with an error", false)           \
    X(ERR_BUSY, "the server cannot answer now", true)                   \
    X(ERR_LOST, "the lease was lost", false)                            \
    X(ERR_LIMIT, "refused by a quota or a budget", false)               \
    X(ERR_CANCELLED, "cancelled", false)

enum err {
#define X(name, text, retry) name,
    ERR_LIST(X)
#undef X
};

const char *err_text(enum err e); // never NULL
bool err_retryable(enum err e);   // the one place that decides what trying again may fix
#endif
