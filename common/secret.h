// secret.h - keys: from a file or from the environment, and from nowhere else.
#ifndef COMMON_SECRET_H
#define COMMON_SECRET_H

#include "common/buf.h"
#include "common/err.h"

#define SECRET_MAX 4096 // bytes

// Reads a key from `file`, whose white space at both ends goes; NULL: from the first of the
// environment variables `names`, ended by NULL, that is not empty. ERR_MISSING: there is none.
// ERR_RANGE: it has a character that no header may carry. `why` never has the key.
MUST_USE enum err secret_read(struct buf *out, const char *file, const char *const *names,
                              struct buf *why);
void secret_free(struct buf *key); // leaves nothing of it in memory
// Others than its owner may read or write that file: worth a warning. False where it is not
// there.
bool secret_exposed(const char *file);
// Takes the variables out of the environment, and out of /proc/PID/environ: programs that are
// started later do not get them.
void secret_forget(const char *const *names);
// Passwords in URLs among the arguments go from what others can see of them (ps), not from
// argv.
void secret_hide_arguments(int argc, char *argv[]);
// No core dump of this process is ever written, nor may others look into it.
void secret_no_dumps(void);
#endif
