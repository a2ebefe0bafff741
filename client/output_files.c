// output_files.c - see output_files.h.
#include "client/output_files.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/json.h"

#define MAX_METADATA (1u << 30)
#define MAX_PATH     8192

static bool is_there(const char *folder, struct span path, int64_t bytes)
{
    char full[MAX_PATH];
    struct stat st;
    int n = snprintf(full, sizeof full, "%s/%.*s", folder, (int)path.len, path.ptr);
    return n > 0 && n < (int)sizeof full && stat(full, &st) == 0 && S_ISREG(st.st_mode) &&
           st.st_size == bytes;
}

int64_t output_files_missing(const char *folder, struct json_object *line, char *first)
{
    struct json_object *images, *image;
    int64_t missing = 0, bytes;
    struct span path;
    size_t n = json_get(line, "images", json_type_array, &images)
                   ? json_object_array_length(images)
                   : 0;
    for (size_t i = 0; i < n; i++) {
        image = json_object_array_get_idx(images, i);
        if (!json_get_str(image, "path", &path) || !json_get_int(image, "bytes", &bytes) ||
            is_there(folder, path, bytes))
            continue;
        if (missing++ == 0 && first)
            snprintf(first, 256, "%.*s", (int)path.len, path.ptr);
    }
    return missing;
}

enum err output_files_metadata(const char *folder, struct json_object **out)
{
    struct buf text = {.max = MAX_METADATA};
    char path[MAX_PATH];
    snprintf(path, sizeof path, "%s/metadata.json", folder);
    enum err e = file_read(path, &text);
    if (e == OK && json_read(buf_span(&text), out, NULL) != OK)
        e = ERR_FORMAT;
    buf_free(&text);
    return e;
}

static enum err read_metadata(const char *folder, struct output_files *out)
{
    struct json_object *meta = NULL, *counts;
    struct span state;
    enum err e = output_files_metadata(folder, &meta);
    if (e != OK)
        return e;
    if (json_get_str(meta, "state", &state)) {
        out->complete = span_is(state, "completed");
        out->over = out->complete || span_is(state, "ended");
    } else {
        e = ERR_FORMAT;
    }
    if (e == OK && json_get(meta, "counts", json_type_object, &counts)) {
        (void)json_get_int(counts, "total", &out->total);
        (void)json_get_int(counts, "completed", &out->completed);
    }
    json_object_put(meta);
    return e;
}

static void look_at_line(const char *folder, const char *line, size_t n,
                         struct output_files *out)
{
    struct json_object *object;
    if (json_read((struct span){line, n}, &object, NULL) != OK)
        return;
    out->missing += output_files_missing(folder, object, out->missing ? NULL : out->first);
    json_object_put(object);
}

enum err output_files_look(const char *folder, struct output_files *out)
{
    char path[MAX_PATH], *line = NULL;
    size_t room = 0;
    *out = (struct output_files){0};
    enum err e = read_metadata(folder, out);
    if (e != OK)
        return e;
    snprintf(path, sizeof path, "%s/manifest.jsonl", folder);
    FILE *f = fopen(path, "re");
    for (ssize_t n; f && (n = getline(&line, &room, f)) > 0;)
        look_at_line(folder, line, (size_t)n, out);
    free(line);
    if (f)
        fclose(f);
    return f || !out->over ? OK : ERR_MISSING;
}
