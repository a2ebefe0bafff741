// output_files.h - a batch's folder as it lies there: whether its run has ended, and whether
// the images that its manifest names are still there.
#ifndef CLIENT_OUTPUT_FILES_H
#define CLIENT_OUTPUT_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct json_object;

struct output_files {
    bool complete;            // every job of it completed
    bool over;                // ended, some jobs having failed; or complete
    int64_t total, completed; // jobs, as its metadata.json says
    int64_t missing;          // images of the manifest that are not there with their size
    char first[256];          // path of one of those
};
// Reads FOLDER's metadata.json and manifest.jsonl. ERR_MISSING, ERR_FORMAT: they are not there,
// as while a run goes on that was not interrupted yet.
MUST_USE enum err output_files_look(const char *folder, struct output_files *out);
// FOLDER's metadata.json; the caller owns it, and it may be NULL, for "null". ERR_FORMAT: it is
// not JSON.
MUST_USE enum err output_files_metadata(const char *folder, struct json_object **out);
// Of one line of the manifest, or one event: how many of its images are not there with their
// size. `first` (may be NULL, 256 bytes) gets a path.
int64_t output_files_missing(const char *folder, struct json_object *line, char *first);
#endif
