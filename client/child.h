// child.h - programs that a run starts: they go when it goes, write to a log of their own, and
// do not get the terminal's Ctrl-C, which is for us to handle.
#ifndef CLIENT_CHILD_H
#define CLIENT_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"

#define CHILD_MAX_PATH 4096

struct child {
    const char *path; // or a name that PATH is searched for
    char *const *argv;
    const char *log; // appended to
    // Of Redis, for workers, in the environment: everybody can see arguments, and there may be
    // a password in it. NULL: it is no worker, and gets no key either.
    const char *redis_url;
    const char *input; // what it reads from stdin, at most 4,096 bytes; NULL: nothing
    int keep;          // a descriptor that it inherits, above 2; else: none
};
pid_t child_start(const struct child *c); // < 0: errno says why
// Waits for its end, at most so long; `status` as of waitpid(), NULL if nobody asks.
bool child_wait(pid_t pid, int64_t ms, int *status);
void child_end(pid_t pid, int64_t ms); // it was told to end; who does not is killed
void child_nap(long ms);               // below 1,000
// Adds the last line of the log FOLDER/NAME, for a person.
void child_last_words(const char *folder, const char *name, struct buf *why);
#endif
