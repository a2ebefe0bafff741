// replay.c - feeds every file of the folders given to the fuzz target this is linked with. A
// folder that is missing or empty is a failure: a test of nothing must not pass.
#include <dirent.h>
#include <string.h>

#include "common/file.h"
#include "fuzz.h"

#define INPUT_MAX (16u << 20)

static void replay_file(const char *path)
{
    struct buf b = {.max = INPUT_MAX};
    enum err e = file_read(path, &b);
    if (e != OK) {
        fprintf(stderr, "%s: %s\n", path, err_text(e));
        exit(1);
    }
    // A copy of exactly its size, so that a byte too far is seen.
    uint8_t *bytes = malloc(b.len ? b.len : 1);
    if (!bytes)
        exit(1);
    if (b.len)
        memcpy(bytes, b.ptr, b.len);
    LLVMFuzzerTestOneInput(bytes, b.len);
    free(bytes);
    buf_free(&b);
}

static unsigned replay_folder(const char *folder)
{
    struct dirent **files;
    int n = scandir(folder, &files, NULL, alphasort);
    unsigned done = 0;
    for (int i = 0; i < n; i++) {
        char *path;
        if (files[i]->d_name[0] != '.' &&
            asprintf(&path, "%s/%s", folder, files[i]->d_name) >= 0) {
            replay_file(path);
            free(path);
            done++;
        }
        free(files[i]);
    }
    if (n >= 0)
        free(files);
    return done;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        unsigned n = replay_folder(argv[i]);
        if (n == 0) {
            fprintf(stderr, "%s: no inputs\n", argv[i]);
            return 1;
        }
        printf("%s: %u inputs\n", argv[i], n);
    }
    if (argc < 2)
        fprintf(stderr, "usage: %s FOLDER...\n", argv[0]);
    return argc < 2;
}
