// journal.h - a file that is only ever appended to, and read again by offset. Appends reach the
// kernel before they return, so that a killed process loses none; what a crash of the machine
// tore at the end is found and cut off when the file is opened again.
#ifndef CLIENT_JOURNAL_H
#define CLIENT_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define JOURNAL_MAX_RECORD (1u << 20)

struct journal {
    int fd; // -1: not open
    uint64_t end;
};

// Called for each record that is there already, in order. Not OK ends the opening with it.
typedef enum err journal_seen(void *ctx, uint32_t tag, uint64_t at, struct span record);

MUST_USE enum err journal_open(struct journal *j, const char *path, journal_seen *seen,
                               void *ctx);
void journal_close(struct journal *j);
// A record: tag u32 and length u32, big-endian, then its bytes. *at: where it is.
MUST_USE enum err journal_add(struct journal *j, uint32_t tag, struct span record,
                              uint64_t *at);
MUST_USE enum err journal_clear(struct journal *j); // empty again
bool journal_is_gone(const struct journal *j);      // somebody removed the file
MUST_USE enum err journal_read(const struct journal *j, uint64_t at, struct buf *record);
#endif
