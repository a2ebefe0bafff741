// sheet_live.c - see sheet_live.h.
#include "client/sheet_live.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "client/output.h"
#include "client/session.h"
#include "client/sheet_list.h"

struct sheet_live {
    struct session *session;
    struct sheet_options options;
    char *folder;
    struct sheet *sheet; // NULL: it could not be begun
    enum err err;        // why
    struct buf why;
};

void sheet_live_take(struct sheet_live *l, const struct output *o, uint32_t index)
{
    if (!l->sheet || index >= SHEET_MAX_CELLS)
        return;
    struct sheet_item item;
    struct json_object *line = output_manifest_line(o, index);
    sheet_item_read(line, &item);
    sheet_set(l->sheet, index, &item);
    json_object_put(line);
}

struct sheet_live *sheet_live_new(struct session *s, const struct output *o)
{
    struct sheet_live *l = calloc(1, sizeof *l);
    uint32_t total = output_counts(o).total;
    if (!l || !(l->folder = strdup(output_folder(o)))) {
        free(l);
        return NULL;
    }
    l->session = s;
    l->why.max = 1024;
    l->options = (struct sheet_options){.folder = l->folder, .background = true};
    l->err = sheet_begin(session_loop(s), &l->options, total, &l->sheet, &l->why);
    for (uint32_t i = 0; i < total; i++)
        if (output_state(o, i) != OUTPUT_OPEN)
            sheet_live_take(l, o, i);
    return l;
}

const bool *sheet_live_finished(const struct sheet_live *l)
{
    return l->sheet ? sheet_finished(l->sheet) : NULL;
}

static enum err finish(struct sheet_live *l, struct sheet_result *r, struct buf *why)
{
    enum err e = session_wait(l->session, sheet_finished(l->sheet));
    if (e != OK)
        return e;
    e = sheet_end(l->sheet, r, why);
    l->sheet = NULL;
    if (e != ERR_ORDER)
        return e;
    buf_clear(why);
    return sheet_make(&l->options, r, why);
}

enum err sheet_live_end(struct sheet_live *l, struct sheet_result *r, struct buf *why)
{
    enum err e = l->err;
    if (e == OK)
        e = finish(l, r, why);
    else
        buf_add(why, buf_span(&l->why));
    if (e == ERR_CANCELLED)
        buf_add_str(why, "interrupted");
    sheet_live_free(l);
    return e;
}

void sheet_live_free(struct sheet_live *l)
{
    if (!l)
        return;
    sheet_free(l->sheet);
    buf_free(&l->why);
    free(l->folder);
    free(l);
}
