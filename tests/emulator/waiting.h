// waiting.h - calls that are not answered yet: until their latency has passed, or, when they
// stall, until the client has given up. One thread of its own looks after them all.
#ifndef EMULATOR_WAITING_H
#define EMULATOR_WAITING_H

#include <microhttpd.h>
#include <stdint.h>

#include "common/err.h"

struct waiting;
struct waiting *waiting_new(void); // NULL: no memory or no thread
// Suspends the connection. It is resumed once, at `due_us` on the monotonic clock or before
// that when waiting_stop() is called. ERR_NOMEM, ERR_ORDER (stopped): not suspended.
MUST_USE enum err waiting_until(struct waiting *w, struct MHD_Connection *c, int64_t due_us);
// The same, until the client has closed its side of `fd`.
MUST_USE enum err waiting_for_close(struct waiting *w, struct MHD_Connection *c, int fd);
void waiting_stop(struct waiting *w); // resumes all; nothing waits from now on
void waiting_free(struct waiting *w);
int64_t waiting_now_us(void);
#endif
