// sheet_folder.c - the contact sheet of a folder as it lies there. See sheet.h.
#include <ev.h>

#include "client/sheet.h"
#include "client/sheet_list.h"

static void set_all(struct sheet *s, struct sheet_list *list)
{
    uint32_t n = sheet_list_count(list);
    for (uint32_t i = 0; i < n && i < SHEET_MAX_CELLS; i++) {
        struct sheet_item item;
        if (!sheet_list_get(list, i, &item))
            item = (struct sheet_item){.status = SPAN("unreadable")};
        sheet_set(s, i, &item);
    }
}

static enum err make(struct ev_loop *loop, const struct sheet_options *o,
                     struct sheet_list *list, struct sheet_result *r, struct buf *why)
{
    struct sheet *s;
    enum err e = sheet_begin(loop, o, sheet_list_count(list), &s, why);
    if (e != OK)
        return e;
    set_all(s, list);
    while (!*sheet_finished(s))
        ev_run(loop, EVRUN_ONCE);
    return sheet_end(s, r, why);
}

enum err sheet_make(const struct sheet_options *o, struct sheet_result *r, struct buf *why)
{
    struct sheet_list *list;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    enum err e = loop ? sheet_list_open(o->folder, &list, why) : ERR_NOMEM;
    if (e == OK) {
        e = make(loop, o, list, r, why);
        sheet_list_free(list);
    }
    if (loop)
        ev_loop_destroy(loop);
    return e;
}
