// usage_rows.h - what was used, in rows of figures, by the name of a user, model, lane, day or
// batch. Sums of integers; money in millionths of a dollar.
#ifndef CLIENT_USAGE_ROWS_H
#define CLIENT_USAGE_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

#define USAGE_MAX_NAME 128 // with a NUL
#define USAGE_MAX_ROWS 10000

enum usage_figure {
    USAGE_CALLS,
    USAGE_IMAGES,
    USAGE_COMPLETED,
    USAGE_FAILED,
    USAGE_CANCELLED,
    USAGE_UNKNOWN,
    USAGE_IN_TOKENS,
    USAGE_OUT_TOKENS,
    USAGE_BYTES,
    USAGE_COST, // the last
    USAGE_FIGURES
};
extern const char *const usage_figures[USAGE_FIGURES]; // as queue_usage() names them

struct usage_row {
    char name[USAGE_MAX_NAME];
    int64_t v[USAGE_FIGURES];
};
struct usage_rows {        // {0} is empty
    struct usage_row **at; // in the order of their names
    size_t n, room;
};
// The row of that name, made where there is none. NULL: no memory, or there are
// USAGE_MAX_ROWS.
struct usage_row *usage_row(struct usage_rows *r, struct span name);
int64_t usage_sum(const struct usage_rows *r, enum usage_figure figure);
void usage_free(struct usage_rows *r);
#endif
