// sheet_list.h - what a contact sheet shows: the lines of manifest.jsonl, or, without one, the
// files of images/ in the order of their names.
#ifndef CLIENT_SHEET_LIST_H
#define CLIENT_SHEET_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "client/sheet.h"
#include "common/buf.h"
#include "common/err.h"

struct json_object;
struct sheet_list;

// ERR_MISSING: neither a manifest nor pictures. `why` (may be NULL) gets a sentence.
MUST_USE enum err sheet_list_open(const char *folder, struct sheet_list **out, struct buf *why);
void sheet_list_free(struct sheet_list *l); // NULL is fine
uint32_t sheet_list_count(const struct sheet_list *l);
// `item` is borrowed until the next one is asked for.
bool sheet_list_get(struct sheet_list *l, uint32_t i, struct sheet_item *item);
// What a line of a manifest says; `item` is borrowed from it.
void sheet_item_read(struct json_object *line, struct sheet_item *item);
#endif
