// letters.c - see letters.h.
#include "client/letters.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#define PAGE  50
#define HEAD  4096       // bytes that hold all a letter says, beside what was pushed
#define WHOLE (2u << 20) // more than any letter has

const char *letter_fate_name(enum letter_fate f)
{
    static const char *const names[] = {"malformed", "failed",    "open",
                                        "completed", "cancelled", "expired"};
    return names[f];
}

// --- Reading a page -------------------------------------------------------------------------

struct reading {
    struct letters *page;
    bool done;
    enum err err;
};

static void copy_span(struct span *s, char **room)
{
    if (s->len)
        memcpy(*room, s->ptr, s->len);
    s->ptr = *room;
    *room += s->len;
}

static enum err copy_page(struct letters *to, const struct dead_page *from)
{
    size_t bytes = 1;
    for (size_t i = 0; i < from->n; i++) {
        const struct dead_letter *l = &from->letters[i];
        bytes += l->sha.len + l->batch.len + l->id.len + l->message.len + l->pushed.len;
    }
    char *room = to->text = malloc(bytes);
    to->at = calloc(from->n + 1, sizeof *to->at);
    if (!room || !to->at)
        return ERR_NOMEM;
    for (; to->n < from->n; to->n++) {
        struct dead_letter *l = &to->at[to->n].said;
        struct span *const spans[] = {&l->sha, &l->batch, &l->id, &l->message, &l->pushed};
        *l = from->letters[to->n];
        for (size_t k = 0; k < sizeof spans / sizeof *spans; k++)
            copy_span(spans[k], &room);
    }
    to->next = from->next;
    to->total = from->total;
    return OK;
}

static void on_page(void *ctx, enum err e, const struct dead_page *p)
{
    struct reading *r = ctx;
    r->done = true;
    r->err = e == OK ? copy_page(r->page, p) : e;
}

// --- What has become of the jobs ------------------------------------------------------------

struct asked { // about one letter's job, twice
    struct letter *letter;
    unsigned *left;
    enum err *err;
    bool whole;
};

static void answered(struct asked *a, enum err e)
{
    --*a->left;
    if (e != OK && *a->err == OK)
        *a->err = e;
}

static void on_state(void *ctx, enum err e, const uint8_t *states, size_t n)
{
    static const enum letter_fate fates[] = {LETTER_OPEN, LETTER_COMPLETED, LETTER_FAILED,
                                             LETTER_CANCELLED};
    struct asked *a = ctx;
    if (e == OK && n == 1 && a->letter->fate != LETTER_GONE)
        a->letter->fate = fates[states[0] & 3];
    answered(a, e);
}

static void on_input(void *ctx, enum err e, const struct span *inputs, size_t n)
{
    struct asked *a = ctx;
    struct span id, map;
    a->letter->map.max = JOB_MAX_BYTES;
    if (e == OK && (n != 1 || !inputs[0].len || job_input_read(inputs[0], &id, &map) != OK))
        a->letter->fate = LETTER_GONE;
    else if (e == OK && a->whole)
        buf_add(&a->letter->map, map);
    answered(a, e);
}

static enum err ask_jobs(struct session *s, bool whole, struct letters *p)
{
    struct asked *asked = calloc(p->n + 1, sizeof *asked);
    unsigned left = 0;
    enum err e = asked ? OK : ERR_NOMEM, said = OK;
    for (size_t i = 0; e == OK && i < p->n; i++) {
        struct letter *l = &p->at[i];
        uint32_t index = (uint32_t)l->said.index;
        asked[i] = (struct asked){l, &left, &said, whole};
        l->fate = LETTER_PUSHED;
        if (l->said.index < 0)
            continue;
        e = queue_inputs(session_queue(s), l->said.batch, 1, &index, on_input, &asked[i]);
        left += e == OK;
        if (e == OK) {
            e = queue_states(session_queue(s), l->said.batch, index, 1, on_state, &asked[i]);
            left += e == OK;
        }
    }
    while (left > 0)
        ev_run(session_loop(s), EVRUN_ONCE);
    free(asked);
    return e == OK ? said : e;
}

enum err letters_read(struct session *s, uint32_t from, bool whole, struct letters *p)
{
    struct reading r = {.page = p};
    letters_free(p);
    enum err e = session_finish(
        s, dead_look(session_queue(s), from, PAGE, whole ? WHOLE : HEAD, on_page, &r), &r.done,
        &r.err);
    if (e == OK)
        e = ask_jobs(s, whole, p);
    if (e != OK)
        letters_free(p);
    return e;
}

void letters_free(struct letters *p)
{
    for (size_t i = 0; i < p->n; i++)
        buf_free(&p->at[i].map);
    free(p->at);
    free(p->text);
    *p = (struct letters){0};
}

// --- Taking out -----------------------------------------------------------------------------

enum err letters_list_add(struct letters_list *l, const struct dead_letter *letter)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        struct dead_place *more = reallocarray(l->at, cap, sizeof *more);
        if (!more)
            return ERR_NOMEM;
        l->at = more;
        l->cap = cap;
    }
    struct dead_place *place = &l->at[l->n++];
    place->at = letter->at;
    snprintf(place->sha, sizeof place->sha, "%.*s", (int)letter->sha.len, letter->sha.ptr);
    return OK;
}

struct dropping {
    bool done;
    enum err err;
    size_t gone;
};

static void on_marks(void *ctx, enum err e, struct span marks)
{
    struct dropping *d = ctx;
    d->done = true;
    d->err = e;
    for (size_t i = 0; i < marks.len; i++)
        d->gone += marks.ptr[i] == '1';
}

enum err letters_drop(struct session *s, const struct letters_list *l, size_t *gone)
{
    enum err e = OK;
    struct dead_place some[DEAD_MAX_DROP];
    *gone = 0;
    for (size_t done = 0, n; e == OK && done < l->n; done += n) {
        struct dropping d = {0};
        n = l->n - done < DEAD_MAX_DROP ? l->n - done : DEAD_MAX_DROP;
        for (size_t i = 0; i < n; i++) { // those before it are gone by now
            struct dead_place place = l->at[done + i];
            place.at = *gone < place.at ? place.at - (uint32_t)*gone : 0;
            some[i] = place;
        }
        e = session_finish(s, dead_drop(session_queue(s), n, some, on_marks, &d), &d.done,
                           &d.err);
        *gone += d.gone;
    }
    return e;
}

void letters_list_free(struct letters_list *l)
{
    free(l->at);
    *l = (struct letters_list){0};
}
