// sheet_live.h - the contact sheet of a batch that is under way: each picture is taken from its
// final place as soon as it is there, so that at the end of the batch next to nothing is left
// to draw.
#ifndef CLIENT_SHEET_LIVE_H
#define CLIENT_SHEET_LIVE_H

#include <stdint.h>

#include "client/sheet.h"

struct output;
struct session;
struct sheet_live;

// Takes what the output has by now, of earlier runs. Its threads run in the background. NULL:
// out of memory; what else goes wrong is told at the end.
struct sheet_live *sheet_live_new(struct session *s, const struct output *o);
// The result of job `index` is in `o`, and its images are in their places.
void sheet_live_take(struct sheet_live *l, const struct output *o, uint32_t index);
// Becomes true, in the session's loop, once nothing is left to wait for; NULL: nothing is.
const bool *sheet_live_finished(const struct sheet_live *l);
// After the batch's end, the manifest being there: waits for the sheet, which is made anew when
// jobs were run again meanwhile. ERR_CANCELLED: the session was interrupted. Frees it.
MUST_USE enum err sheet_live_end(struct sheet_live *l, struct sheet_result *r, struct buf *why);
void sheet_live_free(struct sheet_live *l); // leaves nothing; NULL is fine
#endif
