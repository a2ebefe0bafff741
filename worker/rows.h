// rows.h - the answers of a batch as they arrive: a line of JSON each, {"key", "response"} or
// {"key", "error"}, in any order. Each line is read as one answer is (answer.h): images go to
// spools, memory does not depend on their size.
//
// Lines that cannot be read are passed over: one bad row must not cost the others.
#ifndef WORKER_ROWS_H
#define WORKER_ROWS_H

#include "worker/provider.h"

#define ROWS_MAX_LINE (1ull << 30) // bytes

struct rows;
struct spool_place;

// `r` is as judge.h leaves it, its spools being freed after the call unless taken.
typedef void rows_told(void *ctx, struct span key, struct provider_result *r);
struct rows *rows_new(struct spool_place *place, rows_told *told, void *ctx); // or NULL
void rows_free(struct rows *r);                                               // NULL is fine
// ERR_FULL, ERR_IO, ERR_NOMEM, ERR_MISSING: this host cannot take it; so are all calls after.
MUST_USE enum err rows_feed(struct rows *r, const char *bytes, size_t n);
MUST_USE enum err rows_end(struct rows *r); // the last line, if it has no end
unsigned rows_bad(const struct rows *r);    // lines that were passed over
#endif
