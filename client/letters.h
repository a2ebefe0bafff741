// letters.h - the dead letters as people see them: a page at a time, each with what has become
// of its job since.
#ifndef CLIENT_LETTERS_H
#define CLIENT_LETTERS_H

#include "broker/dead.h"
#include "client/session.h"

enum letter_fate {
    LETTER_PUSHED,    // never was a job
    LETTER_FAILED,    // the job failed, and still has
    LETTER_OPEN,      // the job was opened again
    LETTER_COMPLETED, // and completed
    LETTER_CANCELLED, // or was cancelled
    LETTER_GONE,      // its batch has expired
};
const char *letter_fate_name(enum letter_fate f); // "failed"

struct letter {
    struct dead_letter said; // its spans are owned by the page
    enum letter_fate fate;
    struct buf map; // the job's, as it was submitted; empty: gone, or not asked for
};
struct letters { // a page; {0} is a valid beginning
    struct letter *at;
    size_t n;      // 0: there are no more
    uint32_t next; // position after the last
    int64_t total;
    char *text;
};
// `whole`: with the jobs' inputs and all that was pushed.
MUST_USE enum err letters_read(struct session *s, uint32_t from, bool whole, struct letters *p);
void letters_free(struct letters *p);

// What is to be taken out, gathered over many pages.
struct letters_list { // {0} is a valid beginning
    struct dead_place *at;
    size_t n, cap;
};
MUST_USE enum err letters_list_add(struct letters_list *l, const struct dead_letter *letter);
// In the order they were added. *gone: how many were there still.
MUST_USE enum err letters_drop(struct session *s, const struct letters_list *l, size_t *gone);
void letters_list_free(struct letters_list *l);
#endif
