// sheet_list.h - what a contact sheet shows: the lines of manifest.jsonl, or, without one, the
// files of images/ in the order of their names.
#ifndef CLIENT_SHEET_LIST_H
#define CLIENT_SHEET_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct sheet_list;

struct sheet_item {     // valid until the next sheet_list_get
    struct span id;     // the label
    struct span image;  // path relative to the folder; empty: there is none
    struct span status; // why there is none: an error's code, or the job's state
};

// ERR_MISSING: neither a manifest nor pictures. `why` (may be NULL) gets a sentence.
MUST_USE enum err sheet_list_open(const char *folder, struct sheet_list **out, struct buf *why);
void sheet_list_free(struct sheet_list *l); // NULL is fine
uint32_t sheet_list_count(const struct sheet_list *l);
bool sheet_list_get(struct sheet_list *l, uint32_t i, struct sheet_item *item);
#endif
