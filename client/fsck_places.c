// fsck_places.c - where the open jobs of a batch are: each in one place, a ready list, the
// delayed ones, or with a worker.
//
// Jobs move while we look. One that seems to be nowhere, or in two places, is looked for again;
// only what is so at every look is wrong. While nobody claims (see fsck_mend.c), jobs move only
// from workers to lost ones to delayed to ready, the order of the look, and none can be missed.
#include <inttypes.h>

#include "client/fsck_private.h"

#define LOOKS 4
#define SHOWN 20

// --- One look -------------------------------------------------------------------------------

static void on_tickets(void *ctx, enum err e, uint64_t next, const struct check_ticket *t,
                       size_t n)
{
    struct fsck_batch *b = ctx;
    b->fsck->done = true;
    b->fsck->err = e;
    b->fsck->next = next;
    for (size_t i = 0; i < n; i++) {
        const struct ticket *k = &t[i].ticket;
        if (!span_equal(t[i].batch, b->name) || k->index >= b->n)
            continue;
        struct fsck_job *j = &b->jobs[k->index];
        if (k->run == j->run && j->places < UINT8_MAX)
            j->places++;
    }
}

static enum err look_at(struct fsck_batch *b, enum check_place where, struct span name)
{
    enum err e = OK;
    b->fsck->next = 0;
    do {
        e = fsck_wait(b->fsck,
                      check_tickets(b->fsck->queue, where, name, b->fsck->next, on_tickets, b));
        uint64_t next = b->fsck->next;
        if (e == OK)
            e = fsck_mend_go_on(b);
        b->fsck->next = next;
    } while (e == OK && b->fsck->next != 0);
    return e;
}

static enum err look_at_all(struct fsck_batch *b, const struct fsck_names *names,
                            enum check_place where)
{
    const char *name;
    size_t at = 0;
    enum err e = OK;
    while (e == OK && (name = fsck_next_name(names, &at)))
        e = look_at(b, where, span_of(name));
    return e;
}

enum err fsck_look(struct fsck_batch *b)
{
    struct fsck *f = b->fsck;
    struct fsck_names holders = {.fsck = f}, lists = {.fsck = f};
    for (uint32_t i = 0; i < b->n; i++)
        b->jobs[i].places = 0;
    enum err e = fsck_wait(f, check_holders(f->queue, fsck_take_names, &holders));
    if (e == OK)
        e = look_at_all(b, &holders, CHECK_ACTIVE);
    if (e == OK)
        e = look_at_all(b, &holders, CHECK_LOST);
    if (e == OK)
        e = look_at(b, CHECK_DELAYED, b->name);
    if (e == OK)
        e = fsck_wait(f, check_lists(f->queue, b->name, fsck_take_names, &lists));
    if (e == OK)
        e = look_at_all(b, &lists, CHECK_READY);
    if (e == OK)
        e = fsck_states(b); // last: what is over by now was in no place
    buf_free(&holders.text);
    buf_free(&lists.text);
    return e;
}

// Counts a look; how many jobs were in a wrong number of places at this one and all before.
static uint32_t suspects(struct fsck_batch *b, unsigned looks)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->n; i++) {
        struct fsck_job *j = &b->jobs[i];
        if (j->state == 0 && j->places != 1 && j->missed == looks - 1)
            j->missed++;
        n += j->missed == looks;
    }
    return n;
}

static bool is_mended(const struct fsck_batch *b, const struct fsck_job *j)
{
    return b->mended && j->places == 0;
}

static void tell(struct fsck_batch *b)
{
    uint32_t shown = 0;
    for (uint32_t i = 0; i < b->n; i++) {
        const struct fsck_job *j = &b->jobs[i];
        if (j->missed == LOOKS && shown++ < SHOWN)
            fsck_problem(b->fsck, is_mended(b, j),
                         "batch %.*s: job %" PRIu32 " is open and in %u places, not one",
                         (int)b->name.len, b->name.ptr, i, j->places);
    }
    if (shown > SHOWN)
        fsck_problem(b->fsck, b->mended, "batch %.*s: and %u more like that", (int)b->name.len,
                     b->name.ptr, shown - SHOWN);
}

enum err fsck_places(struct fsck_batch *b)
{
    uint32_t n = 0;
    enum err e = OK;
    if (b->open == 0)
        return OK;
    for (unsigned looks = 1; e == OK && looks <= LOOKS && (looks == 1 || n > 0); looks++)
        if ((e = fsck_look(b)) == OK)
            n = suspects(b, looks);
    b->suspect = LOOKS;
    if (e == OK && n > 0 && b->fsck->options->mend)
        e = fsck_mend(b);
    if (e == OK && n > 0)
        tell(b);
    return e;
}
