// pushing.h - what tests push to the queue's inbox, take from it and place.
#ifndef TESTS_PUSHING_H
#define TESTS_PUSHING_H

#include "farm.h"

void inbox_push(struct farm *f, const char *bytes, size_t n);
#define PUSH(f, literal) inbox_push(f, literal, sizeof(literal) - 1)
// {batch, id, prompt}; NULL: left out
void inbox_push_job(struct farm *f, const char *batch, const char *id, const char *prompt);
// The same with one more member, a string; `value` NULL: the number 3.
void inbox_push_with(struct farm *f, const char *batch, const char *id, const char *prompt,
                     const char *name, const char *value);
void inbox_push_end(struct farm *f, const char *batch, int64_t total);

#define INBOX_MOST 100
struct taken {
    bool done;
    enum err err;
    size_t n;
    struct queue_item items[INBOX_MOST];
    char bytes[INBOX_MOST][512];
};
struct taken *inbox_take(struct farm *f, struct hand *h, uint64_t seq); // the caller frees it
struct told inbox_put(struct farm *f, const struct hand *h, const struct queue_item *item);
// Takes and places everything; `values` (may be NULL, else INBOX_MOST) gets a digit each.
void inbox_place_all(struct farm *f, struct hand *h, char *values);
long long inbox_dead(struct farm *f); // letters
#endif
