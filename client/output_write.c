// output_write.c - files of a batch's folder, each whole or not there at all.
#include "client/output_private.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"

static enum err write_path(const struct output *o, const char *path, output_body *body,
                           const void *ctx)
{
    struct file_atomic *file;
    enum err e = file_atomic_open(path, &file);
    if (e != OK)
        return e;
    e = body(o, file_atomic_stream(file), ctx);
    if (e == OK)
        return file_atomic_commit(file);
    file_atomic_abort(file);
    return e;
}

enum err output_write(const struct output *o, const char *name, output_body *body,
                      const void *ctx, struct buf *why)
{
    char *path = output_path(o, name);
    errno = 0;
    enum err e = path ? write_path(o, path, body, ctx) : ERR_NOMEM;
    if (e != OK && path)
        file_explain(why, e, errno, path, "cannot be written");
    free(path);
    return e;
}

enum err output_remove(const struct output *o, const char *name, struct buf *why)
{
    char *path = output_path(o, name);
    enum err e = !path ? ERR_NOMEM : unlink(path) == 0 || errno == ENOENT ? OK : ERR_IO;
    if (e == ERR_IO)
        file_explain(why, e, errno, path, "cannot be removed");
    free(path);
    return e;
}

enum err output_print(FILE *f, struct json_object *line)
{
    struct buf text = {.max = OUTPUT_MAX_LINE};
    if (line)
        json_write(&text, line);
    enum err e = line ? text.err : ERR_NOMEM;
    if (e == OK) {
        fwrite(buf_str(&text), 1, text.len, f);
        putc('\n', f);
    }
    buf_free(&text);
    return e;
}
