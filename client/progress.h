// progress.h - how far a batch is: counted from its events, drawn as a line on a terminal, told
// as an event to programs.
#ifndef CLIENT_PROGRESS_H
#define CLIENT_PROGRESS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "broker/event.h"
#include "common/buf.h"

struct limited_group;
struct progress;
struct remotes_sum;

// `terminal`: where the line is drawn; NULL, or no terminal: nothing is. `total` 0: not known.
struct progress *progress_new(FILE *terminal, uint32_t total); // NULL: out of memory
void progress_free(struct progress *p);                        // clears the line
bool progress_drawn(const struct progress *p);                 // there is a terminal

// What was there before this process watched (a resumed batch): counts, but no rate.
void progress_start_from(struct progress *p, int64_t completed, int64_t failed,
                         int64_t cancelled, int64_t cost_micro);
void progress_total(struct progress *p, uint32_t total);
void progress_event(struct progress *p, const struct event *e, int64_t mono_ms);

// What limits the farm; NULL: nothing does. Copied. True: it is something else than before.
bool progress_limited(struct progress *p, const struct limited_group *g);

// The provider's batches in which jobs of this one are. Copied. True: others than before.
bool progress_remote(struct progress *p, const struct remotes_sum *s);

// Redraws, at most ten times a second. Call it after events and from a timer.
void progress_draw(struct progress *p, int64_t mono_ms);
// Takes the line away, so that something else can be printed; the next draw puts it back.
void progress_hide(struct progress *p);
void progress_end(struct progress *p, int64_t mono_ms); // the last state, and a newline

// The line itself, `width` columns at most.
void progress_line(const struct progress *p, int64_t mono_ms, unsigned width, struct buf *out);
// The `progress` event of --json. `event_id`: of the last event it includes. The caller
// owns it; NULL: out of memory.
struct json_object *progress_json(const struct progress *p, int64_t mono_ms, struct span batch,
                                  struct span event_id);
double progress_rate(const struct progress *p, int64_t mono_ms); // images/s of late; 0: none
#endif
