// usage_rows.c - see usage_rows.h.
#include "client/usage_rows.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const usage_figures[USAGE_FIGURES] = {
    [USAGE_CALLS] = "calls",         [USAGE_IMAGES] = "images",
    [USAGE_COMPLETED] = "completed", [USAGE_FAILED] = "failed",
    [USAGE_CANCELLED] = "cancelled", [USAGE_UNKNOWN] = "unknown",
    [USAGE_IN_TOKENS] = "in_tokens", [USAGE_OUT_TOKENS] = "out_tokens",
    [USAGE_BYTES] = "bytes",         [USAGE_COST] = "cost"};

static int compare(struct span name, const char *with)
{
    size_t len = strlen(with), least = len < name.len ? len : name.len;
    int order = least ? memcmp(name.ptr, with, least) : 0;
    return order ? order : (name.len > len) - (name.len < len);
}

// The place of the name, or where it belongs; *there: which of both.
static size_t find(const struct usage_rows *r, struct span name, bool *there)
{
    size_t low = 0, high = r->n;
    *there = false;
    while (low < high && !*there) {
        size_t mid = (low + high) / 2;
        int order = compare(name, r->at[mid]->name);
        *there = order == 0;
        if (order > 0)
            low = mid + 1;
        else
            high = mid;
    }
    return high;
}

static bool make_room(struct usage_rows *r)
{
    size_t room = r->room ? 2 * r->room : 64;
    if (r->n < r->room)
        return true;
    struct usage_row **more = realloc(r->at, room * sizeof *more);
    if (!more)
        return false;
    r->at = more;
    r->room = room;
    return true;
}

struct usage_row *usage_row(struct usage_rows *r, struct span name)
{
    bool there;
    size_t at = find(r, name, &there);
    if (there)
        return r->at[at];
    if (r->n == USAGE_MAX_ROWS || !make_room(r))
        return NULL;
    struct usage_row *row = calloc(1, sizeof *row);
    if (!row)
        return NULL;
    snprintf(row->name, sizeof row->name, "%.*s", (int)name.len, name.ptr);
    memmove(r->at + at + 1, r->at + at, (r->n++ - at) * sizeof *r->at);
    return r->at[at] = row;
}

int64_t usage_sum(const struct usage_rows *r, enum usage_figure figure)
{
    int64_t sum = 0;
    for (size_t i = 0; i < r->n; i++)
        sum += r->at[i]->v[figure];
    return sum;
}

void usage_free(struct usage_rows *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->at[i]);
    free(r->at);
    *r = (struct usage_rows){0};
}
