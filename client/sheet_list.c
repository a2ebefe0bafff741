#include "client/sheet_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/json.h"

#define MAX_LINE (4u << 20)

struct sheet_list {
    FILE *manifest;  // NULL: the files of images/
    off_t *lines;    // where each line begins, and the end of the last
    char **files;    // names
    uint32_t n, cap; // of either
    struct buf line;
    struct json_object *object; // of the line in `line`
};

// --- From the manifest -----------------------------------------------------------------------

static bool add_offset(struct sheet_list *l, off_t at)
{
    if (l->n + 1 >= l->cap) {
        uint32_t cap = l->cap ? l->cap * 2 : 256;
        off_t *lines = reallocarray(l->lines, cap, sizeof *lines);
        if (!lines)
            return false;
        l->lines = lines;
        l->cap = cap;
    }
    l->lines[l->n] = at;
    return true;
}

static enum err index_lines(struct sheet_list *l)
{
    off_t at = 0;
    bool begun = false;
    for (int c; (c = getc_unlocked(l->manifest)) != EOF; at++) {
        if (!begun && !add_offset(l, at))
            return ERR_NOMEM;
        begun = c != '\n';
        if (!begun)
            l->n++;
    }
    if (begun)
        l->n++;
    if (ferror(l->manifest))
        return ERR_IO;
    return add_offset(l, at) ? OK : ERR_NOMEM;
}

static bool read_line(struct sheet_list *l, uint32_t i)
{
    size_t n = (size_t)(l->lines[i + 1] - l->lines[i]);
    buf_clear(&l->line);
    char *room = buf_room(&l->line, n);
    if (!room || fseeko(l->manifest, l->lines[i], SEEK_SET) != 0 ||
        fread(room, 1, n, l->manifest) != n)
        return false;
    buf_added(&l->line, n);
    json_object_put(l->object);
    l->object = NULL;
    return json_read(buf_span(&l->line), &l->object, NULL) == OK;
}

// The path is a person's file by now, yet it must not lead elsewhere.
static bool inside(struct span path)
{
    return path.len > 7 && memcmp(path.ptr, "images/", 7) == 0 &&
           !memchr(path.ptr + 7, '/', path.len - 7) && path.ptr[7] != '.';
}

void sheet_item_read(struct json_object *line, struct sheet_item *item)
{
    struct json_object *code = json_at(line, "error.code");
    struct json_object *path = json_at(line, "images.0.path");
    *item = (struct sheet_item){0};
    json_get_str(line, "id", &item->id);
    json_get_str(line, "status", &item->status);
    if (json_object_is_type(code, json_type_string))
        item->status = span_of(json_object_get_string(code));
    if (json_object_is_type(path, json_type_string))
        item->image = span_of(json_object_get_string(path));
    if (!inside(item->image))
        item->image = (struct span){0};
}

// --- From the folder -------------------------------------------------------------------------

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static enum err list_files(struct sheet_list *l, const char *folder)
{
    struct dirent **entries;
    char *images;
    if (asprintf(&images, "%s/images", folder) < 0)
        return ERR_NOMEM;
    int n = scandir(images, &entries, visible, alphasort);
    free(images);
    if (n < 0)
        return errno == ENOENT ? ERR_MISSING : ERR_IO;
    l->files = calloc((size_t)n + 1, sizeof *l->files);
    for (int i = 0; i < n; i++) {
        char *name = l->files ? strdup(entries[i]->d_name) : NULL;
        if (name)
            l->files[l->n++] = name;
        free(entries[i]);
    }
    free(entries);
    return l->n == (uint32_t)n ? OK : ERR_NOMEM;
}

// images/00007_fox.png is the picture of "fox".
static void describe_file(struct sheet_list *l, const char *name, struct sheet_item *item)
{
    const char *dot = strrchr(name, '.');
    const char *from = name + strspn(name, "0123456789");
    from = *from == '_' ? from + 1 : name;
    item->id = (struct span){from, dot && dot > from ? (size_t)(dot - from) : strlen(from)};
    buf_clear(&l->line);
    buf_addf(&l->line, "images/%s", name);
    item->image = buf_span(&l->line);
}

// --- Both ------------------------------------------------------------------------------------

bool sheet_list_get(struct sheet_list *l, uint32_t i, struct sheet_item *item)
{
    *item = (struct sheet_item){0};
    if (!l->manifest)
        describe_file(l, l->files[i], item);
    else if (read_line(l, i))
        sheet_item_read(l->object, item);
    else
        return false;
    return true;
}

uint32_t sheet_list_count(const struct sheet_list *l)
{
    return l->n;
}

void sheet_list_free(struct sheet_list *l)
{
    if (!l)
        return;
    for (uint32_t i = 0; l->files && i < l->n; i++)
        free(l->files[i]);
    free(l->files);
    free(l->lines);
    if (l->manifest)
        fclose(l->manifest);
    json_object_put(l->object);
    buf_free(&l->line);
    free(l);
}

static enum err open_manifest(struct sheet_list *l, const char *folder)
{
    char *path;
    if (asprintf(&path, "%s/manifest.jsonl", folder) < 0)
        return ERR_NOMEM;
    l->manifest = fopen(path, "re");
    free(path);
    if (l->manifest)
        return index_lines(l);
    return errno == ENOENT ? list_files(l, folder) : ERR_IO;
}

enum err sheet_list_open(const char *folder, struct sheet_list **out, struct buf *why)
{
    struct sheet_list *l = calloc(1, sizeof *l);
    if (!l)
        return ERR_NOMEM;
    l->line.max = MAX_LINE;
    enum err e = open_manifest(l, folder);
    if (e == OK && l->n == 0)
        e = ERR_MISSING;
    if (e == OK) {
        *out = l;
        return OK;
    }
    if (why)
        buf_addf(why, "%s: %s", folder,
                 e == ERR_MISSING ? "holds no manifest.jsonl and no images" : err_text(e));
    sheet_list_free(l);
    return e;
}
