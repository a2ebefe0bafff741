// endings.h - with which code each job of a batch ended, as its events tell.
#ifndef CLIENT_ENDINGS_H
#define CLIENT_ENDINGS_H

#include "broker/code.h"
#include "client/session.h"

// codes: n bytes, one a job, of enum code: of its last terminal event, CODE_CANCELLED where it
// was cancelled; CODE_OK where it completed or is open. ERR_CANCELLED: interrupted.
MUST_USE enum err endings_read(struct session *s, struct span batch, size_t n, uint8_t *codes);
// "safety,no_image" as a set; `why` names what is no code.
struct endings_set {
    bool has[32];
};
MUST_USE enum err endings_set_parse(struct span list, struct endings_set *out, struct buf *why);
#endif
