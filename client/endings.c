// endings.c - see endings.h.
#include "client/endings.h"

#include <string.h>

#include "broker/event.h"
#include "common/text.h"

#define PAGE 1000

struct page {
    bool done;
    enum err err;
    uint8_t *codes;
    size_t n_codes, n;
    uint64_t last; // event that was read
};

static void on_events(void *ctx, enum err e, const struct queue_event *ev, size_t n)
{
    struct page *p = ctx;
    struct event event;
    p->done = true;
    p->err = e;
    p->n = n;
    for (size_t i = 0; i < n; i++) {
        p->last = ev[i].number;
        if (event_decode(&event, ev[i].bytes) == OK && event_terminal(event.type) &&
            event.index < p->n_codes)
            p->codes[event.index] = (uint8_t)(event.type == EVENT_COMPLETED   ? CODE_OK
                                              : event.type == EVENT_CANCELLED ? CODE_CANCELLED
                                                                              : event.code);
    }
}

enum err endings_read(struct session *s, struct span batch, size_t n, uint8_t *codes)
{
    struct page p = {.codes = codes, .n_codes = n};
    enum err e;
    memset(codes, CODE_OK, n);
    do {
        p.done = false;
        e = session_finish(
            s, queue_events(session_queue(s), batch, p.last, PAGE, 0, on_events, &p), &p.done,
            &p.err);
    } while (e == OK && p.n > 0 && !session_interrupted(s));
    return e == OK && session_interrupted(s) ? ERR_CANCELLED : e;
}

enum err endings_set_parse(struct span list, struct endings_set *out, struct buf *why)
{
    *out = (struct endings_set){0};
    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        struct span name = {list.ptr, comma ? (size_t)(comma - list.ptr) : list.len};
        size_t taken = name.len + (comma != NULL);
        enum code code;
        if (code_parse(name, &code) != OK || code == CODE_OK || code >= sizeof out->has) {
            buf_add_str(why, "\"");
            text_show(why, name, 40);
            buf_add_str(why, "\" is no error code; they are");
            for (code = CODE_OK + 1; code <= CODE_STORAGE; code++)
                buf_addf(why, " %s", code_name(code));
            return ERR_FORMAT;
        }
        out->has[code] = true;
        list = (struct span){list.ptr + taken, list.len - taken};
    }
    return OK;
}
