// suite.c - see suite.h.
#include "unit/suite.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "unit/test.h"

#define FILE_MAX (64u << 20)

char *suite_path(const char *relative)
{
    const char *data = getenv("GENFARM_DATA");
    char *path;
    if (asprintf(&path, "%s/%s", data ? data : GENFARM_DATA_DIR, relative) < 0)
        return NULL;
    if (file_exists(path))
        return path;
    print_message("skipped: there is no %s\n", path);
    free(path);
    return NULL;
}

static struct buf read_at(const char *path)
{
    struct buf b = {.max = FILE_MAX};
    assert_int_equal(file_read(path, &b), OK);
    return b;
}

struct buf suite_read(const char *relative)
{
    struct buf b = {.max = FILE_MAX};
    char *path = suite_path(relative);
    if (path)
        b = read_at(path);
    free(path);
    return b;
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t n = strlen(name), k = strlen(suffix);
    return n >= k && strcmp(name + n - k, suffix) == 0;
}

size_t suite_each(const char *relative, const char *suffix, suite_file *one, void *ctx)
{
    char *folder = suite_path(relative);
    struct dirent **files;
    int n = folder ? scandir(folder, &files, NULL, alphasort) : -1;
    size_t done = 0;
    for (int i = 0; i < n; i++) {
        char *path;
        if (ends_in(files[i]->d_name, suffix) && files[i]->d_name[0] != '.' &&
            asprintf(&path, "%s/%s", folder, files[i]->d_name) >= 0) {
            struct buf b = read_at(path);
            one(ctx, files[i]->d_name, buf_span(&b));
            buf_free(&b);
            free(path);
            done++;
        }
        free(files[i]);
    }
    if (n >= 0)
        free(files);
    free(folder);
    return done;
}
