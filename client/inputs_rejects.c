// inputs_rejects.c - the file of what was not submitted.
#include <stdio.h>

#include "client/inputs.h"
#include "common/file.h"
#include "common/json.h"
#include "common/text.h"

static void write_reject(FILE *f, const struct input_reject *r, struct buf *line)
{
    struct json_object *o = json_object_new_object();
    struct buf text = {.max = INPUTS_MAX_RECORD * 5};
    json_put_cstr(o, "file", r->file);
    json_put_int(o, "line", r->line);
    json_put_str(o, "error", r->why);
    if (!text_utf8(r->raw, NULL))
        text_show(&text, r->raw, text.max); // bytes that JSON cannot hold, as \xNN
    json_put_str(o, "raw", text.len ? buf_span(&text) : r->raw);
    buf_clear(line);
    json_write(line, o);
    fwrite(buf_str(line), 1, line->len, f);
    putc('\n', f);
    json_object_put(o);
    buf_free(&text);
}

enum err inputs_write_rejects(const struct inputs *in, const char *path)
{
    struct file_atomic *file;
    struct buf line = {.max = INPUTS_MAX_RECORD * 8};
    enum err e = file_atomic_open(path, &file);
    if (e != OK)
        return e;
    for (size_t i = 0; i < inputs_bad(in); i++) {
        struct input_reject r = inputs_rejected(in, i);
        write_reject(file_atomic_stream(file), &r, &line);
    }
    e = line.err;
    buf_free(&line);
    if (e == OK)
        return file_atomic_commit(file);
    file_atomic_abort(file);
    return e;
}
