// code.h - what can become of a job other than an image: the codes that events and results
// carry.
#ifndef BROKER_CODE_H
#define BROKER_CODE_H

#include "common/buf.h"
#include "common/err.h"

// constant, name on the wire and in events
#define CODE_LIST(X)                           \
    X(CODE_OK, "ok")                           \
    X(CODE_NO_IMAGE, "no_image")               \
    X(CODE_TEXT_ONLY, "text_only")             \
    X(CODE_SAFETY, "safety")                   \
    X(CODE_PROHIBITED, "prohibited")           \
    X(CODE_RECITATION, "recitation")           \
    X(CODE_TRUNCATED, "truncated")             \
    X(CODE_BAD_IMAGE, "bad_image")             \
    X(CODE_BAD_RESPONSE, "bad_response")       \
    X(CODE_RATE_LIMITED, "rate_limited")       \
    X(CODE_QUOTA_EXHAUSTED, "quota_exhausted") \
    X(CODE_OVERLOADED, "overloaded")           \
    X(CODE_SERVER_ERROR, "server_error")       \
    X(CODE_TIMEOUT, "timeout")                 \
    X(CODE_NETWORK, "network")                 \
    X(CODE_BAD_REQUEST, "bad_request")         \
    X(CODE_BAD_KEY, "bad_key")                 \
    X(CODE_PERMISSION, "permission")           \
    X(CODE_NOT_FOUND, "not_found")             \
    X(CODE_WORKER_LOST, "worker_lost")         \
    X(CODE_BUDGET, "budget")                   \
    X(CODE_EXPIRED, "expired")                 \
    X(CODE_POISON, "poison")                   \
    X(CODE_CANCELLED, "cancelled")             \
    X(CODE_STORAGE, "storage")

enum code {
#define X(constant, name) constant,
    CODE_LIST(X)
#undef X
};

const char *code_name(enum code c);                             // never NULL
MUST_USE enum err code_parse(struct span name, enum code *out); // ERR_FORMAT: no such code
#endif
