// suite.h - files of the shared test data, which lie beside the repository and not in it.
#ifndef TESTS_UNIT_SUITE_H
#define TESTS_UNIT_SUITE_H

#include "common/buf.h"

// The file or folder `relative` of the data; the caller frees it. NULL, after saying so, where
// it is missing: then the test has nothing to test and is skipped.
char *suite_path(const char *relative);
// Calls `one` for each file of a folder, in the order of their names, with its bytes, which are
// borrowed. Returns how many there were; 0 when the folder is missing.
typedef void suite_file(void *ctx, const char *name, struct span bytes);
size_t suite_each(const char *relative, const char *suffix, suite_file *one, void *ctx);
// A whole file, to be freed by buf_free; empty when it is missing.
struct buf suite_read(const char *relative);
#endif
