// files.h - the Files API: what was uploaded, and the results of batches. Kept in memory to the
// end, deleted or not, for a download may be under way.
#ifndef EMULATOR_FILES_H
#define EMULATOR_FILES_H

#include <stdbool.h>

#include "common/buf.h"
#include "emulator/rope.h"

#define FILES_NAME 80

struct files;
struct file {
    char name[FILES_NAME]; // "files/k4t1ywl66fz2"
    char mime[64], display[128];
    const char *project; // whose it is; borrowed for good
    bool whole;          // all of it has come
    bool deleted;        //
    bool result;         // made here, and may be downloaded
    struct rope body;
};

struct files *files_new(void); // NULL: out of memory
void files_free(struct files *f);
// All of these: the caller serializes. NULL: none, or out of memory. Files stay where they are.
struct file *files_add(struct files *f, const char *project,
                       const char *prefix); // "files/batch-"
// None that was deleted, or is another project's.
struct file *files_find(struct files *f, const char *project, struct span name);
// A name of letters and digits behind `prefix`.
void files_name(const char *prefix, char *out, size_t size);
#endif
