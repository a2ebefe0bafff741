// fsck_counts.c - the queue's counts against what they are counts of.
//
// What is in one piece was seen at one instant, and can be compared as it is. What takes more
// moves meanwhile: it is compared when several looks saw the same, all counts and all they are
// counts of. A queue that is never still for that long is neither well nor ill: `unsure`.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/fsck_private.h"
#include "common/text.h"

#define CHUNK 1000 // batches in one piece
#define LOOKS 10
#define STILL 3 // looks that see the same

struct count {
    char *name;
    int64_t is, told;
};
struct look {
    struct fsck *fsck;
    enum check_tally what;
    struct count *at;
    size_t n, hint; // hint: where the next one was in the piece before
    unsigned pieces;
    bool moved; // between pieces
};

// --- One look -------------------------------------------------------------------------------

static void forget(struct look *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->at[i].name);
    free(l->at);
    *l = (struct look){.fsck = l->fsck, .what = l->what};
}

static struct count *find(struct look *l, struct span name)
{
    for (size_t k = 0; k < l->n; k++) {
        size_t i = (l->hint + k) % l->n;
        if (span_is(name, l->at[i].name)) {
            l->hint = i + 1;
            return &l->at[i];
        }
    }
    return NULL;
}

static enum err add(struct look *l, const struct check_count *c)
{
    struct count *at = find(l, c->name);
    if (at) {
        l->moved = l->moved || at->told != c->told;
        at->told = c->told;
        at->is += c->is;
        return OK;
    }
    struct count *more = realloc(l->at, (l->n + 1) * sizeof *more);
    if (!more)
        return ERR_NOMEM;
    l->at = more;
    more[l->n] = (struct count){strndup(c->name.ptr, c->name.len), c->is, c->told};
    if (!more[l->n].name)
        return ERR_NOMEM;
    l->n++;
    return OK;
}

static void on_counts(void *ctx, enum err e, uint64_t next, const struct check_count *c,
                      size_t n)
{
    struct look *l = ctx;
    struct fsck *f = l->fsck;
    l->pieces++;
    for (size_t i = 0; e == OK && i < n; i++)
        e = add(l, &c[i]);
    f->done = true;
    f->err = e;
    f->next = next;
}

// All that there is of one chunk of batches; of images, of all.
static enum err look_at(struct look *l, size_t n, const struct span *names)
{
    struct fsck *f = l->fsck;
    uint64_t cursor;
    enum err e;
    f->next = CHECK_FIRST;
    do {
        cursor = f->next;
        e = fsck_wait(f, check_counts(f->queue, l->what, cursor, n, names, on_counts, l));
        if (e == OK && f->next >= cursor)
            e = ERR_FORMAT;
    } while (e == OK && f->next != 0);
    return e;
}

static enum err look_at_batches(struct look *l)
{
    struct fsck_names open = {.fsck = l->fsck};
    struct span names[CHUNK];
    size_t at = 0, n = 0;
    const char *name;
    enum err e = OK;
    for (uint64_t next = CHECK_FIRST; e == OK && next != 0;)
        e = fsck_batches(&open, true, &next);
    do {
        for (n = 0; n < CHUNK && (name = fsck_next_name(&open, &at)); n++)
            names[n] = span_of(name);
        if (e == OK)
            e = look_at(l, n, names);
    } while (e == OK && n == CHUNK);
    buf_free(&open.text);
    return e;
}

static enum err take(struct look *l)
{
    bool of_batches = l->what == CHECK_JOBS || l->what == CHECK_RESERVED;
    forget(l);
    return of_batches ? look_at_batches(l) : look_at(l, 0, NULL);
}

// --- Comparing ------------------------------------------------------------------------------

static bool seen_alike(const struct look *a, const struct look *b)
{
    if (a->moved || b->moved || a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->at[i].name, b->at[i].name) != 0 || a->at[i].is != b->at[i].is ||
            a->at[i].told != b->at[i].told)
            return false;
    return true;
}

static bool is_batches(const struct count *c)
{
    return strcmp(c->name, "batches") == 0;
}

// Whether the batches that were looked at are all those that matter.
static bool all_there(const struct look *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (is_batches(&l->at[i]))
            return l->at[i].is == l->at[i].told;
    return true;
}

static void on_set(void *ctx, enum err e, int64_t value)
{
    struct fsck *f = ctx;
    f->done = true;
    f->err = e;
    f->next = (uint64_t)value;
}

// ERR_MISSING: it has moved since.
static enum err put_right(struct fsck *f, const struct count *c)
{
    struct check_count now = {span_of(c->name), c->is, c->told};
    enum err e = OK;
    while (e == OK && now.told != c->is) {
        int64_t left = llabs(now.told - c->is);
        e = fsck_wait(f, check_set_count(f->queue, &now, on_set, f));
        now.told = (int64_t)f->next;
        if (e == OK && llabs(now.told - c->is) >= left)
            e = ERR_MISSING;
    }
    return e;
}

static void tell(struct fsck *f, const struct count *c, bool mended)
{
    static const struct {
        const char *name, *text; // what follows the name stands behind the text
    } words[] = {{"live", "jobs that are not over"},
                 {"queued", "bytes of inputs of batches that have not ended"},
                 {"ready ", "ready jobs of "},
                 {"reserved ", "reserved in the budget of batch "},
                 {"stored", "bytes of images stored"},
                 {"kept", "bytes of images of ended batches"},
                 {"spare", "bytes of spare images"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i].name);
        if (strncmp(c->name, words[i].name, n) == 0)
            fsck_problem(f, mended, "%s%.300s: %" PRId64 ", counted %" PRId64, words[i].text,
                         c->name + n, c->is, c->told);
    }
}

// What is wrong is told when it is right, or will not become so. `again`: something has moved.
static enum err compare(const struct look *l, bool last, bool *again)
{
    struct fsck *f = l->fsck;
    enum err e = OK;
    *again = false;
    for (size_t i = 0; e == OK && i < l->n; i++) {
        const struct count *c = &l->at[i];
        if (c->is == c->told || is_batches(c))
            continue;
        enum err mended = f->options->mend ? put_right(f, c) : ERR_RANGE;
        if (mended == ERR_MISSING)
            *again = true;
        else if (mended != OK && f->options->mend)
            e = mended;
        if (e == OK && (mended != ERR_MISSING || last))
            tell(f, c, mended == OK);
    }
    return e;
}

static enum err settle(struct fsck *f, enum check_tally what)
{
    struct look now = {.fsck = f, .what = what}, before = now;
    unsigned same = 0;
    bool again = true;
    enum err e = OK;
    for (int i = 1; e == OK && again && i <= LOOKS; i++) {
        forget(&before);
        struct look other = before;
        before = now;
        now = other;
        e = take(&now);
        same = seen_alike(&now, &before) ? same + 1 : 1;
        if (e == OK && all_there(&now) && (now.pieces == 1 || same >= STILL))
            e = compare(&now, i == LOOKS, &again);
    }
    f->result->unsure = f->result->unsure || again;
    forget(&now);
    forget(&before);
    return e;
}

enum err fsck_counts(struct fsck *f)
{
    static const enum check_tally all[] = {CHECK_JOBS, CHECK_RESERVED, CHECK_IMAGES,
                                           CHECK_SPARES};
    enum err e = OK;
    for (size_t i = 0; e == OK && i < sizeof all / sizeof *all; i++)
        e = settle(f, all[i]);
    return e;
}
